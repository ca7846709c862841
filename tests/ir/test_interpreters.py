"""The fast interpreter against the definition, and the definition against sums done by hand."""

from __future__ import annotations

from typing import Literal

import numpy as np
from hypothesis import HealthCheck, given, settings

from leanspike import ir
from leanspike.core.trace import mismatches
from leanspike.ir import IntType, Value
from leanspike.ir.inttype import SPIKE
from leanspike.targets.conformance import Case, cases


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_fast_equals_reference(case: Case) -> None:
    expected = ir.run(case.program, case.raw, case.numbers)
    found = ir.run_fast(case.program, case.raw, case.numbers)
    assert not any(mismatches(expected, found).values())


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_nothing_leaves_the_intervals(case: Case) -> None:
    found = ir.ranges(case.program)
    trace = ir.run(case.program, case.raw, case.numbers, record=True)
    for name, states in trace.step_states.items():
        if name in found.states:
            assert found.states[name].lowest <= states.min()
            assert states.max() <= found.states[name].highest


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_text_and_file_bring_back_the_identical_program(case: Case) -> None:
    from leanspike.ir import store

    again, origin = store.unpack(store.pack(case.program, {"dataset": "digits"}))
    assert origin == {"dataset": "digits"}
    assert again == case.program
    assert ir.render(again) == ir.render(case.program)
    assert np.array_equal(
        ir.run(again, case.raw, case.numbers).scores, ir.run(case.program, case.raw, case.numbers).scores
    )


def _one_neuron(reset_by: int | None, reset: Literal["subtract", "zero"] = "subtract") -> ir.Program:
    """u = v/2 + x, theta = 4."""
    start = ir.Input(Value("x", (1,), IntType(4, False)), Value("raw", (4, 1), IntType(4, False)), 15, ir.Sequence())
    arrays = {"w": (2, 1), "m": (2, 1), "t": (4, 4)} | ({} if reset_by is None else {"r": (6, reset_by)})
    dense = ir.Dense(Value("i", (1,), IntType(5, False)), "x", "w")
    amount = None if reset_by is None else "r"
    lif = ir.LIF(Value("s", (1,), SPIKE), "i", "v", "m", 1, "t", reset=reset, reset_by=amount)
    constants = {name: ir.Array(IntType(bits, False), np.array([[value]])) for name, (bits, value) in arrays.items()}
    states = (ir.State("v", (1,), IntType(6, True)),)
    return ir.Program("one", 4, start, states, (dense, lif), ir.Readout("count", "s"), constants)


def test_a_reset_takes_its_own_amount_and_none_where_it_is_zero() -> None:
    raw = np.array([[[5], [4], [0], [1]]])
    for amount, potentials in ((None, [1, 0, 0, 1]), (8, [-3, 2, 1, 1]), (0, [5, 6, 3, 2])):
        trace = ir.run(ir.verify(_one_neuron(amount)), raw, record=True)
        assert trace.step_states["v"].ravel().tolist() == potentials


def test_an_amount_without_a_subtract_reset_breaks_a_rule() -> None:
    assert [str(found) for found in ir.violations(_one_neuron(8, "zero"))] == [
        "s: a reset zero by 8 to 8 (reset_by goes with reset=subtract, 0 or more)"
    ]


def test_an_amount_may_not_carry_the_potential_out_of_its_state() -> None:
    assert not ir.violations(_one_neuron(36))
    assert [str(found) for found in ir.violations(_one_neuron(37))] == [
        "s: a reset leaves -33, which i6 does not hold (a wider state)"
    ]
