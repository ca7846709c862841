"""Programs that edge targets refuse, and the exactness of wide products that they accept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_networks import need
from hypothesis import given
from hypothesis import strategies as st

from leanspike import ir, targets
from leanspike.core.errors import TargetError
from leanspike.ir import Array, IntType, Program, Value
from leanspike.targets import onnx, tflite
from leanspike.targets.tflite.products import DIGIT, Factors

WORD = IntType(32, True)


def brimful() -> Program:
    """``leak(v) + I`` reaches 2^30 + 2^31 - 1 before the bias of -2^30 is added; the sum fits 32 bits."""
    raw = IntType(31, False)
    arrays = {
        "w": Array(IntType(2, True), [[1]]),
        "m": Array(IntType(1, False), [[1]]),
        "b": Array(WORD, [[-(1 << 30)]]),
    }
    start = ir.Input(Value("x", (1,), raw), Value("raw", (1,), raw), raw.highest, ir.Direct())
    operations = (
        ir.Dense(Value("i", (1,), raw), "x", "w"),
        ir.Integrate(Value("y", (1,), WORD), "i", "v", "m", 1, "b"),
    )
    return Program(
        "brimful", 3, start, (ir.State("v", (1,), WORD),), operations, ir.Readout("membrane_last", "y"), arrays
    )


def test_a_sum_that_overflows_before_its_bias_is_refused(tmp_path: Path) -> None:
    program = ir.verify(brimful())
    for name in ("onnx", "tflite"):
        with pytest.raises(TargetError, match=r"y: leak\(v\) \+ I, before the bias is added, reaches"):
            targets.emit(name, program, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_limit_is_told_at_once() -> None:
    assert [violation.where for violation in onnx.check(brimful())] == ["y"]
    found = {violation.where: violation for violation in tflite.check(brimful())}
    assert found.keys() == {"i", "y"}
    assert "reaches 2147483648, 32 bits are there" in found["i"].what
    assert all(violation.remedy for violation in found.values())


def test_constants_larger_than_a_file_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (onnx, tflite):
        monkeypatch.setattr(module, "MOST_CONSTANTS", 8)
        assert any("at most" in violation.what for violation in module.check(brimful()))


@given(st.data())
def test_a_cut_into_bytes_is_exact_and_bounded(data: st.DataObject) -> None:
    lowest = data.draw(st.integers(-(1 << 20), 1 << 20))
    highest = data.draw(st.integers(lowest, 1 << 20))
    least = data.draw(st.sampled_from([-128, -127, -3]))
    weight = np.array([[least, 127, -1], [5, least, 0]])
    factors = Factors.of(lowest, highest, weight)
    x = data.draw(st.integers(lowest, highest))
    left, digits = x - factors.shift, []
    for _ in range(factors.digits - 1):
        digits.append(left & ((1 << DIGIT) - 1))
        left >>= DIGIT
    digits.append(left)
    assert all(-128 <= digit <= 127 for digit in digits)
    assert not (-128 in digits and least == -128)
    assert sum(digit << (DIGIT * k) for k, digit in enumerate(digits)) == x - factors.shift
    bound = factors.reach(lowest, highest, weight)
    sums = [abs(digit << (DIGIT * k)) * abs(weight).sum(0).max() for k, digit in enumerate(digits)]
    assert max(sums) <= bound


def test_wide_inputs_are_exact(tmp_path: Path) -> None:
    need("onnx", "onnxruntime", "ai_edge_litert", "flatbuffers")
    kind = IntType(18, True)
    arrays = {"w": Array(IntType(8, True), [[-128, 127], [127, -128]]), "m": Array(IntType(1, False), [[1]])}
    start = ir.Input(Value("x", (2,), kind), Value("raw", (2,), kind), kind.highest, ir.Direct())
    potential = IntType(28, True)
    operations = (
        ir.Dense(Value("i", (2,), potential), "x", "w"),
        ir.Integrate(Value("y", (2,), potential), "i", "v", "m", 1),
    )
    state, readout = ir.State("v", (2,), potential), ir.Readout("membrane_max", "y")
    program = ir.verify(Program("wide", 4, start, (state,), operations, readout, arrays))
    ends = [kind.lowest, kind.lowest + 1, -129, -128, -1, 0, 127, 128, kind.highest]
    raw = np.array([(a, b) for a in ends for b in ends], dtype=np.int32)
    expected = ir.run(program, raw)
    for name in ("onnx", "tflite"):
        found = targets.run(targets.emit(name, program, tmp_path), raw, record=True)
        assert np.array_equal(found.scores, expected.scores)
        assert np.array_equal(found.potentials["v"], expected.potentials["v"])
