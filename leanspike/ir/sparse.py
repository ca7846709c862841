"""Weights stored sparse: of every row (the last axis) only what is not zero, as gaps and weights.

    entry      (w - lowest) 2^G + g:  skip g columns, add w to the column reached, go one further
    width      E = 8 or 16 bits, G = E - (bits of the type); whichever makes the array smaller
    far        a gap of 2^G columns or more takes entries of weight 0 with g = 2^G - 1 on the way
    rows       where the entries of every row start, and the end: 16 bits each, 32 where there are 2^16 entries or more

``lowest`` is that of the type. This is what the C target emits, so memory is counted as stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.ir.inttype import IntType

MOST_WEIGHT_BITS = 8
_WIDTHS = (8, 16)


@dataclass(frozen=True)
class Entry:
    """What an entry is: E, G, and the weight that upper bits of 0 stand for."""

    bits: int
    gap_bits: int
    lowest: int


@dataclass(frozen=True, eq=False)
class Sparse:
    """An array in sparse form.

    Attributes:
        entries: ``[N]`` as ``entry`` says.
        starts: ``[rows + 1]`` where in ``entries`` each row starts, and the end.
    """

    entry: Entry
    entries: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @property
    def start_bits(self) -> int:
        """Of one place in ``starts``."""
        return 16 if len(self.entries) < 1 << 16 else 32

    @property
    def bits(self) -> int:
        """Memory as stored."""
        return len(self.entries) * self.entry.bits + len(self.starts) * self.start_bits

    def unpacked(self, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        """The array of this shape, entry by entry as a device reads them."""
        values = np.zeros(shape, dtype=np.int64)
        rows = values.reshape(-1, shape[-1])
        weights = (self.entries >> self.entry.gap_bits) + self.entry.lowest
        steps = (self.entries & ((1 << self.entry.gap_bits) - 1)) + 1
        for row, (start, end) in enumerate(zip(self.starts[:-1], self.starts[1:], strict=True)):
            rows[row, np.cumsum(steps[start:end]) - 1] = weights[start:end]
        return values


def sparse_bits(values: npt.NDArray[Any], kind: IntType) -> int:
    """Memory of an array ``[..., columns]`` of a type of at most 8 bits in sparse form."""
    rows = values.reshape(-1, values.shape[-1])
    _, gaps = _gaps(rows)
    return min(_bits(len(rows), gaps, width - kind.bits, width) for width in _WIDTHS if width > kind.bits)


def sparse(values: npt.NDArray[Any], kind: IntType) -> Sparse:
    """An array ``[..., columns]`` of a type of at most 8 bits in sparse form, the smaller width of entries."""
    rows = values.reshape(-1, values.shape[-1])
    row, gaps = _gaps(rows)
    widths = [width for width in _WIDTHS if width > kind.bits]
    width = min(widths, key=lambda width: _bits(len(rows), gaps, width - kind.bits, width))
    gap_bits = width - kind.bits
    passes = gaps >> gap_bits
    ends = np.cumsum(passes + 1)
    entries = np.full(int(ends[-1]) if len(ends) else 0, (-kind.lowest << gap_bits) + (1 << gap_bits) - 1)
    weights = rows[rows != 0].astype(np.int64) - kind.lowest
    entries[ends - 1] = (weights << gap_bits) + (gaps & ((1 << gap_bits) - 1))
    of_row = np.bincount(row, weights=passes + 1, minlength=len(rows)).astype(np.int64)
    return Sparse(Entry(width, gap_bits, kind.lowest), entries, np.concatenate([[0], np.cumsum(of_row)]))


def _gaps(rows: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The row of every weight that is not zero, and how many zeros stand before it since the last one of its row."""
    row, column = np.nonzero(rows)
    before = np.full_like(column, -1)
    before[1:] = np.where(row[1:] == row[:-1], column[:-1], -1)
    return row, column - before - 1


def _bits(rows: int, gaps: npt.NDArray[np.int64], gap_bits: int, width: int) -> int:
    count = len(gaps) + int((gaps >> gap_bits).sum())
    return count * width + (rows + 1) * (16 if count < 1 << 16 else 32)
