r"""Weights in few bits: symmetric codes, a scale a channel, straight-through gradients.

    q = clip(round(w / s), lowest, highest)             the integers of the program
    lsq   s is learned                                  Esser et al. 2020, arXiv:1902.08153
    sawb  s = (c1 sqrt(E w^2) - c2 E|w|) / highest      Choi et al. 2018, arXiv:1807.06964; recomputed at every step

    bits      16             8            4        2             ternary
    q         -32767..32767  -127..127    -7..7    -2..1         -1, 0, 1

Backward, z = w / s and inside = [lowest <= z <= highest]:

    dL/dw = dL/dq inside / s           dL/ds = - sum of dL/dq inside z / s

What one current and one potential stand for is s times the input's unit, and the gradient of that unit comes from the
neurons (:mod:`leanspike.compress.neurons`). Both together are LSQ's gradient, sum of dL/dw^ ((q - z) inside, q
outside): a test holds them to it. s is kept as its logarithm, so that a step of Adam, whose size is the learning rate
whatever the gradient, moves it by a share of itself (Jain et al. 2020, arXiv:1903.08066); LSQ's gradient scale
1 / sqrt(N highest), N weights a scale, is applied and matters to SGD alone.

Two bits are LSQ's, -2..1: SAWB's own four levels at 2 bits, (-3, -1, 1, 3) a/3, have no zero, so that no synapse could
be pruned, and as integers they take 3 bits. In a strictly symmetric code 2 bits would be ternary. Coefficients of SAWB
for -1..1, -7..7 and -127..127 are the authors' (IBM's fms-model-optimizer tabulates them); those for -2..1 and
-32767..32767 are found as the paper finds them, by least squares over six distributions: ``scripts/sawb.py``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from leanspike.nn.operation import Operation

Bits = Literal[0, 2, 4, 8, 16, "ternary"]


@dataclass(frozen=True)
class WeightBits:
    """How many bits a weight has.

    Attributes:
        bits: 8, 4, 2, ``ternary`` (-1, 0, 1) or 16; 0 leaves the weights floats. Where potentials are quantised, 0 is
            16: a program has no floats.
        method: of the scale: ``lsq`` learns it, ``sawb`` computes it from the weights at every step.
        per_channel: a scale for each output channel; else one a layer. What a membrane readout compares has one.
    """

    bits: Bits = 0
    method: Literal["lsq", "sawb"] = "lsq"
    per_channel: bool = True


@dataclass(frozen=True)
class Levels:
    """The integers that a code has, and the bits of one."""

    lowest: int
    highest: int
    bits: int


LEVELS: dict[Bits, Levels] = {
    16: Levels(-32767, 32767, 16),
    8: Levels(-127, 127, 8),
    4: Levels(-7, 7, 4),
    2: Levels(-2, 1, 2),
    "ternary": Levels(-1, 1, 2),
}
SAWB: dict[Bits, tuple[float, float]] = {
    16: (33.04, 36.84),
    8: (31.76, 35.04),
    4: (12.035, 12.03),
    2: (2.408, 1.705),
    "ternary": (2.6, 1.71),
}
_CLIPS = torch.linspace(0.3, 1.0, 71, dtype=torch.float64)
_DEAD = 1e-12


def quantised(weight: Tensor, scale: Tensor, levels: Levels) -> Tensor:
    """The integers ``q``, as floats, of ``weight`` ``[..., out]`` with ``scale`` ``[out]`` or ``[1]``."""
    q: Tensor = _Quantise.on(weight, scale, levels.lowest, levels.highest)
    return q


def least_squares_scale(columns: Tensor, levels: Levels) -> Tensor:
    """The scale ``[out]`` of every column of ``columns`` ``[in, out]`` that leaves the smallest squared error."""
    columns = columns.detach().double()
    highest = columns.abs().amax(0).clamp(min=_DEAD)
    best, least = highest / levels.highest, torch.full_like(highest, math.inf)
    for clip in _CLIPS:
        scale = clip * highest / levels.highest
        error = ((columns / scale).round().clamp(levels.lowest, levels.highest) * scale - columns).square().sum(0)
        best, least = torch.where(error <= least, scale, best), torch.minimum(error, least)
    return best


def sawb_scale(columns: Tensor, bits: Bits, mask: Tensor | None = None) -> Tensor:
    """SAWB's scale ``[out]`` of every column, over the weights where ``mask`` is True; no gradient."""
    c1, c2 = SAWB[bits]
    sizes = columns.detach().abs()
    count = columns.new_tensor(len(columns)) if mask is None else mask.sum(0).clamp(min=1)
    clip = c1 * (sizes.square().sum(0) / count).sqrt() - c2 * sizes.sum(0) / count
    highest = sizes.amax(0)
    # Of a few, nearly equal weights the line that was fitted may leave the weights' own range.
    return torch.where(clip > 0, torch.minimum(clip, highest), highest).clamp(min=_DEAD) / LEVELS[bits].highest


def gradient_scaled(x: Tensor, factor: float) -> Tensor:
    """``x`` itself; its gradient comes back times ``factor``."""
    same: Tensor = _GradientScaled.on(x, factor)
    return same


def rounded(x: Tensor) -> Tensor:
    """The nearest integer, half to even, as a float; the gradient passes straight through."""
    whole: Tensor = _Round.on(x)
    return whole


def nearest(x: Tensor) -> Tensor:
    """The nearest integer, halves up as raw samples are rounded, as a float; the gradient passes straight through."""
    whole: Tensor = _Nearest.on(x)
    return whole


class _Nearest(Operation):
    @staticmethod
    def forward(_ctx, x):  # type: ignore[no-untyped-def]
        return (x + 0.5).floor_()

    @staticmethod
    def backward(_ctx, grad):  # type: ignore[no-untyped-def]
        return grad


class _Quantise(Operation):
    @staticmethod
    def forward(ctx, weight, scale, lowest, highest):  # type: ignore[no-untyped-def]
        z = weight / scale
        ctx.save_for_backward(z, scale)
        ctx.range = lowest, highest
        return z.clamp(lowest, highest).round_()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        z, scale = ctx.saved_tensors
        lowest, highest = ctx.range
        arriving = torch.where(z.clamp(lowest, highest) == z, grad, 0.0).div_(scale)
        if not ctx.needs_input_grad[1]:
            return arriving, None, None, None
        by_column = (arriving * z).flatten(0, -2).sum(0)
        return arriving, -by_column.sum_to_size(scale.shape), None, None


class _GradientScaled(Operation):
    @staticmethod
    def forward(ctx, x, factor):  # type: ignore[no-untyped-def]
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        return grad * ctx.factor, None


class _Round(Operation):
    @staticmethod
    def forward(_ctx, x):  # type: ignore[no-untyped-def]
        return x.round()

    @staticmethod
    def backward(_ctx, grad):  # type: ignore[no-untyped-def]
        return grad
