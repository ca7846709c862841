"""``leanspike compress``: a lean run with the figures of its program; killed and resumed, it ends in the same bytes."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from leanspike import cli, compress, data, engine, ir, train
from leanspike.compress import CompressConfig, MembraneBits, WeightBits
from leanspike.lower.runs import lower_run
from leanspike.models import ModelConfig
from leanspike.train import RunConfig, TrainConfig

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["leanspike.compress", "torch", "sklearn.datasets"])
FEW = ("--set", "weights.bits=4", "--set", "membrane.bits=ternary", "--epochs", "2")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("base") / "run"
    settings = TrainConfig(epochs=12, batch_size=32)
    config = RunConfig(timesteps=4, model=ModelConfig(hidden=(96,), norm="batch"), train=settings)
    train.fit(config, data.load("digits").training_only(), out)
    return out


def told(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = cli.main([str(arg) for arg in args])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_a_run_becomes_lean_and_its_figures_are_the_programs(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, digits = tmp_path / "lean", data.load("digits").test()
    code, shown, progress = told(capsys, "compress", base, "--out", out, *FEW)
    assert code == 0
    assert "as a program" in shown
    assert "epoch 2/2" in progress
    result = json.loads((out / "result.json").read_text())
    program = ir.load(out / "program.lsp")
    trace = engine.run(program, ir.raw_samples(program, digits.x), digits.numbers)
    assert result["accuracy"] == float((trace.predictions == digits.y).mean())
    assert result["before"]["accuracy"] - result["accuracy"] < 0.03
    assert result["weight_bytes"] == (64 * 96 + 96 * 10) // 2
    assert result["state_bytes"] < 96 // 5 + 1 + 10 * 4
    assert result["before"]["weight_bytes"] == 8 * result["weight_bytes"]
    lowered = lower_run(out)
    assert ir.content_hash(lowered.lowered.program) == result["sha256"] == ir.content_hash(program)
    assert lowered.loss.same == 1.0
    assert program.state["v1"].codec is not None
    assert (program.state["v1"].codec.lowest, program.state["v1"].codec.highest) == (-1, 1)
    assert program.state["v2"].codec is None
    assert [program.arrays[name].type.bits for name in ("w1", "w2")] == [4, 4]
    again, printed, said = told(capsys, "compress", base, "--out", out, *FEW, "--json")
    assert (again, json.loads(printed)) == (0, result)
    assert "is finished; nothing was trained" in said


def test_a_compressed_run_is_compressed_on(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    assert told(capsys, "compress", base, "--out", first, "--set", "weights.bits=8", "--epochs", "1")[0] == 0
    steps = ("--set", "membrane.bits=4", "--set", "timesteps=3", "--epochs", "1")
    assert told(capsys, "compress", first, "--out", second, *steps)[0] == 0
    program = ir.load(second / "program.lsp")
    assert program.steps == 3
    assert program.arrays["w1"].type.bits == 8
    assert program.state["v1"].codec is not None
    assert compress.load(second).lineage.run == compress.load(base).run


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--set", "weights.bits=3"), "weights.bits: 3 is not a possible value; one of 0, 2, 4, 8, 16, ternary"),
        (("--set", "membrane.bits=5"), "membrane.bits: 5 is not a possible value; one of 0, 2, 4, 8, ternary"),
        (("--set", "weights.bit=4"), "did you mean weights.bits?"),
        (("--set", "weights.method=sawf"), "one of lsq, sawb"),
        (("--epochs", "0"), "train.epochs"),
        (("--config", "none.toml"), "none.toml: cannot be read"),
    ],
)
def test_bad_input_is_one_line(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: tuple[str, ...], words: str
) -> None:
    code, out, err = told(capsys, "compress", base, "--out", tmp_path / "lean", *args)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert words in line


def test_folders_that_do_not_suit(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "another folder than RUN" in told(capsys, "compress", base, "--out", base)[2]
    assert "no compression" in told(capsys, "compress", base, "--out", _copy(base, tmp_path / "other"))[2]
    assert told(capsys, "compress", tmp_path / "none", "--out", tmp_path / "lean")[0] == 2


def test_a_file_of_settings_is_read(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lean.toml").write_text('[weights]\nbits = "ternary"\nmethod = "sawb"\n[train]\nepochs = 1\n')
    out = tmp_path / "lean"
    assert told(capsys, "compress", base, "--out", out, "--config", tmp_path / "lean.toml")[0] == 0
    assert compress.load(out).lineage.steps[0].weights == WeightBits("ternary", "sawb")
    assert set(np.unique(ir.load(out / "program.lsp").array("w1"))) == {-1, 0, 1}


def _compress(base: Path, out: Path) -> None:
    torch.set_num_threads(1)
    start = compress.load(base)
    settings = TrainConfig(epochs=3, batch_size=64, learning_rate=1e-3)
    config = CompressConfig(weights=WeightBits(2), membrane=MembraneBits(2), train=settings)
    digits = data.load("digits").training_only()
    compress.compress(start.network, start.run, config, digits, out, checkpoint_seconds=0.0)


def test_killed_at_any_moment_and_resumed_gives_the_same_weights(base: Path, tmp_path: Path) -> None:
    _compress(base, tmp_path / "whole")
    draws, out, kills = random.Random(3), tmp_path / "killed", 0
    for _ in range(40):
        process = PROCESSES.Process(target=_compress, args=(base, out))
        process.start()
        saves, page = draws.randrange(10, 25), out / "checkpoint.json"
        seen = page.stat().st_ino if page.exists() else 0
        while saves and process.is_alive():
            now = page.stat().st_ino if page.exists() else 0
            saves, seen = saves - (now != seen), now
        process.join(draws.uniform(0.0, 0.02))
        process.kill()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills >= 2, "the run was not killed often enough to show anything"
    assert _digest(out) == _digest(tmp_path / "whole")
    found = compress.load(out)
    assert ir.content_hash(lower_run(out).lowered.program) == ir.content_hash(
        lower_run(tmp_path / "whole").lowered.program
    )
    assert found.lineage == compress.load(tmp_path / "whole").lineage


def _digest(folder: Path) -> str:
    return hashlib.sha256((folder / "network.safetensors").read_bytes()).hexdigest()


def _copy(source: Path, target: Path) -> Path:
    target.mkdir()
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target
