"""Coefficients of SAWB for any code of integers, found as the paper finds them (Choi et al. 2018, arXiv:1807.06964).

    a* = argmin over a of E[(w - (a / highest) clip(round(w highest / a), lowest, highest))^2]
    a* / E|w| = c1 sqrt(E w^2) / E|w| - c2            a line through six distributions, by least squares

The expectation is a mean over the quantiles (i + 1/2) / n of each distribution, n = 20,000: nothing is drawn.

    python scripts/sawb.py
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import stats

from leanspike.compress.weights import LEVELS, SAWB

SAMPLES = 20_000
DISTRIBUTIONS = (
    stats.norm(),
    stats.uniform(-1, 2),
    stats.laplace(),
    stats.logistic(),
    stats.triang(0.5, -1, 2),
    stats.vonmises(1.0),
)


def coefficients(lowest: int, highest: int) -> tuple[float, float]:
    """``(c1, c2)`` of a code ``lowest..highest``."""
    grid = (np.arange(SAMPLES) + 0.5) / SAMPLES
    points = []
    for distribution in DISTRIBUTIONS:
        w = distribution.ppf(grid)
        mean = float(np.abs(w).mean())
        points.append((math.sqrt(float((w**2).mean())) / mean, best_clip(w, lowest, highest) / mean))
    ratio, clip = np.array(points).T
    c1, negative = np.polyfit(ratio, clip, 1)
    return float(c1), float(-negative)


def best_clip(w: npt.NDArray[np.float64], lowest: int, highest: int) -> float:
    """The clip ``a`` of the smallest squared error, by two grids, the second finer around the first's best."""
    best, width = float(np.abs(w).max()) / 2, float(np.abs(w).max()) / 2
    for _ in range(3):
        clips = np.linspace(max(best - width, 1e-3), best + width, 121)
        errors = [_error(w, clip / highest, lowest, highest) for clip in clips]
        best, width = float(clips[int(np.argmin(errors))]), width / 40
    return best


def _error(w: npt.NDArray[np.float64], scale: float, lowest: int, highest: int) -> float:
    return float(((np.rint(w / scale).clip(lowest, highest) * scale - w) ** 2).mean())


if __name__ == "__main__":
    for bits, levels in LEVELS.items():
        found, used = coefficients(levels.lowest, levels.highest), SAWB[bits]
        print(f"{bits!s:>8}  c1 {found[0]:8.3f}  c2 {found[1]:8.3f}    used {used[0]:8.3f} {used[1]:8.3f}")
