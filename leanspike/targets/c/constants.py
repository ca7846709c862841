"""The arrays of a program as constants in flash, each number at the width it is stored at.

weights of 4 bits or fewer     packed: 2 or 4 to a byte, the first in the lowest bits, every row from a new byte;
                               stored is w - lowest, so that unpacking is a mask and a subtraction
sparse weights                 entries (w - lowest) 2^G + gap of :mod:`leanspike.ir.sparse`, and where every row starts
all others                     8, 16 or 32 bits, a row a line
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.ir.inttype import Ints, IntType
from leanspike.ir.program import Array
from leanspike.ir.sparse import Sparse, sparse
from leanspike.targets.c.layout import WIDTHS, ctype

_A_LINE = 24


@dataclass(frozen=True)
class Packing:
    """How the numbers of a row lie in memory.

    Attributes:
        element: type of the C array's elements.
        bits: of one number.
        lowest: what a stored 0 means, where several numbers share a byte.
    """

    element: str
    bits: int
    lowest: int

    @property
    def lanes(self) -> int:
        """Numbers in one element; 1 if not packed."""
        return 8 // self.bits if self.bits < 8 else 1

    @property
    def word(self) -> str:
        """The packing in names of functions: ``i8``, ``u4``."""
        signed = self.lowest < 0 if self.lanes > 1 else self.element.startswith("int")
        return f"{'i' if signed else 'u'}{self.bits}"


@dataclass(frozen=True)
class Constant:
    """A constant array of C.

    Attributes:
        row: elements of a row: what lies between two places of an input.
        length: elements of the whole.
        lines: the initialiser, a row from a new line.
    """

    packing: Packing
    row: int
    length: int
    lines: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """In flash."""
        return self.length * WIDTHS[self.packing.element]


def packing(kind: IntType, *, packed: bool) -> Packing:
    """How an array of this type is stored."""
    if packed and kind.bits <= 4:
        bits = 2 if kind.bits <= 2 else 4
        return Packing("uint8_t", bits, -(1 << (bits - 1)) if kind.signed else 0)
    return Packing(ctype(kind), 8 * kind.dtype.itemsize, 0)


def constant(array: Array, *, packed: bool = False) -> Constant:
    """An array ``[..., columns]`` as C: rows of ``columns`` numbers."""
    kind = packing(array.type, packed=packed)
    rows = array.values.astype(np.int64).reshape(-1, array.values.shape[-1])
    if kind.lanes > 1:
        rows = _packed(rows, kind)
    labels = _labels(array.values.shape[:-1])
    lines = tuple(line for row, label in zip(rows, labels, strict=True) for line in _row(row, label))
    return Constant(kind, rows.shape[1], rows.size, lines)


def sparse_constants(array: Array) -> tuple[Sparse, Constant, Constant]:
    """A sparse array as C: entries, and the places where the rows' entries start, a row a line."""
    found = sparse(array.values, array.type)
    labels = _labels(array.values.shape[:-1])
    bounds = zip(found.starts[:-1], found.starts[1:], labels, strict=True)
    lines = tuple(line for start, end, label in bounds for line in _row(found.entries[start:end], label))
    width = Packing(f"uint{found.entry.bits}_t", found.entry.bits, 0)
    # C has no arrays of length 0.
    entries = Constant(width, 0, max(1, len(found.entries)), lines or ("0,",))
    starts = Packing(f"uint{found.start_bits}_t", found.start_bits, 0)
    return found, entries, Constant(starts, 0, len(found.starts), tuple(_row(found.starts, "")))


def _packed(rows: Ints, kind: Packing) -> Ints:
    short = -rows.shape[1] % kind.lanes
    stored = np.pad(rows - kind.lowest, ((0, 0), (0, short))).reshape(len(rows), -1, kind.lanes)
    joined: Ints = (stored << (kind.bits * np.arange(kind.lanes))).sum(2)
    return joined


def _labels(shape: tuple[int, ...]) -> Iterator[str]:
    """The place of every row, so that a person finds it: ``[3]`` of a dense weight, ``[0][1][2]`` of a kernel."""
    for place in np.ndindex(shape):
        yield "".join(f"[{axis}]" for axis in place) if shape != (1,) else ""


def _row(row: npt.NDArray[np.int64], label: str) -> Iterator[str]:
    for start in range(0, len(row), _A_LINE):
        comment = f"/* {label} */ " if label and start == 0 else ""
        yield f"{comment}{', '.join(map(literal, row[start : start + _A_LINE].tolist()))},"


def literal(value: int) -> str:
    """An integer constant that every compiler takes: the lowest of 32 bits has no literal of its own in C."""
    return "-2147483647 - 1" if value == -(1 << 31) else str(value)
