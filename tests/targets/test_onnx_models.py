"""ONNX models: real sizes, any batch, extreme values, onnx's own interpreter, and files that are not ours."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_networks import at_the_ends, convnet, images, mlp, need
from hypothesis import HealthCheck, given, settings

from leanspike import ir, targets
from leanspike.core.errors import MissingTool, ProgramError, TargetError
from leanspike.core.trace import mismatches
from leanspike.ir import Program
from leanspike.targets import onnx as ours
from leanspike.targets.conformance import Case, cases


@pytest.fixture(autouse=True, scope="module")
def _installed() -> None:
    need("onnx", "onnxruntime")


def wrong(program: Program, raw: Any, folder: Path, *, record: bool = False) -> dict[str, int]:
    found = targets.run(targets.emit("onnx", program, folder), raw, record=record)
    return {what: count for what, count in mismatches(ir.run_fast(program, raw), found).items() if count}


@pytest.mark.parametrize("kind", ["direct", "rate"])
def test_a_perceptron_of_real_size(kind: str, tmp_path: Path) -> None:
    program = mlp(kind)
    assert not wrong(program, images(program, 40), tmp_path, record=True)


@pytest.mark.parametrize("kind", ["direct", "rate"])
def test_a_convolutional_network_of_real_size(kind: str, tmp_path: Path) -> None:
    program = convnet(kind)
    assert not wrong(program, images(program, 6), tmp_path, record=True)


def test_early_exit_at_different_steps(tmp_path: Path) -> None:
    program = mlp("rate", 25, ir.Exit(3, 2))
    raw = images(program, 30)
    assert len(set(ir.run_fast(program, raw).steps)) > 1
    assert not wrong(program, raw, tmp_path, record=True)


def test_any_batch_and_thread_count(tmp_path: Path) -> None:
    program = mlp()
    raw, numbers = images(program, 9), np.arange(100, 109)
    prepared = ours.prepare(targets.emit("onnx", program, tmp_path), threads=2)
    expected = ir.run_fast(program, raw, numbers)
    for batch in (0, 1, 3, 9):
        found = prepared.run(raw[:batch], numbers[:batch])
        assert np.array_equal(found.potentials["v1"], expected.potentials["v1"][:batch])
        assert np.array_equal(prepared.predict(raw[:batch], numbers[:batch]), expected.predictions[:batch])
    assert prepared.classify(raw[3], 103) == expected.predictions[3]


@pytest.mark.parametrize("shift", [0, 1, 8])
@pytest.mark.parametrize("raw_type", ["u8", "i8", "u9", "i12"])
@pytest.mark.parametrize("weight_type", ["i8", "i13"])
def test_values_at_the_ends_of_their_types(weight_type: str, raw_type: str, shift: int, tmp_path: Path) -> None:
    program, raw = at_the_ends(weight_type, raw_type, shift)
    assert not wrong(program, raw, tmp_path, record=True)


# onnx's evaluator of MaxPool pads integers with NaN, also where there is nothing to pad.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_onnx_reference_evaluator_agrees(case: Case) -> None:
    from onnx import load_model_from_string
    from onnx.reference import ReferenceEvaluator

    model = ours.models.whole_model(case.program, ir.ranges(case.program), "seal")
    evaluator = ReferenceEvaluator(load_model_from_string(model.SerializeToString()))
    fed = {"raw": case.raw}
    if isinstance(case.program.input.encoding, ir.Rate):
        fed["numbers"] = case.numbers
    found = dict(zip(evaluator.output_names, evaluator.run(None, fed), strict=True))
    expected = ir.run(case.program, case.raw, case.numbers)
    assert np.array_equal(found["scores"], expected.scores)
    for name, potential in expected.potentials.items():
        assert np.array_equal(found[f"state/{name}"], potential)


def test_only_integers_in_the_models(tmp_path: Path) -> None:
    import onnx

    artefact = targets.emit("onnx", convnet("rate"), tmp_path)
    for name in artefact.files:
        graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / name)).graph
        kinds = {info.type.tensor_type.elem_type for info in [*graph.value_info, *graph.input, *graph.output]}
        floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16}
        assert not kinds & floats


def test_a_file_that_is_not_ours(tmp_path: Path) -> None:
    artefact = targets.emit("onnx", mlp(), tmp_path)
    path = tmp_path / artefact.files[0]
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    raw = images(artefact.program, 1)
    for content, told in [
        (b"", "is no onnx model of leanspike"),
        (b"\x08\x09 leanspike", "is no onnx model of leanspike"),
        (whole[: len(whole) // 2], "was cut short"),
        (bytes(flipped), "is damaged"),
        (whole + whole, "is no onnx model of leanspike"),
    ]:
        path.write_bytes(content)
        with pytest.raises(TargetError, match=told):
            targets.run(artefact, raw)
    path.unlink()
    with pytest.raises(TargetError, match="cannot be read"):
        targets.run(artefact, raw)


def test_a_file_of_another_program(tmp_path: Path) -> None:
    artefact = targets.emit("onnx", mlp(), tmp_path)
    with pytest.raises(TargetError, match="made from another program"):
        targets.run(replace(artefact, program=mlp(steps=9)), images(artefact.program, 1))


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = targets.emit("onnx", mlp(), tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingTool, match=rf"{package} is not installed.*leanspike\[onnx\]"):
        targets.emit("onnx", mlp(), tmp_path) if package == "onnx" else ours.prepare(artefact)


def test_equal_programs_give_equal_files(tmp_path: Path) -> None:
    first, second = (targets.emit("onnx", mlp(), tmp_path / name) for name in "ab")
    for name in first.files:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    assert first.facts["bytes"] == (first.folder / "mlp.onnx").stat().st_size


def test_a_runtime_that_refuses_the_model_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("no kernel")

    artefact = targets.emit("onnx", mlp(), tmp_path)
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(TargetError, match=r"mlp.onnx: onnxruntime [0-9.]+ refuses it \(no kernel\)"):
        ours.prepare(artefact)


def test_one_sample_of_another_type_is_checked(tmp_path: Path) -> None:
    program = mlp("direct")
    prepared = ours.prepare(targets.emit("onnx", program, tmp_path))
    raw = images(program, 1)
    assert prepared.classify(raw[0].astype(np.int64)) == ir.run_fast(program, raw).predictions[0]
    for sample in (raw[0].astype(np.int64) + 999, raw[0, :5]):
        with pytest.raises(ProgramError, match="the samples"):
            prepared.classify(sample)
