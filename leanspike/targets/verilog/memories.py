"""Constants as the words of memories: one line of hexadecimal digits a word, as $readmemh reads them.

dense    word (row, group) = the group's L weights, lane 0 in the lowest bits
sparse   rows: where the entries of a row start, and the end; entry = w 2^G + g: skip g columns, add w to the column
         reached, go one further; a longer way takes entries of weight 0 with g = 2^G - 1
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.ir.inttype import Ints
from leanspike.ir.ranges import Range


def signed_bits(values: npt.NDArray[np.integer]) -> int:
    """Bits of the narrowest two's complement that holds all values."""
    return Range(min(0, int(values.min())), max(0, int(values.max()))).bits


def words(values: Ints, lanes: int, bits: int) -> list[int]:
    """``[..., n lanes]`` packed, ``lanes`` values of ``bits`` a word."""
    rows = values.reshape(-1, lanes) & ((1 << bits) - 1)
    return [sum(int(value) << (lane * bits) for lane, value in enumerate(row)) for row in rows]


def text(values: Iterable[int], bits: int) -> str:
    """The file of a memory of words of ``bits``."""
    digits = -(-bits // 4)
    return "".join(f"{value:0{digits}x}\n" for value in values)


@dataclass(frozen=True, eq=False)
class Entries:
    """Sparse rows: ``entries`` [N] of ``gap_bits`` and the weight above them, ``starts`` [rows + 1]."""

    gap_bits: int
    entries: list[int]
    starts: list[int]


def entries(weight: Ints, bits: int) -> Entries:
    """Rows ``[rows, columns]`` in sparse form, with the gaps that make it smallest."""
    row, column = np.nonzero(weight)
    first = np.ones(len(row), dtype=bool)
    first[1:] = row[1:] != row[:-1]
    before = np.where(first, -1, np.concatenate([[-1], column[:-1]])) if len(row) else column
    gaps = column - before - 1
    most = max(1, (weight.shape[1] - 1).bit_length())
    gap_bits = min(range(1, most + 1), key=lambda g: (len(gaps) + int((gaps >> g).sum())) * (g + bits))
    found, starts = list[int](), [0]
    mask, full = (1 << bits) - 1, (1 << gap_bits) - 1
    at = 0
    for index in range(len(weight)):
        while at < len(row) and row[at] == index:
            found += [full] * int(gaps[at] >> gap_bits)
            found.append((int(weight[index, column[at]]) & mask) << gap_bits | int(gaps[at]) & full)
            at += 1
        starts.append(len(found))
    return Entries(gap_bits, found, starts)
