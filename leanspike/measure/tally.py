"""What a program did, step by step, counted while it ran: the figures from which work and traffic follow exactly.

    used[t]             share of the samples that executed step t; 1 without an early exit
    nonzero[x][t]       elements of value x that are not 0                      spikes, of a value of spikes
    operations[y][t]    synaptic operations that gave y                         :mod:`leanspike.ir.counts`
    entries[y][t]       stored entries of its weights that were read for them   sparse rows: padding entries included
    rows[y][t]          rows of weights that were visited for them              one a non-zero input and kernel tap
    active[s][t]        neurons that were updated                               all but what a refractory period holds

All are means over the samples, ``[T]``. What a constant input feeds (direct coding) is executed in step 0 only.
``pixels`` are the non-zero values of the raw sample, and ``pixel_counts`` the operations, entries and rows of the
synapses that read the input, if they were given the raw sample: that is what an ANN reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.trace import Trace, joined
from leanspike.ir import Program
from leanspike.ir.counts import Synapse, Working, constant_values, pairs, reach, spread, working
from leanspike.ir.encodings import Direct, Latency, Rate
from leanspike.ir.fast import propagated, trace
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.ops import LIF, Conv2d, Dense, Integrate, Matmul, Reshape, sources
from leanspike.ir.sparse import sparse

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tally:
    """See the head of this module; the keys are names of values."""

    used: Floats
    nonzero: Mapping[str, Floats]
    operations: Mapping[str, Floats]
    entries: Mapping[str, Floats]
    rows: Mapping[str, Floats]
    active: Mapping[str, Floats]
    pixels: float | None = None
    pixel_counts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def origin(program: Program, name: str) -> str:
    """The value that ``name`` is, reshapes undone."""
    made = {op.result.name: op for op in program.operations if isinstance(op, Reshape)}
    while name in made:
        name = made[name].source
    return name


def met(op: Synapse, program: Program) -> dict[str, Ints]:
    """Operations, stored entries and rows that every input of a synapse meets, of the source's shape."""
    weight, connections = program.arrays[op.weight], reach(op, program)
    kernel = weight.values.shape[:-1]
    rows = spread(op, program, np.ones(kernel, dtype=np.int64))
    if weight.form != "sparse":
        return {"operations": connections, "entries": connections, "rows": rows}
    stored = np.diff(sparse(weight.values, weight.type).starts).reshape(kernel)
    return {"operations": connections, "entries": spread(op, program, stored), "rows": rows}


def tally(
    program: Program, raw: npt.NDArray[Any], numbers: npt.NDArray[np.integer] | None = None
) -> tuple[Trace, Tally]:
    """Run a program and count.

    Args:
        raw: ``[N, *program.input.raw.shape]`` integers, N >= 1.
        numbers: ``[N]`` sample numbers for the rate encoding.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    counter = _Counter(program)
    traces = []
    for part, (live, after) in propagated(program, raw, numbers):
        traces.append(trace(program, len(part), live, after))
        used = np.arange(program.steps)[:, None] < traces[-1].steps
        counter.add(live, after, used)
    return joined(traces), counter.tally(raw)


class _Counter:
    """Sums over samples, ``[T]`` each."""

    def __init__(self, program: Program) -> None:
        self.program, self.constant = program, constant_values(program)
        self.meets = {op.result.name: _meets(op, program) for op in working(program)}
        self.samples = 0
        self.used: Floats = np.zeros(program.steps)
        self.sums: dict[tuple[str, str], Floats] = {}

    def add(self, live: Mapping[str, Ints], after: Mapping[str, Ints], used: npt.NDArray[np.bool_]) -> None:
        self.samples += used.shape[1]
        self.used += used.sum(1)
        for name, value in live.items():
            self._add("nonzero", name, _by_sample(value[:1] if name in self.constant else value), used)
        for op in working(self.program):
            done = self._done(op, live)
            if self.constant.issuperset(sources(op)):
                done = {key: np.where(np.arange(len(used))[:, None] == 0, found, 0) for key, found in done.items()}
            for key, found in done.items():
                self._add(key, op.result.name, found, used)
        for neurons in self.program.operations:
            if isinstance(neurons, LIF | Integrate):
                self._add("active", neurons.result.name, self._active(neurons, after, used), used)

    def _done(self, op: Working, live: Mapping[str, Ints]) -> dict[str, Ints]:
        """``[T or 1, B]`` of every count."""
        if isinstance(op, Matmul):
            a, b = live[op.left] != 0, live[op.right] != 0
            return {"operations": pairs(op, a, b)}
        x = live[op.source]
        fired = (x[:1] if op.source in self.constant else x) != 0
        flat = fired.reshape(*fired.shape[:2], -1)
        return {key: flat @ found.reshape(-1) for key, found in self.meets[op.result.name].items()}

    def _active(self, op: LIF | Integrate, after: Mapping[str, Ints], used: npt.NDArray[np.bool_]) -> Ints:
        neurons = np.full(used.shape, math.prod(op.result.shape))
        if isinstance(op, LIF) and op.hold is not None:
            held = _by_sample(after[op.hold])
            neurons[1:] -= held[:-1]
        return neurons

    def _add(self, key: str, name: str, found: Ints, used: npt.NDArray[np.bool_]) -> None:
        total = (np.broadcast_to(found, used.shape) * used).sum(1)
        self.sums[key, name] = self.sums.get((key, name), np.zeros(len(used))) + total

    def tally(self, raw: npt.NDArray[Any]) -> Tally:
        keys = ("nonzero", "operations", "entries", "rows", "active")
        means: dict[str, dict[str, Floats]] = {key: {} for key in keys}
        for (key, name), total in self.sums.items():
            means[key][name] = total / self.samples
        pixels, counts = _pixels(self.program, raw, self.meets)
        return Tally(self.used / self.samples, **means, pixels=pixels, pixel_counts=counts)


def _meets(op: Working, program: Program) -> dict[str, Ints]:
    if isinstance(op, Matmul):
        return {}
    if isinstance(op, Dense | Conv2d):
        return met(op, program)
    return {"operations": reach(op, program)}


def _by_sample(value: Ints) -> Ints:
    counts: Ints = np.count_nonzero(value.reshape(*value.shape[:2], -1), axis=2)
    return counts


def _pixels(
    program: Program, raw: npt.NDArray[Any], meets: Mapping[str, Mapping[str, Ints]]
) -> tuple[float | None, dict[str, dict[str, float]]]:
    """None for a series, which is no single sample for an ANN."""
    start = program.input
    if not isinstance(start.encoding, Direct | Rate | Latency):
        return None, {}
    fired = (raw != 0).reshape(len(raw), -1)
    first = [op for op in working(program) if not isinstance(op, Matmul)]
    counts = {
        op.result.name: {key: float((fired @ rows.reshape(-1)).mean()) for key, rows in meets[op.result.name].items()}
        for op in first
        if origin(program, op.source) == start.result.name
    }
    return float(fired.sum(1).mean()), counts


def uniform(program: Program, rate: float, steps: int, found: Tally) -> Tally:
    """The tally of the program with other ``steps`` in which all spikes come at one rate.

    What is constant, and wider values, stay as they were ``found``. Every figure is linear in ``rate``, but for those
    of a matmul of spikes by spikes, which go with its square.
    """
    constant = constant_values(program)
    every, once = np.ones(steps), (np.arange(steps) == 0).astype(np.float64)
    nonzero = {}
    for name, value in program.values.items():
        spiking = value.type == SPIKE
        nonzero[name] = every * (rate * math.prod(value.shape) if spiking else float(found.nonzero[name].mean()))
    counts: dict[str, dict[str, Floats]] = {"operations": {}, "entries": {}, "rows": {}}
    for op in working(program):
        spikes = sum(program.values[source].type == SPIKE for source in sources(op))
        for key, full in whole(op, program).items():
            before = getattr(found, key)[op.result.name]
            if constant.issuperset(sources(op)):
                counts[key][op.result.name] = once * float(before[0])
            else:
                counts[key][op.result.name] = every * (rate**spikes * full if spikes else float(before.mean()))
    active = {
        op.result.name: every * math.prod(op.result.shape)
        for op in program.operations
        if isinstance(op, LIF | Integrate)
    }
    return Tally(every, nonzero, **counts, active=active, pixels=found.pixels, pixel_counts=found.pixel_counts)


def whole(op: Working, program: Program) -> dict[str, float]:
    """Operations, entries and rows of every input, where none is skipped."""
    if isinstance(op, Matmul):
        left, right = (np.ones(program.values[name].shape, dtype=bool) for name in sources(op))
        return {"operations": float(pairs(op, left, right))}
    return {key: float(found.sum()) for key, found in _meets(op, program).items()}
