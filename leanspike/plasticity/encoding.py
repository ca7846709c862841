"""Samples as firing thresholds, and the seeds of their spikes: one stream for learning, labels and test each.

``threshold = floor(65535 min(rate x, 1) + 1/2)``, x in steps of 1/255: an input fires where a 16-bit draw lies below
(:mod:`leanspike.core.rng`; the numbers of a sample's draws are its number in its set, the step and the input).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core import rng

LEVELS = 255
_PASS, _LABELS, _TEST, _WEIGHTS, _ORDER = 1, 2, 3, 4, 5

U16 = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]


def table(rate: float) -> npt.NDArray[np.int64]:
    """Thresholds ``[256]`` of the levels 0..255; ``rate`` is the probability of a spike in a step for level 255."""
    p = np.minimum(np.arange(LEVELS + 1) / LEVELS * rate, 1.0)
    return np.floor(65535 * p + 0.5).astype(np.int64)


def raw(x: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Samples ``[N, ...]`` (uint8, or floats in [0, 1]) as levels ``[N, inputs]``, images channels last."""
    last = np.moveaxis(x, -3, -1) if x.ndim >= 4 else x
    levels = last if last.dtype == np.uint8 else np.floor(last.astype(np.float64) * LEVELS + 0.5).astype(np.uint8)
    return np.ascontiguousarray(levels.reshape(len(x), -1))


def thresholds(levels: npt.NDArray[np.uint8], rate: float) -> U16:
    """Thresholds ``[N, inputs]`` of levels."""
    return table(rate).astype(np.uint16)[levels]


def pass_seed(seed: int, number: int) -> int:
    """Seed of the spikes of a pass over the training samples."""
    return rng.derive(seed, _PASS, number)


def label_seed(seed: int) -> int:
    """Seed of the spikes that label neurons."""
    return rng.derive(seed, _LABELS)


def final_seed(seed: int) -> int:
    """Seed of the spikes of tests, and of a lowered program."""
    return rng.derive(seed, _TEST)


def first_weights(seed: int, inputs: int, neurons: int, highest: float) -> npt.NDArray[np.float32]:
    """Uniform weights ``[inputs, neurons]``, 0 up to ``highest``, before they are normalised."""
    words = rng.mix(
        rng.mix([rng.derive(seed, _WEIGHTS)]) + np.arange(inputs * neurons, dtype=np.uint32) * np.uint32(rng.GOLDEN)
    )
    return ((words >> np.uint32(8)).astype(np.float32) * np.float32(highest / (1 << 24))).reshape(inputs, neurons)


@functools.lru_cache(maxsize=2)
def order(seed: int, number: int, samples: int) -> Ints:
    """The order ``[samples]`` of a pass, read-only: by the hash of every index."""
    start = rng.mix([rng.derive(seed, _ORDER, number)])
    hashes = rng.mix(start + np.arange(samples, dtype=np.uint32) * np.uint32(rng.GOLDEN))
    found = np.argsort(hashes, kind="stable")
    found.flags.writeable = False
    return found
