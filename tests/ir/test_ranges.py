"""Intervals against sums done by hand and by trying everything."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from small_programs import array, dense, every_operation, with_array, with_operation

from leanspike import ir
from leanspike.core.trace import mismatches
from leanspike.ir import IntType, Program, Range, State, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed
from leanspike.ir.reference import step
from leanspike.targets.conformance import Case, cases


def neurons(
    current: tuple[int, int],
    *,
    leak: tuple[npt.ArrayLike, int] = ([[1]], 0),
    bias: npt.ArrayLike | None = None,
    steps: int = 8,
    state: str = "i20",
) -> Program:
    """One integrator; its current is between these bounds, reached with a byte of 1: low < 0 < high by two weights."""
    low, high = current
    found = dense([[low], [high]], raw="u1", kind="i16", steps=steps, state=state)
    multiplier, shift = leak
    found = with_array(found, "m", "u16", multiplier)
    if bias is not None:
        found = with_array(found, "b", "i16", bias)
    return with_operation(found, "u", shift=shift, **({} if bias is None else {"bias": "b"}))


def firing(program: Program, *, reset: Literal["subtract", "zero"] = "subtract", by: int | None = None) -> Program:
    """The same with neurons that fire at 4."""
    op = program.operations[-1]
    assert isinstance(op, ir.Integrate)
    shared = (op.source, op.state, op.leak, op.shift, "t", op.bias, reset)
    arrays = {**program.arrays, "t": array("u3", [[4]])} | ({} if by is None else {"r": array("u8", [[by]])})
    lif = ir.LIF(Value("u", (1,), SPIKE), *shared, reset_by=None if by is None else "r")
    operations = (*program.operations[:-1], lif)
    return replace(program, operations=operations, arrays=arrays, readout=ir.Readout("count", "u"))


def test_a_dense_sum() -> None:
    found = ir.ranges(dense([[1, 3], [-2, 0]], raw="u8"))
    assert found.values["x"] == Range(0, 255)
    assert found.values["i"] == found.partials["i"] == Range(-510, 765)
    signed = ir.ranges(dense([[3], [-2]], raw="i2"))
    assert signed.values["i"] == Range(-2 * 3 + 1 * -2, 1 * 3 + -2 * -2)


def test_a_dense_interval_is_reached() -> None:
    weight = np.random.default_rng(0).integers(-7, 8, (3, 4))
    program = dense(weight, raw="i3")
    inputs = np.array(list(itertools.product(range(-4, 4), repeat=3)))
    sums = inputs @ weight
    assert ir.ranges(program).values["i"] == Range(int(sums.min()), int(sums.max()))


def image(kernel: npt.ArrayLike, padding: int) -> Program:
    """One convolution of a 3 x 3 image of i2, and integrators on its sums."""
    values = np.asarray(kernel).reshape(3, 3, 1, 1)
    side = 1 + 2 * padding
    start = Value("x", (3, 3, 1), IntType(2, True))
    operations = (
        ir.Conv2d(Value("c", (side, side, 1), SPIKE), "x", "w", padding=padding),
        ir.Reshape(Value("f", (side * side,), SPIKE), "c"),
        ir.Integrate(Value("u", (side * side,), IntType(12, True)), "f", "v", "m", 0),
    )
    arrays = {"w": array("i4", values), "m": array("u1", [[1]])}
    start_ = ir.Input(start, replace(start, name="raw"), 1, ir.Direct())
    states = (State("v", (side * side,), IntType(12, True)),)
    return fitted(Program("image", 2, start_, states, operations, ir.Readout("membrane_last", "u"), arrays))


@pytest.mark.parametrize("padding", [0, 1])
def test_a_convolution_holds_its_borders_too(padding: int) -> None:
    kernel = np.array([[1, -2, 0], [3, 1, -1], [0, 0, 2]])
    program = ir.verify(image(kernel, padding))
    positive, negative = int(kernel.clip(min=0).sum()), int(kernel.clip(max=0).sum())
    expected = Range(-2 * positive + negative, positive - 2 * negative)
    assert ir.ranges(program).values["c"] == ir.ranges(program).partials["c"] == expected
    raw = np.random.default_rng(0).integers(-2, 2, (500, 3, 3, 1))
    last = ir.run(program, raw, record=True).step_states["v"][0]
    assert expected.lowest <= last.min()
    assert last.max() <= expected.highest


def test_pools_and_sums() -> None:
    found = ir.ranges(every_operation())
    assert found.values["p1"] == Range(0, 1)
    assert found.values["g2"] == Range(0, 4)
    assert found.values["q1"] == Range(0, 16)
    c1, c2 = found.values["c1"], found.values["c2"]
    assert c1.lowest + c2.lowest <= found.values["a1"].lowest
    assert found.values["a1"].highest <= c1.highest + c2.highest
    assert found.values["f1"] == found.values["q1"]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_no_value_of_any_step_leaves_its_interval(case: Case) -> None:
    program = case.program
    found, encoded = ir.ranges(program), ir.encode(program, case.raw, case.numbers)
    states = {s.name: np.zeros((len(case.raw), *s.shape), dtype=np.int64) for s in program.states}
    for t in range(program.steps):
        values, states = step(program, encoded[t], states, t)
        for name, value in values.items():
            assert found.values[name].lowest <= value.min()
            assert value.max() <= found.values[name].highest


def test_a_saturating_state() -> None:
    found = ir.ranges(neurons((0, 200), state="i8"))
    assert found.states["v"] == found.values["u"] == Range(0, 127)
    assert found.sums["u"] == Range(0, 327)
    assert found.products["u"] == Range(0, 127)


@pytest.mark.parametrize(("steps", "expected"), [(1, Range(-10, 10)), (2, Range(-15, 15)), (8, Range(-20, 19))])
def test_a_leak_rounds_down(steps: int, expected: Range) -> None:
    found = ir.ranges(neurons((-10, 10), leak=([[1]], 1), steps=steps))
    assert found.states["v"] == expected


def test_rows_of_steps_are_taken_in_turn() -> None:
    program = neurons((0, 0), bias=[[1], [5], [-20]], steps=3)
    assert ir.ranges(program).states["v"] == Range(-20, 6)
    leaks = neurons((0, 1), leak=([[1], [4], [0]], 1), bias=[[8]], steps=3)
    assert ir.ranges(leaks).sums["u"].highest == 2 * 9 + 9
    assert ir.ranges(leaks).products["u"] == Range(0, 36)


def test_a_state_that_still_grows_after_many_steps_takes_its_whole_type() -> None:
    growing = neurons((-1, 1), steps=257)
    assert ir.ranges(growing).states["v"] == Range(-(1 << 19), (1 << 19) - 1)
    assert ir.ranges(growing).sums["u"] == Range(-(1 << 19) - 1, 1 << 19)
    assert ir.ranges(neurons((-1, 1), steps=256)).states["v"] == Range(-256, 256)
    rows = neurons((0, 1), bias=np.arange(300)[:, None] % 7 - 3, steps=300)
    assert ir.ranges(rows).sums["u"] == Range(-(1 << 19) - 3, (1 << 19) + 3)


@pytest.mark.parametrize(
    ("reset", "by", "expected"),
    [
        ("subtract", None, Range(0, 6)),
        ("zero", None, Range(0, 3)),
        ("subtract", 1, Range(0, 9)),
        ("subtract", 8, Range(-4, 3)),
        ("subtract", 0, Range(0, 10)),
    ],
)
def test_a_reset(reset: Literal["subtract", "zero"], by: int | None, expected: Range) -> None:
    program = firing(neurons((0, 10), leak=([[0]], 0)), reset=reset, by=by)
    found = ir.ranges(ir.verify(program))
    assert found.states["v"] == expected
    assert found.values["u"] == Range(0, 1)


def test_neurons_below_threshold_are_not_reset() -> None:
    assert ir.ranges(firing(neurons((-9, 3), leak=([[0]], 0)), by=200)).states["v"] == Range(-9, 3)


def test_sums_beyond_64_bits_do_not_wrap() -> None:
    """Eight products of 2^61 are 0 modulo 2^64."""
    program = dense([[1 << 30]] * 8, raw="i32", kind="i32")
    found = ir.ranges(program)
    assert found.partials["i"] == found.values["i"] == Range(-(1 << 40), 1 << 40)
    assert any("a sum over some inputs takes" in str(violation) for violation in ir.violations(program))


def test_sums_that_cancel_are_seen_by_their_parts() -> None:
    program = dense([[(1 << 31) - 1], [-(1 << 31) + 1]] * 4, raw="i32", kind="i32")
    assert any("a sum over some inputs takes" in str(violation) for violation in ir.violations(program))


def test_layers_of_huge_weights_do_not_wrap() -> None:
    operations, arrays = [], {"m": array("u1", [[1]])}
    source = "x"
    for i in range(12):
        arrays[f"w{i}"] = array("i32", np.full((4, 4), -(1 << 31)))
        operations.append(ir.Dense(Value(f"i{i}", (4,), IntType(32, True)), source, f"w{i}"))
        operations.append(ir.Add(Value(f"a{i}", (4,), IntType(32, True)), f"i{i}", f"i{i}"))
        source = f"a{i}"
    operations.append(ir.Integrate(Value("u", (4,), IntType(32, True)), source, "v", "m", 0))
    start = Value("x", (4,), IntType(32, True))
    start_ = ir.Input(start, replace(start, name="raw"), 1, ir.Direct())
    states = (State("v", (4,), IntType(32, True)),)
    readout = ir.Readout("membrane_last", "u")
    program = fitted(Program("deep", 2, start_, states, tuple(operations), readout, arrays))
    told = " ".join(map(str, ir.violations(program)))
    for i in range(12):
        assert f"i{i}: a sum over some inputs takes" in told
        assert f"a{i}: gives " in told


def test_a_large_weight_is_taken_in_parts_of_the_same_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    program = dense(np.random.default_rng(1).integers(-127, 128, (37, 5)))
    whole = ir.ranges(program)
    monkeypatch.setattr(sys.modules["leanspike.ir.ranges"], "_WEIGHTS_AT_ONCE", 7)
    assert ir.ranges(program) == whole


def test_narrowed_potentials_change_nothing() -> None:
    program = every_operation()
    small = ir.verify(narrowed(program))
    bits = {state.name: state.type.bits for state in small.states}
    assert bits["v1"] < 12
    assert bits["h1"] == 2
    raw = np.random.default_rng(0).integers(0, 16, (50, 4, 4, 2))
    assert not any(mismatches(ir.run(program, raw), ir.run(small, raw)).values())
    assert narrowed(small) == small
    silent = firing(neurons((0, 1), leak=([[0]], 0)))
    assert ir.verify(narrowed(silent)).states[0].type == IntType(4, True)
    saturating = neurons((0, 200), state="i8")
    assert narrowed(saturating) == saturating
