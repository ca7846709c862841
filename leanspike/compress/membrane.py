"""Membrane potentials in few bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class MembraneBits:
    """How many bits of a potential a hidden neuron carries to the next step.

    Attributes:
        bits: 8, 4, 2 or ``ternary`` (-1, 0, 1: 1.58 bits); 0 keeps every bit.
    """

    bits: Literal[0, 2, 4, 8, "ternary"] = 0
