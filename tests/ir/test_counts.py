"""Synaptic operations against a count by brute force."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, given, settings

from leanspike import ir
from leanspike.ir.counts import constant_values, reach, synapses, synaptic_operations, working
from leanspike.ir.ops import sources
from leanspike.ir.reference import step
from leanspike.targets.conformance import Case, cases


def met(op: ir.Matmul, a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Products of the equation whose two factors are not 0, one by one."""
    split = b.reshape(*b.shape[:2], op.heads, -1).astype(np.int64)
    if op.form == "scores":
        return np.einsum("bnhc,bmhc->b", a.reshape(*a.shape[:2], op.heads, -1).astype(np.int64), split)
    return np.einsum("bhnm,bmhc->b", a.astype(np.int64), split)


def brute_force(case: Case) -> dict[str, np.ndarray]:
    """Put a one at every non-zero input, use weights of one, and add up what comes out."""
    program = case.program
    encoded, batch = ir.encode(program, case.raw, case.numbers), len(case.raw)
    states = {s.name: np.zeros((batch, *s.shape), dtype=np.int64) for s in program.states}
    used, counts = ir.run(program, case.raw, case.numbers).steps, {}
    for t in range(program.steps):
        values, states = step(program, encoded[t], states, t)
        for op in working(program):
            once = constant_values(program).issuperset(sources(op))
            if isinstance(op, ir.Matmul):
                total = met(op, values[op.left] != 0, values[op.right] != 0)
            else:
                total = ((values[op.source] != 0) * reach(op, program)).reshape(batch, -1).sum(1)
            counts.setdefault(op.result.name, np.zeros(batch, dtype=np.int64))
            counts[op.result.name] += total * (t == 0 if once else t < used)
    return counts


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_counts_what_was_executed(case: Case) -> None:
    expected, found = brute_force(case), synaptic_operations(case.program, case.raw, case.numbers)
    assert found.keys() == expected.keys()
    for name in found:
        assert np.array_equal(found[name], expected[name])


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_reach_counts_the_connections_inside_the_image(case: Case) -> None:
    for op in synapses(case.program):
        weight = case.program.arrays[op.weight]
        connected = (weight.values != 0) | (weight.form == "dense")
        outputs = connected.sum(-1)
        if isinstance(op, ir.Dense):
            assert np.array_equal(reach(op, case.program), outputs)
            continue
        shape = case.program.values[op.source].shape
        expected = np.zeros(shape, dtype=np.int64)
        taps = product(*map(range, op.result.shape[:2]), *map(range, weight.values.shape[:2]))
        for h, w, a, b in taps:
            row, column = h * op.stride + a - op.padding, w * op.stride + b - op.padding
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                expected[row, column] += outputs[a, b]
        assert np.array_equal(reach(op, case.program), expected)
