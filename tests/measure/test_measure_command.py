"""``leanspike measure`` and ``leanspike run`` on a program lowered from a run on real digits."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from leanspike import cli, data, ir
from leanspike.ir.counts import multiplies, synapses, synaptic_operations
from leanspike.measure.footprint import footprint
from leanspike.measure.program import measure


@pytest.fixture(scope="module")
def program_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    assert cli.main(["train", "digits", "--out", str(folder / "run"), "--epochs", "3", "--timesteps", "4"]) == 0
    assert cli.main(["lower", str(folder / "run"), "-o", str(folder / "net.lsp")]) == 0
    return folder / "net.lsp"


def printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(arguments)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_measures_what_the_reference_does(program_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = printed(["measure", str(program_file), "--json"], capsys)
    assert code == 0
    facts: dict[str, Any] = json.loads(out)
    program, test = ir.load(program_file), data.load("digits").test()
    raw = ir.raw_samples(program, test.x)
    trace = ir.run(program, raw, test.numbers)
    assert facts["accuracy"] == (trace.predictions == test.y).mean()
    assert facts["spikes_per_sample"] == pytest.approx(sum(s.mean() for s in trace.spikes.values()), rel=1e-12)
    counts = synaptic_operations(program, raw, test.numbers)
    macs = sum(counts[op.result.name].mean() for op in synapses(program) if multiplies(op, program))
    acs = sum(counts[op.result.name].mean() for op in synapses(program) if not multiplies(op, program))
    assert (facts["macs"], facts["acs"]) == (pytest.approx(macs), pytest.approx(acs))
    assert facts["footprint"]["synapses"] == 64 * 400 + 400 * 10
    assert facts["latency_us"]["p50"] <= facts["latency_us"]["p99"]


def test_a_table_for_people(program_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = printed(["measure", str(program_file), "--samples", "50"], capsys)
    assert code == 0
    assert out.startswith("50 test samples of digits")
    assert "spikes per sample" in out


def test_without_an_engine_the_interpreter_gives_the_same_figures(
    program_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanspike import engine
    from leanspike.core.errors import MissingTool

    program, test = ir.load(program_file), data.load("digits").test()
    raw = ir.raw_samples(program, test.x[:40])
    by_engine = measure(program, raw, test.y[:40])

    def missing(*_: object) -> None:
        raise MissingTool("the engine was not built")

    monkeypatch.setattr(engine, "run_counted", missing)
    by_interpreter = measure(program, raw, test.y[:40])
    assert (by_interpreter.macs, by_interpreter.acs) == (by_engine.macs, by_engine.acs)
    assert by_interpreter.firing_rate == by_engine.firing_rate
    assert np.array_equal(by_interpreter.predictions, by_engine.predictions)


def test_memory_is_counted_at_the_width_of_every_integer(program_file: Path) -> None:
    program = ir.load(program_file)
    sizes = footprint(program)
    bits = {name: array.values.size * array.type.bits for name, array in program.arrays.items()}
    assert sizes.array_bytes == sum(-(-count // 8) for count in bits.values())
    assert sizes.state_bytes == sum(-(-np.prod(s.shape) * s.type.bits // 8) for s in program.states)
    assert sizes.neurons == 410


def test_runs_arrays_images_and_raw_bytes_alike(
    program_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    program, sample = ir.load(program_file), data.load("digits").test().x[:1]
    raw = ir.raw_samples(program, sample)
    expected = ir.run(program, raw).scores[0].tolist()
    np.save(tmp_path / "x.npy", sample)
    np.savez(tmp_path / "x.npz", x=sample)
    Image.fromarray(raw[0, :, :, 0]).save(tmp_path / "x.png")
    for name in ("x.npy", "x.npz", "x.png"):
        code, out, _ = printed(["run", str(program_file), "--input", str(tmp_path / name)], capsys)
        assert (code, json.loads(out)["scores"]) == (0, expected), name
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(raw.tobytes() * 3)))
    code, out, _ = printed(["run", str(program_file), "--input", "-"], capsys)
    answers = [json.loads(line) for line in out.splitlines()]
    assert [answer["sample"] for answer in answers] == [0, 1, 2]
    assert all(answer["scores"] == expected for answer in answers)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["measure", "NET", "--board", "m99"], "m99"),
        (["measure", "NET", "--target", "onnx", "--board", "m4"], "boards run the C target"),
        (["measure", "NET", "--target", "c"], "add --board"),
        (["measure", "NET", "--target", "abacus"], "abacus"),
        (["measure", "NET", "--samples", "-1"], "--samples"),
        (["measure", "NET", "--data", "no-such-set"], "no-such-set"),
        (["measure", "missing.lsp"], "missing.lsp"),
        (["run", "NET", "--input", "missing.npy"], "missing.npy"),
        (["run", "NET", "--input", "NET"], "cannot be read"),
        (["run", "NET", "--input", "WRONG"], "takes samples"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], said: str, program_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "wrong.npy", np.zeros((2, 1, 9, 9), np.uint8))
    names = {"NET": str(program_file), "WRONG": str(tmp_path / "wrong.npy")}
    code, _, error = printed([names.get(word, word) for word in arguments], capsys)
    assert code == 2
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_raw_bytes_that_end_in_a_sample_are_said(
    program_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"\1" * 70)))
    code, out, error = printed(["run", str(program_file), "--input", "-"], capsys)
    assert code == 2
    assert len(out.splitlines()) == 1
    assert "in the middle of a sample" in error
