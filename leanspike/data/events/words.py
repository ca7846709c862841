"""Records of fixed size in a file, and text headers before them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.data.events.record import Fault

LONGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Header:
    """Lines at the start of a file, without their marks, and the byte at which the rest begins."""

    lines: tuple[str, ...]
    end: int

    def value(self, key: str) -> str | None:
        """What follows the first line that starts with ``key``."""
        found = (line[len(key) :].strip(" :=\t") for line in self.lines if line.lower().startswith(key))
        return next(found, None)


def header(data: bytes, mark: bytes) -> Header:
    """The lines that start with ``mark``; a last one without an end belongs to it."""
    lines, at = [], 0
    while data.startswith(mark, at) and at < LONGEST_HEADER:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end + 1
        lines.append(data[at + len(mark) : end].decode("latin-1").strip())
        at = end
    return Header(tuple(lines), at)


def words(data: bytes, start: int, kind: str) -> tuple[npt.NDArray[Any], Fault | None]:
    """Everything from ``start`` as records of a NumPy type; the fault is a last one that is cut off."""
    size = np.dtype(kind).itemsize
    count, rest = divmod(len(data) - start, size)
    fault = Fault(len(data) - rest, f"the last record has {rest} of {size} bytes") if rest else None
    return np.frombuffer(data, kind, count, start), fault


def unwrapped(counter: npt.NDArray[np.int64], period: int) -> npt.NDArray[np.int64]:
    """A counter that starts again at 0 after ``period``, as one that does not: a fall by more than half is a turn."""
    turns = np.diff(counter, prepend=counter[:1]) < -(period // 2)
    return counter + period * np.cumsum(turns)


def latest(marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.intp]:
    """For every place the last marked one up to it; -1 before the first."""
    return np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))
