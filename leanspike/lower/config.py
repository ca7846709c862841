"""How many bits a program may spend."""

from __future__ import annotations

from dataclasses import dataclass

from leanspike.core.records import require
from leanspike.ir.inttype import MOST_BITS


@dataclass(frozen=True)
class LowerConfig:
    """Widths of the integers.

    Attributes:
        weight_bits: of every weight, symmetric: 8 bits are -127..127.
        leak_bits: k of the leak ``(v m) >> k``: beta becomes m / 2^k, potentials have 32 - k bits at most.
        input_bits: of the raw sample where the data are floats; uint8 images always enter as they are.
        exit_margin: stop early once best and second best score lie so far apart, in raw score units; 0 is off.
    """

    weight_bits: int = 8
    leak_bits: int = 10
    input_bits: int = 8
    exit_margin: int = 0

    def __post_init__(self) -> None:
        require(2 <= self.weight_bits <= 8, "lower.weight_bits", self.weight_bits, "2 to 8")
        require(4 <= self.leak_bits <= 15, "lower.leak_bits", self.leak_bits, "4 to 15")
        require(1 <= self.input_bits <= 12, "lower.input_bits", self.input_bits, "1 to 12")
        require(self.exit_margin >= 0, "lower.exit_margin", self.exit_margin, "0 (off) or more")

    def state_bits(self, multiplier: int) -> int:
        """What a potential may have at most, so that ``v m`` fits 32 bits for every m up to ``multiplier``."""
        return MOST_BITS - max(self.leak_bits, (multiplier - 1).bit_length())
