"""TFLite models: real sizes, fixed batches, delegates, extreme values, what is refused, and files that are not ours."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_networks import at_the_ends, convnet, images, mlp, need
from hypothesis import HealthCheck, assume, given, settings

from leanspike import ir, targets
from leanspike.core.errors import MissingTool, ProgramError, TargetError
from leanspike.core.trace import mismatches
from leanspike.ir import Program
from leanspike.targets import tflite as ours
from leanspike.targets.conformance import Case, cases


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    need("ai_edge_litert", "flatbuffers")


def wrong(program: Program, raw: Any, folder: Path, *, batch: int = 1, record: bool = False) -> dict[str, int]:
    artefact = ours.emit(program, folder, batch=batch)
    found = targets.run(artefact, raw, record=record)
    return {what: count for what, count in mismatches(ir.run_fast(program, raw), found).items() if count}


@pytest.mark.parametrize("kind", ["direct", "rate"])
def test_a_perceptron_of_real_size(kind: str, tmp_path: Path) -> None:
    program = mlp(kind)
    assert not wrong(program, images(program, 20), tmp_path, record=True)


@pytest.mark.parametrize("kind", ["direct", "rate"])
def test_a_convolutional_network_of_real_size(kind: str, tmp_path: Path) -> None:
    program = convnet(kind)
    assert not wrong(program, images(program, 4), tmp_path, record=True)


@pytest.mark.parametrize("batch", [1, 8])
def test_early_exit_at_different_steps(batch: int, tmp_path: Path) -> None:
    program = mlp("rate", 25, ir.Exit(3, 2))
    raw = images(program, 30)
    assert len(set(ir.run_fast(program, raw).steps)) > 1
    assert not wrong(program, raw, tmp_path, batch=batch, record=True)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_fixed_batches_of_several(case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(not ours.check(case.program))
    artefact = ours.emit(case.program, tmp_path_factory.mktemp("batch"), batch=2)
    found = targets.run(artefact, case.raw, case.numbers, record=True)
    expected = ir.run(case.program, case.raw, case.numbers, record=True)
    assert not any(mismatches(expected, found).values())


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_the_default_delegates_agree(case: Case, tmp_path_factory: pytest.TempPathFactory) -> None:
    assume(not ours.check(case.program))
    from ai_edge_litert.interpreter import Interpreter

    folder = tmp_path_factory.mktemp("default")
    artefact = ours.emit(case.program, folder, batch=len(case.raw))
    whole = Interpreter(model_path=str(folder / artefact.files[0])).get_signature_runner("whole")
    fed = {"raw": case.raw}
    if isinstance(case.program.input.encoding, ir.Rate):
        fed["numbers"] = case.numbers
    found, expected = whole(**fed), ir.run(case.program, case.raw, case.numbers)
    assert np.array_equal(found["scores"], expected.scores)
    for name, potential in expected.potentials.items():
        assert np.array_equal(found[f"state/{name}"], potential)


@pytest.mark.parametrize("shift", [0, 1, 8])
@pytest.mark.parametrize("raw_type", ["u7", "u8", "i8", "u9", "i12", "i16"])
def test_values_at_the_ends_of_their_types(raw_type: str, shift: int, tmp_path: Path) -> None:
    program, raw = at_the_ends("i8", raw_type, shift)
    assert not wrong(program, raw, tmp_path, record=True)


def test_wide_weights_are_refused(tmp_path: Path) -> None:
    program, _ = at_the_ends("i13", "u8", 1)
    with pytest.raises(TargetError, match=r"weights from -4096 to 4095, BATCH_MATMUL takes 8 bits"):
        targets.emit("tflite", program, tmp_path)
    assert not list(tmp_path.iterdir())


def test_only_integers_in_the_models(tmp_path: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    artefact = targets.emit("tflite", convnet("rate"), tmp_path)
    for name in artefact.files:
        kinds = {detail["dtype"] for detail in Interpreter(model_path=str(tmp_path / name)).get_tensor_details()}
        assert all(np.issubdtype(kind, np.integer) or kind is np.bool_ for kind in kinds)


def test_a_file_that_is_not_ours(tmp_path: Path) -> None:
    artefact = targets.emit("tflite", mlp(), tmp_path)
    path = tmp_path / artefact.files[0]
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    raw = images(artefact.program, 1)
    for content, told in [
        (b"", "is no tflite model of leanspike"),
        (b"\x1c\x00\x00\x00TFL3 leanspike", "is no tflite model of leanspike"),
        (whole[: len(whole) - 9], "is damaged"),
        (whole[: len(whole) // 9], "was cut short|is damaged"),
        (bytes(flipped), "is damaged"),
    ]:
        path.write_bytes(content)
        with pytest.raises(TargetError, match=told):
            targets.run(artefact, raw)
    path.unlink()
    with pytest.raises(TargetError, match="cannot be read"):
        targets.run(artefact, raw)


def test_a_file_of_another_program(tmp_path: Path) -> None:
    artefact = targets.emit("tflite", mlp(), tmp_path)
    with pytest.raises(TargetError, match="made from another program"):
        targets.run(replace(artefact, program=mlp(steps=9)), images(artefact.program, 1))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = targets.emit("tflite", mlp(), tmp_path)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(MissingTool, match=r"ai-edge-litert is not installed.*leanspike\[tflite\]"):
        ours.prepare(artefact)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.schema_py_generated", None)
    with pytest.raises(MissingTool, match=r"ai-edge-litert is not installed.*leanspike\[tflite\]"):
        targets.emit("tflite", mlp(), tmp_path)


def test_equal_programs_give_equal_files(tmp_path: Path) -> None:
    first, second = (targets.emit("tflite", mlp(), tmp_path / name) for name in "ab")
    for name in first.files:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    assert first.facts["bytes"] == (first.folder / "mlp.tflite").stat().st_size


def test_a_runtime_that_refuses_the_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ai_edge_litert.interpreter import Interpreter

    def refuse(_: Any) -> None:
        raise RuntimeError("unresolved op")

    artefact = targets.emit("tflite", mlp(), tmp_path)
    monkeypatch.setattr(Interpreter, "allocate_tensors", refuse)
    with pytest.raises(TargetError, match=r"mlp.tflite: LiteRT refuses it \(unresolved op\)"):
        ours.prepare(artefact)


def test_a_batch_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="a batch of 0; give 1 or more"):
        ours.emit(mlp(), tmp_path, batch=0)


def test_one_sample_of_another_type_is_checked(tmp_path: Path) -> None:
    program = mlp("direct")
    prepared = ours.prepare(targets.emit("tflite", program, tmp_path))
    raw = images(program, 1)
    assert prepared.classify(raw[0].astype(np.int64)) == ir.run_fast(program, raw).predictions[0]
    for sample in (raw[0].astype(np.int64) + 999, raw[0, :5]):
        with pytest.raises(ProgramError, match="the samples"):
            prepared.classify(sample)
