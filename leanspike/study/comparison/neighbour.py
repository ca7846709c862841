"""1-NN with dynamic time warping: a series takes the class of the training series that it warps to most cheaply.

    D[i, j] = sum over c of (a[c, i] - b[c, j])^2 + min(D[i-1, j], D[i, j-1], D[i-1, j-1])      |i - j| <= w
    d(a, b) = D[T, T]                     the same w and one warping for all channels ("dependent" DTW)

w is that of :data:`SHARES` of T with the fewest errors of leave-one-out on the training set, the narrowest of equal
ones, which is how the UCR archive learns its window (Dau et al. 2018; the archive tries every percent). dtaidistance
computes the distances.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import MissingTool

SHARES = (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.12, 0.2)
"""Windows that are tried, as shares of T."""
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Neighbour:
    """A chosen window ``w`` in steps, and the share of training series that leave-one-out gets right with it."""

    window: int
    validation_accuracy: float


def library() -> Any:
    """dtaidistance's DTW of several channels, compiled.

    Raises:
        MissingTool: it is not installed.
    """
    try:
        return importlib.import_module("dtaidistance.dtw_ndim")
    except ImportError as error:
        remedy = "pip install 'leanspike[series]'"
        raise MissingTool("needs dtaidistance", where="--models 1nn-dtw", remedy=remedy) from error


def windows(steps: int) -> list[int]:
    """The windows that are tried for series of T steps, in steps."""
    return sorted({round(share * steps) for share in SHARES})


def tuned(train: Floats, labels: Labels) -> Neighbour:
    """The best window for ``[N, C, T]`` training series, N > 1."""
    found = []
    for window in windows(train.shape[2]):
        distances = _between(train, train, window)
        np.fill_diagonal(distances, np.inf)
        found.append(Neighbour(window, float((labels[distances.argmin(1)] == labels).mean())))
    return max(found, key=lambda one: (one.validation_accuracy, -one.window))


def predictions(train: Floats, labels: Labels, test: Floats, window: int) -> Labels:
    """Classes of ``[M, C, T]`` series."""
    return np.asarray(labels[_between(test, train, window).argmin(1)])


def cells(steps: int, window: int) -> int:
    """Cells of the table that one distance fills: pairs i, j of 0..T-1 with |i - j| <= w."""
    w = min(window, steps - 1)
    return steps * (2 * w + 1) - w * (w + 1)


def _between(a: Floats, b: Floats, window: int) -> Floats:
    """Distances ``[len(a), len(b)]``; the library's window is the first offset that is not allowed."""
    dtw = library()
    both = [np.ascontiguousarray(series.T) for series in (*a, *b)]
    block = ((0, len(a)), (len(a), len(both)))
    table = dtw.distance_matrix_fast(both, window=window + 1, block=block, compact=False, parallel=False)
    return np.array(table, dtype=np.float64)[: len(a), len(a) :]
