"""Events of a camera or another sensor: when, where and in which direction something changed.

t   int64    ticks of ``tick_us`` microseconds, never falling
x   uint16   column from the left, 0 <= x < width; a channel or taxel where a sensor has one axis
y   uint16   row as the file counts it, 0 <= y < height
p   bool     True: ON (brighter, pressed); False: OFF
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError


@dataclass(frozen=True, eq=False)
class Events:
    """A recording, or a part of one. 13 bytes an event.

    Attributes:
        t, x, y, p: ``[N]`` each; see the head of this module.
        width, height: extent of the sensor.
        tick_us: microseconds that 1 of ``t`` stands for.
        notes: what a reader had to mend or leave out, in words; empty for a sound file.

    Raises:
        DataError: columns of different lengths, times that fall, or an event outside the sensor.
    """

    t: npt.NDArray[np.int64]
    x: npt.NDArray[np.uint16]
    y: npt.NDArray[np.uint16]
    p: npt.NDArray[np.bool_]
    width: int
    height: int
    tick_us: float = 1.0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("t", np.int64), ("x", np.uint16), ("y", np.uint16), ("p", np.bool_)):
            column = np.ascontiguousarray(getattr(self, name), dtype=kind)
            if column.shape != (len(self.t),):
                raise DataError(f"column {name} has shape {column.shape}, t {np.shape(self.t)}", where="events")
            object.__setattr__(self, name, column)
        if (np.diff(self.t) < 0).any():
            raise DataError("times fall", where="events", remedy="sort them: leanspike.data.events.ordered")
        for name, size in (("x", self.width), ("y", self.height)):
            outside = getattr(self, name) >= size
            if outside.any():
                at = int(outside.argmax())
                what = f"event {at} has {name} = {getattr(self, name)[at]}, the sensor {size}"
                raise DataError(what, where="events", remedy="give the sensor's width and height")

    def __len__(self) -> int:
        return len(self.t)

    def __getitem__(self, chosen: slice | npt.NDArray[Any]) -> Events:
        """The events of a slice, mask or index array that keeps their order."""
        return replace(self, t=self.t[chosen], x=self.x[chosen], y=self.y[chosen], p=self.p[chosen])

    @property
    def duration_us(self) -> float:
        """From the first event to the last; 0 without events."""
        return float(self.t[-1] - self.t[0]) * self.tick_us if len(self) else 0.0

    def between(self, start: int, end: int) -> Events:
        """The events with ``start <= t < end``, in ticks."""
        first, last = np.searchsorted(self.t, (start, end))
        return self[int(first) : int(last)]


def ordered(events: Events | Columns) -> npt.NDArray[np.intp] | None:
    """The stable order by time, or None where times never fall."""
    return np.argsort(events.t, kind="stable") if (np.diff(events.t) < 0).any() else None


@dataclass(frozen=True, eq=False)
class Fault:
    """Where a file stops making sense.

    Attributes:
        offset: byte in the file.
        what: as a clause.
    """

    offset: int
    what: str


@dataclass(frozen=True, eq=False)
class Columns:
    """What a decoder found: columns of equal length up to ``fault``, and the sensor where the file names it.

    Attributes:
        t, x, y, p: as of :class:`Events`, not yet ordered nor held against the sensor.
        size: width and height; None where the file does not say.
        fault: None where the file is sound to its end.
    """

    t: npt.NDArray[np.int64]
    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    p: npt.NDArray[Any]
    size: tuple[int, int] | None = None
    fault: Fault | None = None
    tick_us: float = 1.0
