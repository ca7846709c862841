"""A draft run in float64: what the steps of lowering are checked against while there are no integers yet."""

from __future__ import annotations

import numpy as np

from leanspike.ir import State, intmath
from leanspike.lower.draft import Draft, Flat, Floats, Stage


def simulate(draft: Draft, x: Floats, states: tuple[State, ...] | None = None) -> Floats:
    """Scores ``[B, K]`` of the readout.

    Args:
        x: ``[T, B, ...]``, images channels last.
        states: of a draft of integers, every stage's potentials: they saturate, leaks are floored, and what a step
            leaves is stored by the state's codec.
    """
    spikes: Floats = x
    for i, stage in enumerate(draft.stages):
        spikes, potential = _stage(stage, spikes, states[i] if states else None)
    steps = len(x)
    if draft.readout == "count":
        return spikes.sum(0)  # type: ignore[no-any-return]
    if draft.readout == "first_spike":
        return (spikes * np.arange(steps, 0, -1)[:, None, None]).max(0)  # type: ignore[no-any-return]
    reduced = {"membrane_last": potential[-1], "membrane_max": potential.max(0), "membrane_mean": potential.sum(0)}
    return reduced[draft.readout]  # type: ignore[no-any-return]


def _stage(stage: Stage, x: Floats, state: State | None) -> tuple[Floats, Floats]:
    for operation in stage.before:
        if isinstance(operation, Flat):
            x = x.reshape(*x.shape[:2], -1)
        else:
            size = operation.size
            height, width = x.shape[2] // size, x.shape[3] // size
            cut = x[:, :, : height * size, : width * size]
            windows = cut.reshape(*x.shape[:2], height, size, width, size, x.shape[4])
            x = windows.max((3, 5)) if operation.kind == "max" else windows.sum((3, 5))
    current = x @ stage.weight if stage.weight.ndim == 2 else _convolved(stage, x)
    v, hold = np.zeros(current.shape[1:]), np.zeros(current.shape[1:])
    spikes, potentials = np.zeros_like(current), np.zeros_like(current)
    for t in range(len(current)):
        leak, bias, theta = (_row(array, t) for array in (stage.leak, stage.bias, stage.threshold))
        y = current[t] + bias
        if stage.norm is not None:
            y = y * _row(stage.norm.scale, t) + _row(stage.norm.shift, t)
        u = leak * v + y if state is None else intmath.saturate(np.floor(leak * v) + y, state.type)
        u = np.where(hold > 0, v, u)
        potentials[t] = v = u
        if stage.threshold is not None:
            fired = (u >= theta) & (hold == 0)
            hold = np.where(fired, stage.refractory, np.maximum(hold - 1, 0))
            amount = theta if stage.reset_by is None else _row(stage.reset_by, t)
            v = u - fired * amount if stage.reset == "subtract" else u * ~fired
            spikes[t] = fired
        if state is not None:
            v = intmath.stored(v.astype(np.int64), state.codec).astype(np.float64)
    return spikes, potentials


def _row(array: Floats | None, t: int) -> Floats:
    if array is None:
        return np.zeros(1)
    found: Floats = array[t if len(array) > 1 else 0]
    return found


def _convolved(stage: Stage, x: Floats) -> Floats:
    pad, stride, weight = stage.padding, stage.stride, stage.weight
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
