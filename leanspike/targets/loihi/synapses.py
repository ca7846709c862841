"""Weights as Loihi stores them: mantissas of 1 to 8 bits with one exponent for all connections of a path.

    w 2^(s - 6) = W 2^e,   W = q << (8 - bits + both),   e = s - 6 - (8 - bits + both) + z,   q = w / 2^z

``both`` is 1 where weights have both signs: the mantissa then has 9 bits with sign and its lowest is 0. z is the
number of zeros that all weights end in. Weights of more than 8 bits lose their lowest, rounded to the nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from leanspike.ir.inttype import Ints
from leanspike.targets.loihi.compartment import ALIGNED, WEIGHT_EXPONENTS

WIDTHS = (1, 2, 3, 4, 5, 6, 8)
"""Bits that a stored weight can have (nengo-loihi, ``SynapseConfig.WEIGHT_BITS_MAP``)."""


@dataclass(frozen=True, eq=False)
class Format:
    """How the weights of a path are stored.

    Attributes:
        mantissas: as many as weights.
        lost: the low bits that were rounded away; 0 where the weights are exact.
    """

    mantissas: Ints
    bits: int
    exponent: int
    lost: int


def stored(weights: Ints, s: int) -> Format | None:
    """The narrowest format of a path's weights ``[E]``; None where no exponent reaches them."""
    if weights.size == 0:
        return Format(weights, WIDTHS[0], 0, 0)
    both = int(weights.min()) < 0 < int(weights.max())
    zeros = _zeros(weights)
    for z in (*range(zeros, -1, -1), *range(zeros + 1, 32)):
        q = weights >> z if z <= zeros else _nearest(weights, z, both=both)
        bits = next((width for width in WIDTHS if _holds(q, width, both=both)), None)
        if bits is None:
            continue
        aligned = 8 - bits + both
        exponent = s - ALIGNED - aligned + z
        if exponent in WEIGHT_EXPONENTS:
            return Format(q << aligned, bits, exponent, max(z - zeros, 0))
    return None


def _zeros(weights: Ints) -> int:
    together = int(np.bitwise_or.reduce(np.abs(weights)))
    return (together & -together).bit_length() - 1 if together else 0


def _nearest(weights: Ints, z: int, *, both: bool) -> Ints:
    """``weights / 2^z``; what rounding takes just beyond 8 bits is brought back."""
    rounded = (weights + ((1 << z) >> 1)) >> z
    highest = 127 if both else 255
    kept: Ints = np.where(rounded == highest + 1, highest, np.where(rounded == -highest - 1, -highest, rounded))
    return kept


def _holds(q: Ints, width: int, *, both: bool) -> bool:
    lowest, highest = int(q.min()), int(q.max())
    if both:
        return -(1 << (width - 1)) <= lowest and highest < 1 << (width - 1)
    return max(-lowest, highest) < 1 << width
