"""A draft run in float64: what the steps of lowering are checked against while there are no integers yet."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from leanspike.ir import State, intmath
from leanspike.lower.draft import Draft, Floats, Stage, Synapse
from leanspike.lower.signals import Attended, Delayed, Fired, Flat, Late, Pool, Signal, Sum

Live = dict[Signal, Floats]
"""Signals ``[T, B, ...]`` that are known."""


def simulate(draft: Draft, x: Floats, states: tuple[State, ...] | None = None) -> Floats:
    """Scores ``[B, K]`` of the readout.

    Args:
        x: ``[T, B, ...]``, images channels last.
        states: of a draft of integers, every stage's potentials: they saturate, leaks are floored, what a step leaves
            is stored by the state's codec, and average pools sum.
    """
    live: Live = {Fired(0): x}
    for i, stage in enumerate(draft.stages):
        spikes, potential = _stage(stage, live, states[i] if states else None)
        live[Fired(stage.number)] = spikes
    steps = len(x)
    spikes, potential = (found.reshape(*found.shape[:2], -1) for found in (spikes, potential))
    if draft.readout == "count":
        return spikes.sum(0)  # type: ignore[no-any-return]
    if draft.readout == "first_spike":
        return (spikes * np.arange(steps, 0, -1)[:, None, None]).max(0)  # type: ignore[no-any-return]
    reduced = {"membrane_last": potential[-1], "membrane_max": potential.max(0), "membrane_mean": potential.sum(0)}
    return reduced[draft.readout]  # type: ignore[no-any-return]


def _stage(stage: Stage, live: Live, state: State | None) -> tuple[Floats, Floats]:
    feedback = [synapse for synapse in stage.synapses if isinstance(synapse.source, Delayed)]
    arriving = [synapse for synapse in stage.synapses if synapse not in feedback]
    current = sum(_normal(synapse, _current(synapse, _signal(synapse.source, live, state))) for synapse in arriving)
    assert isinstance(current, np.ndarray)
    v, hold, a = np.zeros((3, *current.shape[1:]))
    whole = _as_is if state is None else np.floor
    spikes, potentials = np.zeros_like(current), np.zeros_like(current)
    for t in range(len(current)):
        leak, theta = (_row(array, t) for array in (stage.leak, stage.threshold))
        y = current[t]
        for synapse in feedback:
            before = spikes[t - 1 : t] if t else np.zeros_like(spikes[:1])
            y = y + _normal(synapse, _current(synapse, before))[0]
        u = leak * v + y if state is None else intmath.saturate(np.floor(leak * v) + y, state.type)
        u = np.where(hold > 0, v, u)
        potentials[t] = v = u
        if stage.threshold is not None:
            if stage.adaptation is not None:
                theta = theta + whole(a / 2.0**stage.adaptation.fraction)
            fired = (u >= theta) & (hold == 0)
            hold = np.where(fired, stage.refractory, np.maximum(hold - 1, 0))
            if stage.adaptation is not None:
                a = whole(stage.adaptation.decay * a) + fired * stage.adaptation.jump
            amount = theta if stage.reset_by is None else _row(stage.reset_by, t)
            v = u - fired * amount if stage.reset == "subtract" else u * ~fired
            spikes[t] = fired
        if state is not None:
            v = intmath.stored(v.astype(np.int64), state.codec).astype(np.float64)
    return spikes, potentials


def _as_is(x: Floats) -> Floats:
    return x


def _row(array: Floats | None, t: int) -> Floats:
    if array is None:
        return np.zeros(1)
    found: Floats = array[t if len(array) > 1 else 0]
    return found


def _current(synapse: Synapse, x: Floats) -> Floats:
    """``[T, B, ...]`` without bias and norm."""
    if synapse.one_to_one:
        return x * synapse.weight
    return x @ synapse.weight if synapse.weight.ndim == 2 else _convolved(synapse, x)


def _normal(synapse: Synapse, current: Floats) -> Floats:
    """A current with its bias, through its norm."""
    y = current + _over_time(synapse.bias, current)
    if synapse.norm is not None:
        y = y * _over_time(synapse.norm.scale, current) + _over_time(synapse.norm.shift, current)
    return y


def _over_time(rows: Floats, current: Floats) -> Floats:
    """``[S, C]`` as it is added to ``[T, B, ..., C]``."""
    used = rows if len(rows) == 1 else rows[: len(current)]
    return used.reshape(len(used), *[1] * (current.ndim - 2), used.shape[1])


def _convolved(synapse: Synapse, x: Floats) -> Floats:
    pad, stride, weight = synapse.padding, synapse.stride, synapse.weight
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad), (0, 0)))
    height = (padded.shape[2] - weight.shape[0]) // stride + 1
    width = (padded.shape[3] - weight.shape[1]) // stride + 1
    y = np.zeros((*x.shape[:2], height, width, weight.shape[3]))
    for a in range(weight.shape[0]):
        for b in range(weight.shape[1]):
            rows = slice(a, a + stride * (height - 1) + 1, stride)
            columns = slice(b, b + stride * (width - 1) + 1, stride)
            y += padded[:, :, rows, columns] @ weight[a, b]
    return y


def _signal(signal: Signal, live: Live, state: State | None) -> Floats:
    """A signal ``[T, B, ...]``; it is known from then on."""
    if signal not in live:
        live[signal] = _made(signal, live, state)
    return live[signal]


@singledispatch
def _made(signal: Signal, live: Live, state: State | None) -> Floats:
    raise TypeError(type(signal), live, state)


@_made.register
def _(signal: Flat, live: Live, state: State | None) -> Floats:
    x = _signal(signal.of, live, state)
    return x.reshape(*x.shape[:2], -1)


@_made.register
def _(signal: Late, live: Live, state: State | None) -> Floats:
    x = _signal(signal.of, live, state)
    return np.concatenate([np.zeros_like(x[: signal.steps]), x[: max(0, len(x) - signal.steps)]])


@_made.register
def _(signal: Pool, live: Live, state: State | None) -> Floats:
    x, size = _signal(signal.of, live, state), signal.size
    height, width = x.shape[2] // size, x.shape[3] // size
    cut = x[:, :, : height * size, : width * size]
    windows = cut.reshape(*x.shape[:2], height, size, width, size, x.shape[4])
    pooled: Floats = windows.max((3, 5)) if signal.kind == "max" else windows.sum((3, 5))
    return pooled / size**2 if signal.kind == "average" and state is None else pooled


@_made.register
def _(signal: Sum, live: Live, state: State | None) -> Floats:
    return _signal(signal.left, live, state) + _signal(signal.right, live, state)


@_made.register
def _(signal: Attended, live: Live, state: State | None) -> Floats:
    sides = []
    for side in (signal.query, signal.key, signal.value):
        x = _signal(side, live, state)
        sides.append(x.reshape(*x.shape[:2], -1, signal.heads, x.shape[4] // signal.heads).swapaxes(2, 3))
    query, key, value = sides
    mixed: Floats = (query @ key.swapaxes(-1, -2)) @ value
    return mixed.swapaxes(2, 3).reshape(x.shape)
