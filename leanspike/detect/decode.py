r"""From a map of raw scores to boxes; z is what a cell (row i, column j) of the grid says, a its anchor, s its side.

    z   = unit score                               score: the integer of a program, or a float potential (unit 1)
    cx  = s (j + 1/2 + z[0]),   cy = s (i + 1/2 + z[1]),   w = a exp(z[2]),   h = a exp(z[3])
    p_k = sigmoid(z[4]) softmax(z[5:])[k]          every pair of cell and class with p_k >= least is a box

then non-maximum suppression within each class, and the best ``most`` boxes. What stays takes the mean place of all
cells whose boxes agree with it (a vote: S. Gidaris and N. Komodakis, arXiv:1505.01749):

    box = sum of w box_c / sum of w        w = sigmoid(z_c[4]) IoU(box, box_c) over the cells c with IoU >= vote

All in float64, one scene after the other,
so that equal scores give equal boxes. Objects by centre on a grid: J. Redmon et al., arXiv:1506.02640; without anchors
to choose from: Z. Ge et al., arXiv:2107.08430.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.core.records import require
from leanspike.detect.boxes import Boxes, Floats, overlap, suppressed
from leanspike.detect.model import BOX

LARGEST = 4.0
"""Bound of the exponents: a box is at most e^4 anchors long."""


@dataclass(frozen=True)
class DecodeConfig:
    """How boxes are chosen.

    Attributes:
        least: lowest score of a box.
        limit: IoU above which the worse of two boxes of one class goes.
        most: boxes a scene.
        vote: IoU from which on a cell's box counts for the place of one that stays; 0: none does.
    """

    least: float = 0.02
    limit: float = 0.5
    most: int = 100
    vote: float = 0.5

    def __post_init__(self) -> None:
        require(0 < self.least < 1, "decode.least", self.least, "between 0 and 1")
        require(0 < self.limit <= 1, "decode.limit", self.limit, "above 0, 1 at most")
        require(0 <= self.vote < 1, "decode.vote", self.vote, "0 (off), and below 1")
        require(self.most >= 1, "decode.most", self.most, "1 or more")


@dataclass(frozen=True, eq=False)
class Head:
    """What turns raw scores into z.

    Attributes:
        rows, columns: of the grid; ``stride`` pixels a cell.
        anchor: side of a box whose exponent is 0, in pixels.
        classes: K.
    """

    rows: int
    columns: int
    stride: int
    anchor: float
    classes: int

    def cells(self, scores: npt.ArrayLike, unit: float = 1.0) -> Floats:
        """z ``[B, rows * columns, 5 + K]`` of scores ``[B, rows * columns * (5 + K)]``."""
        flat = np.asarray(scores, dtype=np.float64)
        cells: Floats = flat.reshape(len(flat), self.rows * self.columns, BOX + self.classes) * unit
        return cells

    def corners(self, cells: Floats) -> Floats:
        """Corners ``[n, 4]`` of the boxes of one scene's cells ``[n, 5 + K]``."""
        row, column = np.divmod(np.arange(len(cells)), self.columns)
        centre = self.stride * (np.stack([column, row], axis=1) + 0.5 + cells[:, :2])
        half = self.anchor * np.exp(cells[:, 2:4].clip(-LARGEST, LARGEST)) / 2
        return np.concatenate([centre - half, centre + half], axis=1)


def decoded(cells: Floats, head: Head, config: DecodeConfig) -> Boxes:
    """The boxes of one scene's cells ``[rows * columns, 5 + K]``, by falling score."""
    kinds = np.exp(cells[:, BOX:] - cells[:, BOX:].max(1, keepdims=True))
    shares = kinds / kinds.sum(1, keepdims=True) / (1 + np.exp(-cells[:, 4:BOX]))
    at, label = np.nonzero(shares >= config.least)
    corners = head.corners(cells)
    found = Boxes(corners[at], label.astype(np.int64), shares[at, label])
    kept = suppressed(found, config.limit)[slice(0, config.most)]
    return voted(kept, corners, 1 / (1 + np.exp(-cells[:, 4])), config.vote) if config.vote else kept


def voted(boxes: Boxes, corners: Floats, sure: Floats, least: float) -> Boxes:
    """The boxes, each at the weighted mean of the ``corners`` ``[n, 4]`` that overlap it by ``least`` or more.

    Args:
        sure: ``[n]`` weights.
    """
    shared = overlap(boxes.corners, corners)
    weights = np.where(shared >= least, shared * sure, 0.0)
    return Boxes(weights @ corners / weights.sum(1, keepdims=True), boxes.labels, boxes.scores)


def detections(scores: npt.ArrayLike, unit: float, head: Head, config: DecodeConfig) -> list[Boxes]:
    """The boxes of every scene.

    Args:
        scores: ``[B, rows * columns * (5 + K)]``, as a network's readout or a program gives them.
        unit: what 1 of them stands for.
    """
    return [decoded(cells, head, config) for cells in head.cells(scores, unit)]
