"""Input encodings in integers: a raw sample goes in, and every target sees the same values in every step.

    direct     x[t] = raw                                             the same in every step
    rate       x[t, j] = draw16(key(seed, number, t), j) < table[raw[j]]
    latency    x[t, j] = table[raw[j]] == t                           one spike; an entry of T or more: none
    delta      c = raw[:, t]; on = c - r >= threshold; off = r - c >= threshold; r += threshold (on - off)
               x[t] = [on of every channel, off of every channel]     raw is a series [C, T]; r starts at ``start``
    sequence   x[t] = raw[t]                                          raw is [T, ...]: events, or analogue steps

``draw16`` and ``key`` are those of :mod:`leanspike.core.rng`; j counts a raw sample's values in C order, and
``number`` is the sample's number in its set. A table is an array of the program with one entry a raw level.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from leanspike.core import rng
from leanspike.ir.inttype import Ints

if TYPE_CHECKING:
    from leanspike.ir.program import Program


@dataclass(frozen=True)
class Direct:
    """The raw value itself, in every step."""

    keyword: ClassVar[str] = "direct"


@dataclass(frozen=True)
class Rate:
    """Bernoulli spikes; ``table[level]`` is the threshold on 16-bit draws, 0..65535."""

    keyword: ClassVar[str] = "rate"
    seed: int
    table: str


@dataclass(frozen=True)
class Latency:
    """One spike at step ``table[level]``; none where that is T or more."""

    keyword: ClassVar[str] = "latency"
    table: str


@dataclass(frozen=True)
class Delta:
    """ON and OFF spikes of a series' changes by ``threshold`` or more, tracked from ``start``, in raw units."""

    keyword: ClassVar[str] = "delta"
    threshold: int
    start: int


@dataclass(frozen=True)
class Sequence:
    """The raw sample holds every step."""

    keyword: ClassVar[str] = "sequence"


Encoding = Direct | Rate | Latency | Delta | Sequence
ENCODINGS: dict[str, type[Encoding]] = {kind.keyword: kind for kind in (Direct, Rate, Latency, Delta, Sequence)}


def encode(program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None = None) -> Ints:
    """Encode raw samples.

    Args:
        raw: ``[B, *program.input.raw.shape]`` integers of the raw type.
        numbers: ``[B]`` sample numbers, for ``rate``; 0..B-1 if None.

    Returns:
        ``[T, B, *program.input.result.shape]`` int64; ``direct`` gives a view with stride 0 in time.
    """
    encoding, steps = program.input.encoding, program.steps
    values = raw.astype(np.int64)
    if isinstance(encoding, Direct):
        return np.broadcast_to(values, (steps, *values.shape))
    if isinstance(encoding, Sequence):
        return np.moveaxis(values, 1, 0)
    if isinstance(encoding, Rate):
        thresholds = program.array(encoding.table)[values]
        return _rate(thresholds, np.arange(len(raw)) if numbers is None else numbers, encoding.seed, steps)
    if isinstance(encoding, Latency):
        when = program.array(encoding.table)[values]
        now = np.arange(steps).reshape(-1, *[1] * values.ndim)
        return np.equal(when, now).astype(np.int64)
    return _delta(values, encoding)


def _rate(thresholds: Ints, numbers: npt.NDArray[np.integer], seed: int, steps: int) -> Ints:
    flat: Ints = thresholds.reshape(len(thresholds), math.prod(thresholds.shape[1:]))
    keys = rng.key(seed, numbers, np.arange(steps))
    spikes: Ints = np.empty((steps, *flat.shape), dtype=np.int64)
    for t in range(steps):
        spikes[t] = rng.draws16(keys[t], flat.shape[1]) < flat
    return spikes.reshape((steps, *thresholds.shape))


def _delta(series: Ints, encoding: Delta) -> Ints:
    track = np.full(series.shape[:2], encoding.start, dtype=np.int64)
    steps = []
    for value in np.moveaxis(series, 2, 0):
        on, off = value - track >= encoding.threshold, track - value >= encoding.threshold
        track = track + encoding.threshold * (on.astype(np.int64) - off)
        steps.append(np.concatenate([on, off], axis=1).astype(np.int64))
    return np.stack(steps)
