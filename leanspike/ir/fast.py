"""A program over whole test sets: every operation runs for all T steps at once, time folded into the batch.

Only what a recurrent edge spans, from a delay to what it delays, goes step by step.

Products run as floating-point matrix products that are exact: in float32 where the intervals prove every partial sum
below 2^24, else in float64 (every sum of a sound program is below 2^31). Equal to :mod:`leanspike.ir.reference`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from leanspike.core.trace import Trace, joined
from leanspike.ir import delays, reference
from leanspike.ir.encodings import Direct, encode
from leanspike.ir.inttype import Ints
from leanspike.ir.ops import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Matmul,
    MaxPool,
    Operation,
    Reshape,
    Scale,
    SumPool,
    reads,
    states,
)
from leanspike.ir.program import Program
from leanspike.ir.ranges import Ranges, ranges
from leanspike.ir.readout import Scores
from leanspike.ir.reference import check_raw, heads_product, windows

_ELEMENTS_AT_ONCE = 1 << 23
EXACT_FLOAT32 = 1 << 24

Live = dict[str, Ints]


def run(program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None = None) -> Trace:
    """As :func:`leanspike.ir.reference.run` without a record; memory is bounded whatever the number of samples.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    return joined([trace(program, len(part), *live) for part, live in propagated(program, raw, numbers)])


def step_scores(program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None = None) -> Ints:
    """Scores ``[T, B, K]`` as they stand after every step, whether or not the program would have stopped.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    parts = []
    for part, (live, _) in propagated(program, raw, numbers):
        scores, going = Scores.zeros(program, len(part)), np.ones(len(part), dtype=bool)
        steps = []
        for t, value in enumerate(live[program.readout.source]):
            scores = scores.after(value, t, going)
            steps.append(scores.values)
        parts.append(np.stack(steps))
    return np.concatenate(parts, axis=1)


def step_predictions(
    program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None = None
) -> Ints:
    """Classes ``[B, T]`` as they stand after every step, the first of equal ones.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    found: Ints = step_scores(program, raw, numbers).argmax(-1).T
    return found


def decisions(
    program: Program,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None,
    labels: npt.NDArray[np.integer],
) -> Ints:
    """What a program says to samples with these labels, in their shape: ``[B]``, or ``[B, T]`` of every step.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    return run(program, raw, numbers).predictions if labels.ndim == 1 else step_predictions(program, raw, numbers)


def propagated(
    program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None
) -> Iterator[tuple[npt.NDArray[np.integer], tuple[Live, Live]]]:
    """Parts of the samples, each with every value and every state ``[T, B, *shape]``; memory is bounded.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    check_raw(program, raw)
    found = ranges(program)
    order = np.arange(len(raw)) if numbers is None else np.asarray(numbers)
    widest = max(math.prod(value.shape) for value in program.values.values())
    size = max(1, _ELEMENTS_AT_ONCE // (widest * program.steps))
    for start in range(0, max(1, len(raw)), size):
        part = raw[start : start + size]
        live, after = {program.input.result.name: encode(program, part, order[start : start + size])}, Live()
        for group in delays.groups(program):
            if len(group) > 1:
                _stepwise(group, program, found, live, after)
            else:
                live[group[0].result.name] = _apply(group[0], program, found, live, after)
        yield part, (live, after)


def trace(program: Program, batch: int, live: Live, states: Live) -> Trace:
    """The answer to a part of the samples, from what :func:`propagated` gave."""
    scores, going = Scores.zeros(program, batch), np.ones(batch, dtype=bool)
    steps = np.zeros(batch, dtype=np.int64)
    for t, value in enumerate(live[program.readout.source]):
        scores = scores.after(value, t, going)
        steps += going
        going = going & ~scores.decided(t)
    used = np.arange(program.steps)[:, None] < steps
    fired = {op.result.name: live[op.result.name] for op in program.spiking}
    counts = {name: (spikes.sum(tuple(range(2, spikes.ndim))) * used).sum(0) for name, spikes in fired.items()}
    last = {name: state[steps - 1, np.arange(batch)] for name, state in states.items()}
    return Trace(scores.values.argmax(1), scores.values, steps, counts, last)


def _stepwise(group: tuple[Operation, ...], program: Program, found: Ranges, live: Live, after: Live) -> None:
    """Operations that feed one another over time: all of them in one step, then in the next."""
    inside = {op.result.name for op in group}
    outside = {name for op in group for name in reads(op)} - inside
    names = [name for op in group for name in states(op)]
    batch = live[program.input.result.name].shape[1]
    now = {name: np.zeros((batch, *program.state[name].shape), dtype=np.int64) for name in names}
    steps: dict[str, list[Ints]] = {name: [] for name in (*inside, *names)}
    for t in range(program.steps):
        values = {name: live[name][t] for name in outside}
        for op in group:
            if states(op):
                values[op.result.name] = reference.apply(op, program, values, now, t)
            else:
                one = {name: values[name][None] for name in reads(op)}
                values[op.result.name] = _apply(op, program, found, one, {})[0]
        now |= {op.state: values[op.of] for op in group if isinstance(op, Delay)}
        for name in inside:
            steps[name].append(values[name])
        for name in names:
            steps[name].append(now[name])
    live |= {name: np.stack(steps[name]) for name in inside}
    after |= {name: np.stack(steps[name]) for name in names}


def _apply(operation: Operation, program: Program, found: Ranges, live: Live, states: Live) -> Ints:
    if isinstance(operation, LIF | Integrate):
        return _neurons(operation, program, live[operation.source], states)
    if isinstance(operation, Add):
        return live[operation.left] + live[operation.right]
    if isinstance(operation, Matmul):
        exact = _exact(found, operation)
        sides = (live[name].astype(exact) for name in (operation.left, operation.right))
        return heads_product(operation, *sides).astype(np.int64)
    if isinstance(operation, Delay):
        kept = states[operation.state] = live[operation.of]
        return np.concatenate([np.zeros_like(kept[:1]), kept[:-1]])
    x = live[operation.source]
    if isinstance(operation, Scale):
        return x * program.array(operation.factor)
    if isinstance(operation, Dense | Conv2d):
        return _product(operation, program, found, x)
    if isinstance(operation, Reshape):
        return x.reshape(*x.shape[:2], *operation.result.shape)
    cut = windows(x, operation.size)
    assert isinstance(operation, SumPool | MaxPool)
    pooled: Ints = cut.sum((-3, -2)) if isinstance(operation, SumPool) else cut.max((-3, -2))
    return pooled


def _exact(found: Ranges, operation: Operation) -> Any:
    """The element type in which the products of an operation are exact."""
    return np.float32 if found.partials[operation.result.name].magnitude < EXACT_FLOAT32 else np.float64


def _product(operation: Dense | Conv2d, program: Program, found: Ranges, x: Ints) -> Ints:
    exact = _exact(found, operation)
    constant = isinstance(program.input.encoding, Direct) and x.strides[0] == 0
    rows = (x[:1] if constant else x).astype(exact)
    weight = program.arrays[operation.weight].values.astype(exact)
    folded = rows.reshape(-1, *rows.shape[2:])
    if isinstance(operation, Conv2d):
        folded = _taps(folded, operation, weight.shape)
        weight = weight.reshape(-1, weight.shape[3])
    y = (folded @ weight).astype(np.int64).reshape(*rows.shape[:2], *operation.result.shape)
    return np.broadcast_to(y, (program.steps, *y.shape[1:])) if constant else y


def _taps(x: npt.NDArray[np.floating], operation: Conv2d, kernel: tuple[int, ...]) -> npt.NDArray[np.floating]:
    pad, stride = operation.padding, operation.stride
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    cut = sliding_window_view(padded, kernel[:2], axis=(1, 2))[:, ::stride, ::stride]
    return np.moveaxis(cut, 3, 5).reshape(*cut.shape[:3], math.prod(kernel[:3]))


def _neurons(operation: LIF | Integrate, program: Program, current: Ints, kept: Live) -> Ints:
    now = {name: np.zeros(current.shape[1:], dtype=np.int64) for name in states(operation)}
    after = {name: np.empty(current.shape, dtype=np.int64) for name in now}
    result = np.empty(current.shape, dtype=np.int64)
    for t in range(program.steps):
        result[t] = reference.apply(operation, program, {operation.source: current[t]}, now, t)
        for name, state in now.items():
            after[name][t] = state
    kept |= after
    return result
