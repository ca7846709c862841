"""lower, show, emit and check on the command line: digits to a checked artefact, and one clear line for bad input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leanspike import cli, data, ir, targets
from leanspike.core.errors import MissingTool
from leanspike.ir.verify import TITLE
from leanspike.lower.runs import name_of
from leanspike.train import evaluate, load_network

Captured = pytest.CaptureFixture[str]
SETTINGS = ("--epochs", "15", "--timesteps", "6", "--set", "model.hidden=[48]", "--set", "train.learning_rate=5e-3")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert cli.main(["train", "digits", "--out", str(folder), *SETTINGS]) == 0
    return folder


@pytest.fixture(scope="module")
def program(run: Path) -> Path:
    path = run.parent / "digits.lsp"
    assert cli.main(["lower", str(run), "-o", str(path)]) == 0
    return path


def told(capsys: Captured, *arguments: object, code: int = 0) -> str:
    capsys.readouterr()
    assert cli.main([str(argument) for argument in arguments]) == code
    captured = capsys.readouterr()
    if code != 2:
        return captured.out
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("leanspike: error: ")
    return line


def refused(capsys: Captured, *arguments: object) -> str:
    return told(capsys, *arguments, code=2)


def test_a_run_becomes_a_program_within_a_point_of_its_floats(run: Path, program: Path) -> None:
    found, origin = ir.load_with_origin(program)
    config, network = load_network(run)
    dataset = data.load("digits")
    test = dataset.test()
    trace = ir.run_fast(found, ir.raw_samples(found, test.x), test.numbers)
    floats = evaluate(network, test, config)
    assert floats.accuracy > 0.9
    assert abs((trace.predictions == test.y).mean() - floats.accuracy) <= 0.01
    assert (trace.predictions == floats.predictions).mean() >= 0.97
    assert origin["dataset"] == "digits"
    assert origin["classes"] == list(dataset.classes)
    assert origin["validation"]["samples"] > 0
    assert found.name == "digits-64-48-10-t6"


def test_the_same_run_gives_the_same_bytes(run: Path, program: Path, tmp_path: Path, capsys: Captured) -> None:
    facts = json.loads(told(capsys, "lower", run, "-o", tmp_path / "again.lsp", "--json"))
    assert (tmp_path / "again.lsp").read_bytes() == program.read_bytes()
    assert facts["sha256"] == ir.content_hash(ir.load(program))


def test_lower_tells_every_step(run: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "new" / "net.lsp"
    text = told(capsys, "lower", run, "-o", out, "--set", "weight_bits=4", "--set", "exit_margin=3")
    for word in ("read ", "fold norms", "quantise    4-bit", "assemble", "narrow", "accuracy    floats", "KiB"):
        assert word in text
    assert ir.load(out).arrays["w1"].type.bits == 4
    assert ir.load(out).readout.exit == ir.Exit(3)
    facts = json.loads(told(capsys, "lower", run, "-o", out, "--json"))
    assert set(facts) == {"program", "sha256", "steps", "validation"}
    assert [step["step"] for step in facts["steps"]] == [
        *("read", "fold norms", "quantise", "assemble"),
        *("compact", "narrow", "store"),
    ]
    assert set(facts["validation"]) == {"samples", "float_accuracy", "program_accuracy", "same"}


def test_show_tells_text_sizes_and_limits(program: Path, capsys: Captured) -> None:
    found = ir.load(program)
    text = told(capsys, "show", program)
    assert text.startswith(ir.render(found))
    assert f"sha256     {ir.content_hash(found)}" in text
    assert f"{64 * 48 + 48 * 10:,} synapses, 58 neurons, 6 steps" in text
    assert "made from  digits, configuration" in text
    facts = json.loads(told(capsys, "show", program, "--json"))
    assert set(facts) == {
        "sha256", "array_bytes", "state_bytes", "synapses", "neurons", "ranges", "text", "origin",
    }  # fmt: skip
    assert facts["text"] == ir.render(found)
    assert ir.parse(facts["text"], found.arrays) == found
    assert set(facts["ranges"]) == {*found.values, "v1", "v2"}


def test_show_prints_no_control_characters_of_a_foreign_origin(program: Path, tmp_path: Path, capsys: Captured) -> None:
    for origin in ({"dataset": "\x1b[2J"}, {"dataset": [1]}, {"dataset": "d", "config_hash": "\x07"}):
        ir.save(ir.load(program), tmp_path / "net.lsp", origin)
        text = told(capsys, "show", tmp_path / "net.lsp")
        assert "made from" not in text
        assert text.replace("\n", "").isprintable()


def test_the_whole_way_as_processes(run: Path, tmp_path: Path) -> None:
    def leanspike(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "leanspike", *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)

    for arguments in (
        ("lower", run, "-o", "net.lsp"),
        ("emit", "net.lsp", "--target", "engine", "--out", "engine"),
        ("check", "net.lsp", "--target", "engine", "--samples", "0"),
    ):
        done = leanspike(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
    assert "engine  agrees on 359 samples: predictions 0, scores 0, steps 0, spikes 0, potentials 0" in done.stdout
    done = leanspike("check", "net.lsp", "--target", "nosuch")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        f"leanspike: error: 'nosuch' is no target; there are {', '.join(targets.NAMES)}"
    ]


@pytest.mark.parametrize("target", [name for name in targets.NAMES if name not in ("loihi", "spice")])
def test_every_target_is_written_and_agrees(program: Path, target: str, tmp_path: Path, capsys: Captured) -> None:
    try:
        targets.emit(target, ir.load(program), tmp_path)
    except MissingTool as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.line())
    facts = json.loads(told(capsys, "emit", program, "--target", target, "--out", tmp_path, "--json"))
    assert facts["target"] == target
    assert facts["files"]
    for name in facts["files"]:
        assert (tmp_path / name).stat().st_size > 0
    text = told(capsys, "emit", program, "--target", target, "--out", tmp_path)
    assert f"{tmp_path / facts['files'][0]}  " in text
    checked = json.loads(told(capsys, "check", program, "--target", target, "--samples", 100, "--json"))
    assert set(checked) == {"samples", "dataset", "sha256", "targets"}
    assert (checked["samples"], checked["dataset"]) == (100, "digits")
    (row,) = checked["targets"]
    assert row["mismatches"] == dict.fromkeys(("predictions", "scores", "steps", "spikes", "potentials"), 0)
    assert row["accuracy"] > 0.9


def test_a_target_that_does_something_else_is_a_mismatch(
    program: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine: Any = targets.target("engine")
    original = engine.run

    def tampered(artefact: Any, raw: Any, numbers: Any = None, *, record: bool = False) -> Any:
        found = original(artefact, raw, numbers, record=record)
        potentials = {**found.potentials, "v1": found.potentials["v1"] + (np.arange(len(raw)) == 3)[:, None]}
        return replace(found, potentials=potentials)

    monkeypatch.setattr(engine, "run", tampered)
    text = told(capsys, "check", program, "--target", "engine", "--samples", 50, code=1)
    assert text.startswith("engine  MISMATCH on 50 samples: predictions 0, scores 0, steps 0, spikes 0, potentials 1;")
    facts = json.loads(told(capsys, "check", program, "--target", "engine", "--samples", 50, "--json", code=1))
    assert facts["targets"][0]["mismatches"]["potentials"] == 1


def test_bad_input_of_lower_is_one_line_and_writes_nothing(run: Path, tmp_path: Path, capsys: Captured) -> None:
    out = tmp_path / "net.lsp"
    assert "nosuch" in refused(capsys, "lower", tmp_path / "nosuch", "-o", out)
    (tmp_path / "empty").mkdir()
    assert "empty" in refused(capsys, "lower", tmp_path / "empty", "-o", out)
    cut = tmp_path / "cut"
    cut.mkdir()
    for file in run.iterdir():
        (cut / file.name).write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "cut" in refused(capsys, "lower", cut, "-o", out)
    line = refused(capsys, "lower", run, "-o", out, "--set", "weight_bit=4")
    assert "weight_bit: unknown configuration key; did you mean weight_bits?" in line
    assert "lower.weight_bits: 9" in refused(capsys, "lower", run, "-o", out, "--set", "weight_bits=9")
    assert "expected KEY=VALUE" in refused(capsys, "lower", run, "-o", out, "--set", "weight_bits")
    (tmp_path / "file").write_text("kept")
    assert "cannot be written" in refused(capsys, "lower", run, "-o", tmp_path / "file" / "net.lsp")
    assert "cannot be written" in refused(capsys, "lower", run, "-o", tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "empty", "file"]
    assert not list((tmp_path / "empty").iterdir())


def test_an_unfinished_run_is_refused(run: Path, tmp_path: Path, capsys: Captured) -> None:
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "config.json").write_bytes((run / "config.json").read_bytes())
    assert "unfinished" in refused(capsys, "lower", unfinished, "-o", tmp_path / "net.lsp")
    assert not (tmp_path / "net.lsp").exists()


@pytest.mark.parametrize("command", ["show", "emit", "check"])
def test_a_file_that_is_no_program_is_refused(command: str, program: Path, tmp_path: Path, capsys: Captured) -> None:
    options = {"show": (), "emit": ("--target", "engine", "--out", tmp_path / "out"), "check": ("--target", "engine")}
    whole = program.read_bytes()
    for name, content in (
        ("text.lsp", b"#!/bin/sh\n"),
        ("cut.lsp", whole[:-1]),
        ("flipped.lsp", whole[:-1] + bytes([whole[-1] ^ 1])),
        ("empty.lsp", b""),
    ):
        (tmp_path / name).write_bytes(content)
        assert name in refused(capsys, command, tmp_path / name, *options[command])
    assert "cannot be read (No such file" in refused(capsys, command, tmp_path / "nosuch.lsp", *options[command])
    assert "is no file" in refused(capsys, command, tmp_path, *options[command])
    assert not (tmp_path / "out").exists()


def test_bad_input_of_emit_is_one_line_and_writes_nothing(program: Path, tmp_path: Path, capsys: Captured) -> None:
    line = refused(capsys, "emit", program, "--target", "punchcard", "--out", tmp_path / "out")
    assert line.endswith(f"'punchcard' is no target; there are {', '.join(targets.NAMES)}")
    (tmp_path / "file").write_text("kept")
    line = refused(capsys, "emit", program, "--target", "engine", "--out", tmp_path / "file")
    assert "cannot be written" in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "kept"


def test_bad_input_of_check_is_one_line(program: Path, tmp_path: Path, capsys: Captured) -> None:
    assert "'punchcard' is no target" in refused(capsys, "check", program, "--target", "engine,punchcard")
    assert "--target: ',' is not a possible value; one or more of engine" in refused(
        capsys, "check", program, "--target", ","
    )
    line = refused(capsys, "check", program, "--target", "engine", "--samples", -1)
    assert "--samples: -1 is not a possible value; a whole number from 1 up, or 0 for all" in line
    assert "nosuchset" in refused(capsys, "check", program, "--target", "engine", "--data", "nosuchset")
    x, y = np.zeros((40, 6), dtype=np.float32), np.arange(40) % 2
    np.savez(tmp_path / "own.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    line = refused(capsys, "check", program, "--target", "engine", "--data", tmp_path / "own.npz")
    assert "takes samples [8, 8, 1], found [6]" in line
    ir.save(ir.load(program), tmp_path / "alone.lsp")
    line = refused(capsys, "check", tmp_path / "alone.lsp", "--target", "engine")
    assert line.endswith("--data: the program does not tell its data set; name one")
    assert told(capsys, "check", tmp_path / "alone.lsp", "--target", "engine", "--data", "digits", "--samples", 5)


def test_names_of_programs_are_one_word(run: Path) -> None:
    config, network = load_network(run)
    digits: Any = data.load("digits")
    for dataset in ("a b/.hidden set.npz", "/x/+++.npz", "ü", "x" * 300):
        name = name_of(network, replace(config, dataset=dataset), digits)  # type: ignore[arg-type]
        assert TITLE.fullmatch(name)
    assert name_of(network, replace(config, dataset="/d/.wild one.npz"), digits).startswith("wild-one-64-")  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["lower", "show", "emit", "check"])
def test_help_shows_an_example(command: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main([command, "--help"])
    assert stopped.value.code == 0
    assert f"example:\n  leanspike {'train' if command == 'lower' else command} " in capsys.readouterr().out
