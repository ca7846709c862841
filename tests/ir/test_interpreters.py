"""The fast interpreter against the definition, and the definition against sums done by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings

from leanspike import ir
from leanspike.core.trace import mismatches
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

    again = store.unpack(store.pack(case.program))
    assert again == case.program
    assert ir.render(again) == ir.render(case.program)
    assert np.array_equal(
        ir.run(again, case.raw, case.numbers).scores, ir.run(case.program, case.raw, case.numbers).scores
    )
