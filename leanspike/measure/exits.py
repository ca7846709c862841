"""Stopping early: the answer as it stands after every step, and a confidence that decides when to stop.

    anytime      A(t) = accuracy of argmax_k z_t                       z_t: the readout after step t, logits [T, N, K]
    probability  C(t) = max_k softmax(z_t)_k
    margin       C(t) = largest - second largest of softmax(z_t)
    exit         t*(x) = first t with C(t) >= threshold, else T

One threshold gives one point (mean of t*, accuracy of the answer at t*); all thresholds give the curve. This is SEENN-I
of Y. Li et al., "SEENN: Towards temporal spiking early-exit neural networks", arXiv:2304.01230, whose z_t is the output
averaged over the steps so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999, 0.9999, 1.0)


@dataclass(frozen=True)
class Anytime:
    """Accuracy if the network is stopped after step ``t``; both lists equally long."""

    t: tuple[int, ...]
    accuracy: tuple[float, ...]


@dataclass(frozen=True)
class ExitCurve:
    """Accuracy against the mean number of steps used, one entry a threshold; all lists equally long."""

    threshold: tuple[float, ...]
    mean_steps: tuple[float, ...]
    accuracy: tuple[float, ...]


def anytime(logits: Floats, labels: Ints) -> Anytime:
    """Anytime accuracy of ``logits [T, N, K]`` against ``labels [N]``."""
    right = _right(logits, labels)
    return Anytime(tuple(range(1, len(right) + 1)), tuple(right.mean(axis=1).tolist()))


def confidence(logits: Floats, kind: Literal["probability", "margin"] = "probability") -> npt.NDArray[np.float64]:
    """Confidence ``[T, N]`` in 0..1 of ``logits [T, N, K]``, K >= 2."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    ranked = np.sort(shifted / shifted.sum(axis=-1, keepdims=True), axis=-1)
    best: npt.NDArray[np.float64] = ranked[..., -1]
    return best if kind == "probability" else best - ranked[..., -2]


def exit_steps(confidences: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.int64]:
    """The step, 1..T, at which each sample stops: ``[N]`` from ``confidences [T, N]``."""
    sure = confidences >= threshold
    sure[-1] = True
    steps: npt.NDArray[np.int64] = sure.argmax(axis=0) + 1
    return steps


def exit_curve(
    logits: Floats,
    labels: Ints,
    thresholds: Sequence[float] = THRESHOLDS,
    kind: Literal["probability", "margin"] = "probability",
) -> ExitCurve:
    """Mean steps used and accuracy at every threshold, for ``logits [T, N, K]`` and ``labels [N]``."""
    right, sure = _right(logits, labels), confidence(logits, kind)
    samples = np.arange(len(labels))
    steps = [exit_steps(sure, threshold) for threshold in thresholds]
    return ExitCurve(
        tuple(map(float, thresholds)),
        tuple(float(step.mean()) for step in steps),
        tuple(float(right[step - 1, samples].mean()) for step in steps),
    )


def _right(logits: Floats, labels: Ints) -> npt.NDArray[np.bool_]:
    if logits.ndim != 3 or logits.shape[1:2] != labels.shape or logits.size == 0 or logits.shape[2] < 2:
        raise DataError(
            f"expected logits [T, N, K >= 2] and labels [N], found {logits.shape} and {labels.shape}",
            remedy="give the readout as it stands after every step",
        )
    if not np.isfinite(logits).all():
        raise DataError("the logits are not all finite numbers")
    right: npt.NDArray[np.bool_] = logits.argmax(axis=-1) == labels
    return right
