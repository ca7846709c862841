"""Samples of a data set as the raw integers of a program.

    uint8 (255 stands for 1)   raw = floor(levels x / 255 + 1/2)      levels = 255: the bytes themselves
    floats in [0, 1]           raw = floor(levels x + 1/2)

Images ``(C, H, W)`` become channels last. A series ``(C, L)`` whose time is the program's becomes T values a channel,
each the mean over values floor(t L / T) to ceil((t + 1) L / T) - 1, and ``(T, C)`` for a sequence. Of F frames of
events ``(F, C, H, W)`` a program of T <= F steps takes the maximum over frames floor(t F / T) to
floor((t + 1) F / T) - 1 in step t.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import ProgramError
from leanspike.ir.encodings import Delta, Sequence
from leanspike.ir.program import Program


def raw_samples(program: Program, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Raw samples ``[N, *program.input.raw.shape]`` of the raw type's dtype.

    Args:
        x: ``[N, *shape]`` uint8, or floats in [0, 1]; images, series and frames channels first.

    Raises:
        ProgramError: the samples have another shape or leave [0, 1].
    """
    wanted, levels = program.input.raw, program.input.levels
    if x.ndim == 5 and isinstance(program.input.encoding, Sequence) and x.shape[1] > program.steps:
        starts = np.arange(program.steps) * x.shape[1] // program.steps
        x = np.maximum.reduceat(x, starts, axis=1)
    if x.ndim == 3 and isinstance(program.input.encoding, Delta | Sequence):
        x = resampled(x, program.steps)
        x = np.swapaxes(x, 1, 2) if isinstance(program.input.encoding, Sequence) else x
    values = np.moveaxis(x, -3, -1) if x.ndim in (4, 5) else x
    if values.shape[1:] != wanted.shape:
        where = f"program {program.name}"
        raise ProgramError(f"takes samples {list(wanted.shape)}, found {list(values.shape[1:])}", where=where)
    if values.dtype == np.uint8:
        raw = (
            values if levels == 255 else ((2 * levels * np.arange(256) + 255) // 510).astype(wanted.type.dtype)[values]
        )
    else:
        if values.size and not (values.min() >= 0 and values.max() <= 1):
            raise ProgramError("takes floats in [0, 1]", where=f"program {program.name}", remedy="scale the samples")
        raw = np.floor(values.astype(np.float64) * levels + 0.5)
    return np.ascontiguousarray(raw, dtype=wanted.type.dtype)


def resampled(series: npt.NDArray[Any], steps: int) -> npt.NDArray[Any]:
    """Series ``[N, C, L]`` brought to ``[N, C, steps]`` as the head of this module says; bytes become floats in [0, 1].

    A series of ``steps`` values, or of fewer, stays as it is.
    """
    length = series.shape[2]
    if length <= steps:
        return series
    unit = series.astype(np.float64) / (255 if series.dtype == np.uint8 else 1)
    sums = np.concatenate([np.zeros((*unit.shape[:2], 1)), unit.cumsum(2)], axis=2)
    first, last = np.arange(steps) * length // steps, -(-np.arange(1, steps + 1) * length // steps)
    means: npt.NDArray[np.float64] = (sums[:, :, last] - sums[:, :, first]) / (last - first)
    return means.clip(0, 1)
