"""Weights in few bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class WeightBits:
    """How many bits a weight has.

    Attributes:
        bits: 8, 4, 2, ``ternary`` (-1, 0, 1) or 16; 0 leaves the weights floats.
        method: of the scale: ``lsq`` learns it, ``sawb`` computes it from the weights at every step.
    """

    bits: Literal[0, 2, 4, 8, 16, "ternary"] = 0
    method: Literal["lsq", "sawb"] = "lsq"
