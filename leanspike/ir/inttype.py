"""Integers of a stated width: ``u1`` is a spike, ``i20`` a signed potential of 20 bits in two's complement."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MOST_BITS = 32


@dataclass(frozen=True)
class IntType:
    """A width and a sign. Every type fits a signed 32-bit word, so unsigned ones have at most 31 bits.

    Raises:
        ValueError: no such type.
    """

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        most = MOST_BITS if self.signed else MOST_BITS - 1
        if not 1 <= self.bits <= most:
            raise ValueError(f"{'i' if self.signed else 'u'}{self.bits} is no type: i1 to i32 and u1 to u31 are")

    @property
    def lowest(self) -> int:
        """The smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest value."""
        return (1 << (self.bits - self.signed)) - 1

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The smallest NumPy type that holds every value."""
        width = next(width for width in (8, 16, 32) if width >= self.bits)
        return np.dtype(f"{'int' if self.signed else 'uint'}{width}")

    def holds(self, lowest: int, highest: int) -> bool:
        """Whether every value of the interval has this type."""
        return self.lowest <= lowest and highest <= self.highest

    @staticmethod
    def holding(lowest: int, highest: int, *, signed: bool | None = None) -> IntType:
        """The narrowest type of the interval, unsigned where it can be; ``signed=True`` asks for a sign.

        Raises:
            ValueError: no type holds it.
        """
        if lowest < 0 or signed:
            return IntType(1 + max(highest.bit_length(), (-lowest - 1).bit_length() if lowest < 0 else 0), True)
        return IntType(max(1, highest.bit_length()), False)

    @staticmethod
    def parse(text: str) -> IntType:
        """The inverse of ``str``; ValueError for anything else."""
        found = re.fullmatch(r"([iu])([1-9]\d?)", text)
        if not found:
            raise ValueError(f"{text[:20]!r} is no type: i1 to i32 and u1 to u31 are")
        return IntType(int(found[2]), found[1] == "i")

    def __str__(self) -> str:
        return f"{'i' if self.signed else 'u'}{self.bits}"


SPIKE = IntType(1, False)
Ints = npt.NDArray[np.int64]
