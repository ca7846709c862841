r"""The loss of a detector: which cells answer for which box, and what they should say.

A cell is responsible for the box whose centre lies within ``radius`` cells of its own along both axes; of several, for
the nearest.

    L = w_box mean over responsible cells (1 - CIoU)
      + (sum over all cells of BCE(z[4], q)) / responsible cells      q = max(IoU, 0) of a responsible cell, else 0
      + w_kind mean over responsible cells of CE(z[5:], label)
    CIoU = IoU - d^2 / c^2 - alpha v                                  Z. Zheng et al., arXiv:1911.08287

d is the distance of the centres, c the diagonal of the box around both, v = (4 / pi^2) (atan(w'/h') - atan(w/h))^2 and
alpha = v / (1 - IoU + v), through which no gradient flows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from leanspike.core.records import require
from leanspike.detect.decode import LARGEST
from leanspike.detect.model import BOX

_TINY = 1e-7


@dataclass(frozen=True)
class LossConfig:
    """Weights of the loss.

    Attributes:
        radius: cells around a box's centre that answer for it, counted along each axis.
        box, kind: weights of the boxes' and the classes' parts.
        smoothing: of the labels.
    """

    radius: float = 0.75
    box: float = 2.0
    kind: float = 2.0
    smoothing: float = 0.05

    def __post_init__(self) -> None:
        require(self.radius >= 0.5, "loss.radius", self.radius, "half a cell or more, so that every box has one")
        for key in ("box", "kind"):
            require(getattr(self, key) >= 0, f"loss.{key}", getattr(self, key), "0 or more")
        require(0 <= self.smoothing < 1, "loss.smoothing", self.smoothing, "from 0 up to, not including, 1")


@dataclass(frozen=True, eq=False)
class Grid:
    """The head's geometry as tensors: cells in rows, ``centres`` ``[cells, 2]`` in pixels."""

    centres: Tensor
    stride: int
    anchor: float

    @staticmethod
    def of(rows: int, columns: int, stride: int, anchor: float) -> Grid:
        """The grid of a head."""
        at = torch.arange(rows * columns)
        centres = torch.stack([at % columns, at // columns], 1).float().add_(0.5).mul_(stride)
        return Grid(centres, stride, anchor)

    def boxes(self, z: Tensor) -> Tensor:
        """Centres and sides ``[..., cells, 4]`` in pixels of ``z`` ``[..., cells, 5 + K]``."""
        sides = self.anchor * z[..., 2:4].clamp(-LARGEST, LARGEST).exp()
        return torch.cat([self.centres + self.stride * z[..., :2], sides], -1)


def assigned(grid: Grid, boxes: Tensor, radius: float) -> Tensor:
    """For each cell the box ``[B, cells]`` that it answers for, -1 for none.

    Args:
        boxes: ``[B, n, 4]`` centres and sides in pixels; a box without width is none.
    """
    if not boxes.shape[1]:
        return torch.full((len(boxes), len(grid.centres)), -1)
    apart = (grid.centres[None, :, None] - boxes[:, None, :, :2]).abs().amax(-1) / grid.stride
    apart = apart.masked_fill(boxes[:, None, :, 2] <= 0, torch.inf)
    nearest, which = apart.min(-1)
    return which.masked_fill(nearest > radius, -1)


def detection_loss(z: Tensor, grid: Grid, boxes: Tensor, labels: Tensor, config: LossConfig) -> Tensor:
    """The loss of a batch, a scalar.

    Args:
        z: ``[B, cells, 5 + K]``.
        boxes: ``[B, n, 4]`` centres and sides in pixels; a box without width is none.
        labels: ``[B, n]`` int64.
    """
    which = assigned(grid, boxes, config.radius)
    scene, cell = torch.nonzero(which >= 0, as_tuple=True)
    wanted = torch.zeros(z.shape[:2], dtype=z.dtype)
    if not len(scene):
        return F.binary_cross_entropy_with_logits(z[..., 4], wanted, reduction="mean")
    own = which[scene, cell]
    iou, ciou = overlaps(grid.boxes(z)[scene, cell], boxes[scene, own])
    wanted[scene, cell] = iou.detach()
    objects = F.binary_cross_entropy_with_logits(z[..., 4], wanted, reduction="sum") / len(scene)
    kinds = F.cross_entropy(z[scene, cell, BOX:], labels[scene, own], label_smoothing=config.smoothing)
    return config.box * (1 - ciou).mean() + objects + config.kind * kinds


def overlaps(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and CIoU ``[n]`` of boxes ``[n, 4]``, centres and sides."""
    (low_a, high_a), (low_b, high_b) = ((c - s / 2, c + s / 2) for c, s in ((a[:, :2], a[:, 2:]), (b[:, :2], b[:, 2:])))
    both = (torch.minimum(high_a, high_b) - torch.maximum(low_a, low_b)).clamp(min=0).prod(-1)
    iou = both / (a[:, 2:].prod(-1) + b[:, 2:].prod(-1) - both + _TINY)
    around = (torch.maximum(high_a, high_b) - torch.minimum(low_a, low_b)).square().sum(-1) + _TINY
    apart = (a[:, :2] - b[:, :2]).square().sum(-1)
    turned = torch.atan(a[:, 2] / (a[:, 3] + _TINY)) - torch.atan(b[:, 2] / (b[:, 3] + _TINY))
    v = turned.square() * (4 / math.pi**2)
    with torch.no_grad():
        alpha = v / (1 - iou + v + _TINY)
    return iou, iou - apart / around - alpha * v
