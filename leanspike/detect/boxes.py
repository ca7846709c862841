"""Boxes in pixels: corners ``(x0, y0, x1, y1)``, x to the right, y down, x1 and y1 just outside.

IoU(a, b) = |a and b| / |a or b|
NMS       the best box of a class stays, every other one of that class with IoU > limit goes, and so on
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Boxes:
    """Objects of one scene, true or found.

    Attributes:
        corners: ``[n, 4]`` float64, pixels.
        labels: ``[n]`` int64, 0..K-1.
        scores: ``[n]`` float64 in 0..1; 1 for true boxes.
    """

    corners: Floats
    labels: Labels
    scores: Floats

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: npt.NDArray[Any] | slice) -> Boxes:
        return Boxes(self.corners[chosen], self.labels[chosen], self.scores[chosen])

    @staticmethod
    def true(corners: npt.ArrayLike, labels: npt.ArrayLike) -> Boxes:
        """Boxes that are known: their scores are 1."""
        kinds = np.asarray(labels, dtype=np.int64).reshape(-1)
        return Boxes(np.asarray(corners, dtype=np.float64).reshape(-1, 4), kinds, np.ones(len(kinds)))

    def equals(self, other: Boxes) -> bool:
        """Whether both hold the same boxes, labels and scores in the same order, to the last bit."""
        mine, theirs = ((one.corners, one.labels, one.scores) for one in (self, other))
        return all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))


def overlap(a: Floats, b: Floats) -> Floats:
    """IoU ``[n, m]`` of corners ``[n, 4]`` and ``[m, 4]``; 0 where both are empty."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = (high - low).clip(min=0).prod(-1)
    either = areas(a)[:, None] + areas(b)[None] - both
    shared: Floats = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return shared


def areas(corners: Floats) -> Floats:
    """Areas ``[n]`` in pixels; 0 of a box turned inside out."""
    found: Floats = (corners[:, 2:] - corners[:, :2]).clip(min=0).prod(-1)
    return found


def suppressed(boxes: Boxes, limit: float) -> Boxes:
    """Non-maximum suppression within each class; the rest stands by falling score, of equal ones by place."""
    boxes = boxes[np.argsort(-boxes.scores, kind="stable")]
    rivals = (overlap(boxes.corners, boxes.corners) > limit) & (boxes.labels[:, None] == boxes.labels[None])
    kept = np.ones(len(boxes), dtype=bool)
    for i in range(len(boxes)):
        if kept[i]:
            kept[i + 1 :] &= ~rivals[i, i + 1 :]
    return boxes[kept]
