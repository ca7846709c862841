"""The definition: a program interpreted step by step in NumPy's int64. It settles every dispute; it is not fast."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import ProgramError
from leanspike.core.trace import Trace
from leanspike.ir import intmath
from leanspike.ir.encodings import encode
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
)
from leanspike.ir.program import Program
from leanspike.ir.readout import Scores

Values = dict[str, Ints]


def check_raw(program: Program, raw: npt.NDArray[np.integer]) -> None:
    """Refuse raw samples that are not ``[B, *program.input.raw.shape]`` integers of the raw type.

    Raises:
        ProgramError: another shape, another kind of numbers, or a value out of range.
    """
    wanted = program.input.raw
    where, remedy = f"program {program.name}", f"give [B, {', '.join(map(str, wanted.shape))}] of {wanted.type}"
    if raw.shape[1:] != wanted.shape or raw.ndim == 0 or not np.issubdtype(raw.dtype, np.integer):
        raise ProgramError(f"the samples are {raw.dtype} {list(raw.shape)}", where=where, remedy=remedy)
    if raw.size and not wanted.type.holds(int(raw.min()), int(raw.max())):
        raise ProgramError(f"the samples hold {raw.min()} to {raw.max()}", where=where, remedy=remedy)


def run(
    program: Program,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """Interpret a program that :func:`~leanspike.ir.verify.verify` accepts.

    Args:
        raw: ``[B, *program.input.raw.shape]`` integers of the raw type.
        numbers: ``[B]`` sample numbers for the rate encoding; 0..B-1 if None.
        record: keep the spikes and states of every step.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    check_raw(program, raw)
    encoded, batch = encode(program, raw, numbers), len(raw)
    live = {state.name: np.zeros((batch, *state.shape), dtype=np.int64) for state in program.states}
    counts = {op.result.name: np.zeros(batch, dtype=np.int64) for op in program.spiking}
    scores, steps = Scores.zeros(program, batch), np.zeros(batch, dtype=np.int64)
    spikes: dict[str, list[Ints]] = {name: [] for name in counts}
    after: dict[str, list[Ints]] = {name: [] for name in live}
    going = np.ones(batch, dtype=bool)
    for t in range(program.steps):
        values, updated = step(program, encoded[t], live, t)
        live = {name: _where(going, updated[name], live[name]) for name in live}
        steps += going
        for name in counts:
            fired = _where(going, values[name], np.zeros_like(values[name]))
            counts[name] += fired.sum(tuple(range(1, fired.ndim)))
            if record:
                spikes[name].append(fired)
        if record:
            for name, state in live.items():
                after[name].append(state)
        scores = scores.after(values[program.readout.source], t, going)
        going = going & ~scores.decided(t)
    stacked = {name: np.stack(kept) for name, kept in spikes.items()} if record else {}
    states = {name: np.stack(kept) for name, kept in after.items()} if record else {}
    return Trace(scores.values.argmax(1), scores.values, steps, counts, live, stacked, states)


def step(program: Program, x: Ints, states: Values, t: int) -> tuple[Values, Values]:
    """One step: every value, and the states after it; nothing is changed in place.

    Args:
        x: ``[B, *program.input.result.shape]``.
    """
    values, updated = {program.input.result.name: x}, dict(states)
    for operation in program.operations:
        values[operation.result.name] = apply(operation, program, values, updated, t)
    kept = {op.state: values[op.of] for op in program.operations if isinstance(op, Delay)}
    return values, updated | kept


def apply(operation: Operation, program: Program, values: Values, states: Values, t: int) -> Ints:
    """What one operation gives in step t; the states of neurons in ``states`` become those after the step."""
    return _apply(operation, program, values, states, t)


def _where(going: npt.NDArray[np.bool_], new: Ints, old: Ints) -> Ints:
    return np.where(going.reshape(-1, *[1] * (new.ndim - 1)), new, old)


@singledispatch
def _apply(operation: Operation, program: Program, values: Values, states: Values, t: int) -> Ints:
    raise TypeError(type(operation))


@_apply.register
def _(operation: Dense, program: Program, values: Values, states: Values, t: int) -> Ints:
    return values[operation.source] @ program.array(operation.weight)


@_apply.register
def _(operation: Conv2d, program: Program, values: Values, states: Values, t: int) -> Ints:
    weight, pad, stride = program.array(operation.weight), operation.padding, operation.stride
    x = np.pad(values[operation.source], ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = operation.result.shape[:2]
    y = np.zeros((len(x), *operation.result.shape), dtype=np.int64)
    for a in range(weight.shape[0]):
        for b in range(weight.shape[1]):
            rows = slice(a, a + stride * (height - 1) + 1, stride)
            columns = slice(b, b + stride * (width - 1) + 1, stride)
            y += x[:, rows, columns] @ weight[a, b]
    return y


def windows(x: Ints, size: int) -> Ints:
    """``[..., H, W, C]`` cut into windows: ``[..., H/size, W/size, size, size, C]``; a rest is left out."""
    height, width, channels = x.shape[-3] // size, x.shape[-2] // size, x.shape[-1]
    cut = x[..., : height * size, : width * size, :].reshape(*x.shape[:-3], height, size, width, size, channels)
    return np.swapaxes(cut, -4, -3)


@_apply.register
def _(operation: SumPool, program: Program, values: Values, states: Values, t: int) -> Ints:
    total: Ints = windows(values[operation.source], operation.size).sum((-3, -2))
    return total


@_apply.register
def _(operation: MaxPool, program: Program, values: Values, states: Values, t: int) -> Ints:
    highest: Ints = windows(values[operation.source], operation.size).max((-3, -2))
    return highest


@_apply.register
def _(operation: Add, program: Program, values: Values, states: Values, t: int) -> Ints:
    return values[operation.left] + values[operation.right]


@_apply.register
def _(operation: Scale, program: Program, values: Values, states: Values, t: int) -> Ints:
    return values[operation.source] * program.array(operation.factor)


@_apply.register
def _(operation: Matmul, program: Program, values: Values, states: Values, t: int) -> Ints:
    return heads_product(operation, values[operation.left], values[operation.right])


def heads_product(operation: Matmul, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The products of ``[..., *shape]`` arrays of either side, of the sides' own element type."""

    def split(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return x.reshape(*x.shape[:-1], operation.heads, x.shape[-1] // operation.heads).swapaxes(-3, -2)

    if operation.form == "scores":
        scores: npt.NDArray[Any] = split(a) @ split(b).swapaxes(-1, -2)
        return scores
    heads = (a @ split(b)).swapaxes(-3, -2)
    values: npt.NDArray[Any] = heads.reshape(*heads.shape[:-2], b.shape[-1])
    return values


@_apply.register
def _(operation: Delay, program: Program, values: Values, states: Values, t: int) -> Ints:
    return states[operation.state]


@_apply.register
def _(operation: Reshape, program: Program, values: Values, states: Values, t: int) -> Ints:
    x = values[operation.source]
    return x.reshape(len(x), *operation.result.shape)


def row(program: Program, name: str | None, t: int) -> Ints:
    """The row of a parameter array for step t, ``[C]`` or ``[1]``; zero for None."""
    if name is None:
        return np.zeros(1, dtype=np.int64)
    values = program.arrays[name].values
    found: Ints = values[t if len(values) > 1 else 0].astype(np.int64)
    return found


def potential(operation: LIF | Integrate, program: Program, v: Ints, current: Ints, t: int) -> Ints:
    """The membrane potential before firing."""
    multiplier, bias = row(program, operation.leak, t), row(program, operation.bias, t)
    kind = program.state[operation.state].type
    u: Ints = intmath.integrate(v, current, bias, multiplier, operation.shift, kind)
    return u


def raised(operation: LIF, threshold: Ints, amount: Ints, a: Ints) -> tuple[Ints, Ints]:
    """Threshold and what a subtract reset takes, where adaptation is ``a``."""
    now: Ints = intmath.raised(threshold, a, operation.adapt_fraction)
    return now, now if operation.reset_by is None else amount


def adapted(operation: LIF, program: Program, a: Ints, fired: npt.NDArray[np.bool_], t: int) -> Ints:
    """Adaptation after the spikes of step t."""
    assert operation.adapt is not None
    multiplier, jump = row(program, operation.adapt_leak, t), row(program, operation.adapt_jump, t)
    kind = program.state[operation.adapt].type
    after: Ints = intmath.adapted(a, fired, jump, multiplier, operation.adapt_shift, kind)
    return after


@_apply.register
def _(operation: LIF, program: Program, values: Values, states: Values, t: int) -> Ints:
    v, threshold = states[operation.state], row(program, operation.threshold, t)
    u, amount = potential(operation, program, v, values[operation.source], t), row(program, operation.amount, t)
    if operation.adapt is not None:
        threshold, amount = raised(operation, threshold, amount, states[operation.adapt])
    fired = intmath.fire(u, threshold)
    if operation.hold is not None:
        held = states[operation.hold] > 0
        u, fired = np.where(held, v, u), fired & ~held
        states[operation.hold] = np.where(fired, operation.refractory, (states[operation.hold] - 1).clip(min=0))
    if operation.adapt is not None:
        states[operation.adapt] = adapted(operation, program, states[operation.adapt], fired, t)
    carried = intmath.reset(u, fired, amount, operation.reset)
    states[operation.state] = intmath.stored(carried, program.state[operation.state].codec)
    spikes: Ints = fired.astype(np.int64)
    return spikes


@_apply.register
def _(operation: Integrate, program: Program, values: Values, states: Values, t: int) -> Ints:
    u = potential(operation, program, states[operation.state], values[operation.source], t)
    states[operation.state] = intmath.stored(u, program.state[operation.state].codec)
    return u
