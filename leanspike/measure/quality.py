"""How often the network is right, and how sure we can be of it.

    accuracy   a = c / n                                             c correct of n samples
    Wilson     (a + z²/2n ± z sqrt(a(1-a)/n + z²/4n²)) / (1 + z²/n)     interval of one trial: which samples were drawn
    ratio      a ± z sqrt(n/(n-1) Σ (c_i - a m_i)²) / Σ m_i          of steps' labels, c_i correct of m_i in sequence i
    Student    mean ± t(n-1) · s / sqrt(n)                           interval over seeds: which training run was drawn
    Welch      (m₁ - m₂) ± t(ν) sqrt(s₁²/n₁ + s₂²/n₂)                interval of a difference between two sets of seeds

E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212.
B. L. Welch, Biometrika 34 (1947) 28-35, ν by Satterthwaite. The distribution of t: Abramowitz and Stegun 26.7.3-4.
A ratio: W. G. Cochran, "Sampling Techniques", 3rd ed. 1977, 6.5.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError

Ints = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Mean:
    """A mean over ``n`` runs; ``lo`` and ``hi`` bound it with the stated confidence, ``None`` where n < 2."""

    mean: float
    lo: float | None
    hi: float | None
    n: int


def correct(predictions: Ints, labels: Ints) -> int:
    """How many of ``predictions [N]`` equal ``labels [N]``; of steps ``[N, T]`` each, labels of -1 aside.

    Raises:
        DataError: the shapes differ or there is no sample.
    """
    if predictions.shape != labels.shape or predictions.ndim not in (1, 2) or predictions.size == 0:
        raise DataError(
            f"accuracy needs two equally long lists of classes, found {predictions.shape} and {labels.shape}",
            remedy="give predictions [N] and labels [N] with N >= 1",
        )
    return int(np.count_nonzero(predictions == labels))


def accuracy(predictions: Ints, labels: Ints) -> float:
    """Share of right predictions, 0..1; see :func:`correct`."""
    return correct(predictions, labels) / labelled(labels)


def labelled(labels: Ints) -> int:
    """How many labels there are: samples, or steps whose label is not -1."""
    return int(np.count_nonzero(labels >= 0))


def share_interval(predictions: Ints, labels: Ints, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of an accuracy: Wilson's; of labels of steps that of a ratio over sequences, cut to 0..1.

    Steps of one sequence are not independent: which sequences were drawn is what varies.
    """
    right = correct(predictions, labels)
    if labels.ndim == 1:
        return wilson(right, len(labels), confidence)
    known, hits = (labels >= 0).sum(1), ((predictions == labels) & (labels >= 0)).sum(1)
    share, count = right / known.sum(), len(labels)
    if count < 2:
        return 0.0, 1.0
    error = math.sqrt(count / (count - 1) * float(((hits - share * known) ** 2).sum())) / float(known.sum())
    spread = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    return max(0.0, share - spread), min(1.0, share + spread)


def wilson(right: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson score interval of a share: ``right`` of ``total``, both bounds in 0..1."""
    if not 0 <= right <= total or total == 0:
        raise DataError(f"an interval needs 0 <= right <= total and total >= 1, found {right} of {total}")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    lo = 0.0 if right == 0 else (centre - spread) / scale
    hi = 1.0 if right == total else (centre + spread) / scale
    return lo, hi


def student_t(freedom: int, confidence: float = 0.95) -> float:
    """The t with P(\\|T\\| <= t) = ``confidence`` for ``freedom`` >= 1 degrees of freedom."""
    if freedom < 1 or not 0 < confidence < 1:
        raise DataError(f"Student's t needs freedom >= 1 and 0 < confidence < 1, found {freedom} and {confidence}")
    lo, hi = 0.0, math.pi / 2
    while (middle := (lo + hi) / 2) not in (lo, hi):
        lo, hi = (middle, hi) if _inside(middle, freedom) < confidence else (lo, middle)
    return math.tan(lo) * math.sqrt(freedom)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Mean:
    """Mean over independent runs with its Student interval."""
    if len(values) == 0:
        raise DataError("a mean needs at least one value")
    mean = float(np.mean(values))
    if len(values) == 1:
        return Mean(mean, None, None, 1)
    spread = student_t(len(values) - 1, confidence) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Mean(mean, mean - spread, mean + spread, len(values))


def difference_interval(first: Sequence[float], second: Sequence[float], confidence: float = 0.95) -> Mean:
    """Mean of ``first`` minus mean of ``second`` with Welch's interval; ν is rounded down, which widens it.

    ``n`` is the smaller number of runs; with a single run on either side there is no interval.
    """
    gap = mean_interval(first).mean - mean_interval(second).mean
    n = min(len(first), len(second))
    if n < 2:
        return Mean(gap, None, None, n)
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    if sum(parts) == 0:
        return Mean(gap, gap, gap, n)
    satterthwaite = sum(parts) ** 2 / (parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1))
    spread = student_t(max(1, math.floor(satterthwaite + 1e-9)), confidence) * math.sqrt(sum(parts))
    return Mean(gap, gap - spread, gap + spread, n)


def confusion(predictions: Ints, labels: Ints, classes: int) -> npt.NDArray[np.int64]:
    """``[K, K]`` counts: row = true class, column = predicted class.

    Raises:
        DataError: a class lies outside 0..K-1; see also :func:`correct`.
    """
    correct(predictions, labels)
    predictions, labels = predictions[labels >= 0], labels[labels >= 0]
    for found in (predictions, labels):
        if found.min() < 0 or found.max() >= classes:
            raise DataError(f"classes run from 0 to {classes - 1}, found {found.min()} to {found.max()}")
    return np.bincount(labels * classes + predictions, minlength=classes * classes).reshape(classes, classes)


def _inside(angle: float, freedom: int) -> float:
    """P(\\|T\\| <= tan(angle) sqrt(freedom)) in closed form for a whole number of degrees of freedom."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= cosine * cosine * k / (k + 1)
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
