"""Thresholds that adapt, in integers: how fine their state is, for quantised networks and for lowering alike.

    jump = round(strength 2^f / unit)          what a spike adds to the state a; w = theta + a / 2^f
    a   <= jump 2^k / (2^k - n)                whatever fires; a n stays below 2^31

f is the finest that leaves a in ``STATE_BITS``, at most ``FINEST``; finer where the smallest jump would be short of
``COARSEST`` / (1 - decay), below which a floored decay falls in a straight line.
"""

from __future__ import annotations

import math

FINEST, COARSEST, STATE_BITS = 8, 4, 16


def decay_of(decay: float, leak_bits: int) -> int:
    """The multiplier n of a decay below 1, itself below ``2^leak_bits``."""
    return min((1 << leak_bits) - 1, round(decay * (1 << leak_bits)))


def most_jump(decay: int, leak_bits: int) -> int:
    """Every jump lies below it."""
    one = 1 << leak_bits
    return int((1 << 30) / max(1, decay) * (one - decay) / one)


def fraction_of(least: float, most: float, decay: int, leak_bits: int) -> int:
    """f, negative where a counts in steps of more than 1.

    Args:
        least, most: the smallest and the largest rise of a threshold by a spike, in integers of the potential; > 0.
        decay: the multiplier n.
    """
    one = 1 << leak_bits
    narrow = (1 << STATE_BITS) * (one - decay) / one
    fits, holds = (math.floor(math.log2((top - 1) / most)) for top in (narrow, most_jump(decay, leak_bits)))
    wanted = math.ceil(math.log2(COARSEST * one / (one - decay) / least))
    return min(FINEST, max(fits, min(wanted, holds)))
