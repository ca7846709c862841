from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from training_processes import Finished

from leanspike import train
from leanspike.data import Dataset

Command = Callable[..., Finished]
SMALL = ("--epochs", "2", "--timesteps", "3", "--set", "model.hidden=[16]", "--set", "train.learning_rate=5e-3")


def refused(found: Finished, *words: str) -> str:
    """The one line that a bad input is answered with."""
    assert found.code == 2, found
    assert found.out == ""
    (line,) = found.err.splitlines()
    assert line.startswith("leanspike: error: ")
    for word in words:
        assert word in line
    return line


def test_a_run_is_trained_tested_once_and_not_repeated(leanspike: Command, tmp_path: Path, digits: Dataset) -> None:
    out = tmp_path / "run"
    found = leanspike("train", "digits", "--out", out, *SMALL)
    assert found.code == 0, found.err
    assert "epoch 2/2" in found.err
    assert "test accuracy" in found.out
    result = json.loads((out / "result.json").read_text())
    config, network = train.load_network(out)
    tested = train.evaluate(network, digits.test(), config)
    assert result["accuracy"] == tested.accuracy
    assert result["accuracy_ci95"][0] < tested.accuracy < result["accuracy_ci95"][1]
    assert result["firing_rate"] == pytest.approx(tested.layer_rates)
    assert json.loads((out / "config.json").read_text())["train"]["epochs"] == 2
    names = {field.name for field in dataclasses.fields(train.EpochRecord)}
    assert [set(record) for record in result["history"]] == [names, names]

    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    again = leanspike("train", "digits", "--out", out, *SMALL, "--json")
    assert again.code == 0
    assert "is finished; nothing was trained" in again.err
    assert json.loads(again.out) == result
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before

    other = leanspike("train", "digits", "--out", out, *SMALL, "--seed", "1")
    refused(other, "seed is 0 there and 1 now", "choose another --out")
    copy = leanspike("train", "digits", "--out", tmp_path / "copy", "--config", out / "config.json")
    assert copy.code == 0, copy.err
    name = "network.safetensors"
    assert (tmp_path / "copy" / name).read_bytes() == (out / name).read_bytes()


def test_options_lie_over_the_file_and_settings_over_both(leanspike: Command, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('timesteps = 9\nseed = 4\n[train]\nepochs = 7\nlearning_rate = 0.01\nloss = "tet"\n')
    options = ("--config", file, "--epochs", 2, "--timesteps", 2, "--set", "train.epochs=1")
    found = leanspike("train", "digits", "--out", tmp_path / "run", *options)
    assert found.code == 0, found.err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["timesteps"], config["seed"], config["train"]["epochs"]) == (2, 4, 1)
    assert (config["train"]["learning_rate"], config["train"]["loss"]) == (0.01, "tet")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nosuchset",), ("nosuchset",)),
        (("digits", "--timesteps", "0"), ("timesteps: 0 is not a possible value", "from 1 up")),
        (("digits", "--set", "neuron.threshold=-1"), ("neuron.threshold: -1", "above 0")),
        (("digits", "--set", "train.epoch=3"), ("train.epoch: unknown configuration key", "did you mean train.epochs")),
        (("digits", "--set", "train.epochs=many"), ("train.epochs: expected int, found 'many'",)),
        (("digits", "--set", "train.epochs"), ("expected KEY=VALUE",)),
        (("digits", "--model", "transformer"), ("model.kind", "mlp, recurrent, convnet")),
        (("digits", "--encoder", "morse"), ("encoder.kind", "rate")),
        (("digits", "--config", "missing.toml"), ("missing.toml", "cannot be read")),
        (("digits", "--set", "train.target_rates=[0.1,0.2,0.3]", "--set", "train.rate_penalty=1"), ("target_rates",)),
        (("digits", "--devices", "0"), ("--devices: 0",)),
    ],
    ids=lambda value: " ".join(value[-1:]) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_line_and_leaves_nothing(
    leanspike: Command, tmp_path: Path, arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    out = tmp_path / "run"
    refused(leanspike("train", *arguments, "--out", out), *words)
    assert not list(out.glob("*.safetensors"))
    assert not list(out.glob(".*"))


def test_nan_in_the_data_is_refused(leanspike: Command, tmp_path: Path) -> None:
    x, y = np.random.default_rng(0).random((40, 6), dtype=np.float32), np.arange(40) % 2
    bad = x.copy()
    bad[17, 3] = np.nan
    np.savez(tmp_path / "own.npz", x_train=bad, y_train=y, x_test=x, y_test=y)
    line = refused(leanspike("train", tmp_path / "own.npz", "--out", tmp_path / "run"), "own.npz")
    assert "NaN" in line or "nan" in line or "finite" in line
    assert not (tmp_path / "run").exists()


def test_a_file_in_the_place_of_the_folder_is_refused(leanspike: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    refused(leanspike("train", "digits", "--out", tmp_path / "file"), "cannot be written", "choose another --out")
    assert (tmp_path / "file").read_text() == "kept"


def _without_roots_power() -> None:
    """Let file permissions count for root too: drop CAP_DAC_OVERRIDE (capset(2), version 3)."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        header, sets = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
        assert libc.capget(header, sets) == 0
        sets[0] &= ~(1 << 1)
        assert libc.capset(header, sets) == 0


def test_a_read_only_folder_is_refused(leanspike: Command, tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    found = leanspike("train", "digits", "--out", tmp_path / "run", *SMALL, prepare=_without_roots_power)
    refused(found, "cannot be written (Permission denied)", "choose an --out that you may write to")
    tmp_path.chmod(0o755)
    assert not list(tmp_path.iterdir())


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))


def test_a_write_that_fails_leaves_no_half_file(leanspike: Command, tmp_path: Path) -> None:
    out = tmp_path / "run"
    refused(leanspike("train", "digits", "--out", out, "--epochs", "1", prepare=_small_files), "cannot be written")
    assert {path.name for path in out.iterdir()} == {"config.json"}
    json.loads((out / "config.json").read_text())


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs (mount)")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_said_and_the_run_goes_on_once_there_is_room(leanspike: Command, tmp_path: Path) -> None:
    options = ("--epochs", "4", "--set", "model.hidden=[80]")
    with _small_disk(tmp_path):
        out, ballast = tmp_path / "run", tmp_path / "ballast"
        ballast.write_bytes(bytes(180_000))
        full = leanspike("train", "digits", "--out", out, *options)
        refused_lines = [line for line in full.err.splitlines() if "error" in line]
        assert full.code == 2
        assert refused_lines == [full.err.splitlines()[-1]]
        assert "cannot be written (No space left on device); free some space" in refused_lines[0]
        assert not list(out.glob(".*"))
        ballast.unlink()
        resumed = leanspike("train", "digits", "--out", out, *options)
        assert resumed.code == 0, resumed.err
        assert leanspike("train", "digits", "--out", tmp_path.parent / "whole", *options).code == 0
        name = "network.safetensors"
        assert (out / name).read_bytes() == (tmp_path.parent / "whole" / name).read_bytes()


def test_a_damaged_result_says_what_to_do(leanspike: Command, tmp_path: Path) -> None:
    assert leanspike("train", "digits", "--out", tmp_path, *SMALL).code == 0
    whole = (tmp_path / "result.json").read_text()
    (tmp_path / "result.json").write_text(whole[:50])
    refused(leanspike("train", "digits", "--out", tmp_path, *SMALL), "result.json: is damaged", "remove it")
    (tmp_path / "result.json").unlink()
    assert leanspike("train", "digits", "--out", tmp_path, *SMALL).code == 0
    again = json.loads((tmp_path / "result.json").read_text())
    assert again["accuracy"] == json.loads(whole)["accuracy"]


def test_the_module_is_the_command(tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "leanspike",
        "train",
        "digits",
        "--out",
        tmp_path / "run",
        *SMALL,
        "--devices",
        "2",
    ]
    if not _has_gpu():
        found = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert found.returncode == 0, found.stderr
        assert found.stdout.count("test accuracy") == 1
        assert found.stderr.count("epoch 2/2") == 1
        assert json.loads((tmp_path / "run" / "result.json").read_text())["epochs"] == 2


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def test_help_shows_an_example(leanspike: Command) -> None:
    found = leanspike("train", "--help")
    assert found.code == 0
    assert "example:" in found.out
    assert "leanspike train digits --out" in found.out
