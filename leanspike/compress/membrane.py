r"""Membrane potentials in few bits: the codec of a layer's states, and the gradient through it.

    v' = clip((v + 2^(d-1)) >> d, lowest, highest) 2^d          leanspike.ir.intmath.stored: what the next step reads

d is one number a layer. 2^d times the unit of the layer's currents is the step between the levels; the unit is learnt
(the scale of the weights is), so the steps move against the thresholds in training while the program has shifts only.
d is chosen on potentials of the trained network, as the one that leaves the smallest squared error between what is
stored and the potential cut to +- its threshold: what lies below that does not fire soon, whatever is stored of it.

Backward, with x = v / 2^d:

    straight   dL/dv = dL/dv' [lowest - 1/2 <= x <= highest + 1/2]
    stacked    dL/dv = dL/dv' sum over b of k sig(k (x - b)) (1 - sig(k (x - b))),  k = 2,  b = lowest + 1/2, ...,
               highest - 1/2: a sigmoid's slope at every boundary between two levels, as SpQuant-SNN (Hasssan et al.
               2024, doi:10.3389/fnins.2024.1440000) and IM-SNN (openreview 30XtPvC3Mi) have it, in steps.

With many levels the sum is 1 between them and fades at the ends: 4 and 8 bits use ``straight`` for both. The
published one is the default; ``straight`` takes less time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from leanspike.ir import Codec, intmath

StateBits = Literal[0, 2, 4, 8, "ternary"]
RANGES: dict[StateBits, tuple[int, int]] = {8: (-128, 127), 4: (-8, 7), 2: (-2, 1), "ternary": (-1, 1)}
STEEPNESS = 2.0
_STACKED_BELOW = 5


@dataclass(frozen=True)
class MembraneBits:
    """How many bits of a potential a hidden neuron carries to the next step.

    Attributes:
        bits: 8, 4, 2 or ``ternary`` (-1, 0, 1: 1.58 bits); 0 keeps every bit. What a membrane readout reads (the
            output neurons' potentials) always does.
        gradient: through the rounding; see the head of this module.
    """

    bits: StateBits = 0
    gradient: Literal["stacked", "straight"] = "stacked"


def slope(v: Tensor, codec: Codec, gradient: str) -> Tensor:
    """The derivative that stands in for that of ``stored`` at potentials ``v`` (integers held by floats)."""
    x = v * 2.0**-codec.shift
    boundaries = codec.highest - codec.lowest
    if gradient == "straight" or boundaries >= _STACKED_BELOW:
        return ((x >= codec.lowest - 0.5) & (x <= codec.highest + 0.5)).to(x.dtype)
    total = torch.zeros_like(x)
    for i in range(boundaries):
        sigmoid = torch.sigmoid((x - (codec.lowest + 0.5 + i)).mul_(STEEPNESS))
        total.addcmul_(sigmoid, 1 - sigmoid, value=STEEPNESS)
    return total


def best_shift(v: Tensor, threshold: Tensor, lowest: int, highest: int, most: int) -> int:
    """The shift d of a layer's codec.

    Args:
        v: int64 potentials that are carried on, ``[..., C]``, of float neurons, in integers.
        threshold: int64 ``[C]`` or ``[1]``.
        most: the largest shift.
    """
    cut = v.clip(-threshold, threshold)
    errors = []
    for shift in range(most + 1):
        off = (intmath.stored(cut, Codec(lowest, highest, shift)) - cut).double() / threshold
        errors.append(float(off.square().mean()))
    return min(range(most + 1), key=errors.__getitem__)
