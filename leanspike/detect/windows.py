"""Labelled moments of recordings as samples: the frames of the events before a box's time, and all boxes of that time.

    frame k of T       1 where an event of its polarity fell with  k d <= t - (t_box - T d) < (k + 1) d

In memory a sample takes T 2 H W bits. DIR/train, DIR/val and DIR/test hold recordings as
:mod:`leanspike.detect.prophesee` reads them; DIR/scenes.json names the classes, else they are those of Gen1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError
from leanspike.core.records import require
from leanspike.data.events import frames, read
from leanspike.detect import prophesee
from leanspike.detect.boxes import Boxes

GEN1_CLASSES = ("car", "pedestrian")
PAGE = "scenes.json"
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class WindowConfig:
    """What of a recording is a sample.

    Attributes:
        timesteps: T, frames a window.
        window_ms: length of a window.
        skip_ms: boxes earlier than this are left out.
        least_side, least_diagonal: boxes smaller than this are left out, in pixels. With 500, 10 and 30 these are the
            rules by which Gen1 is evaluated.
    """

    timesteps: int = 4
    window_ms: int = 100
    skip_ms: int = 0
    least_side: float = 0.0
    least_diagonal: float = 0.0

    def __post_init__(self) -> None:
        require(self.timesteps >= 1, "windows.timesteps", self.timesteps, "1 or more")
        require(self.window_ms >= 1, "windows.window_ms", self.window_ms, "1 or more")
        for key in ("skip_ms", "least_side", "least_diagonal"):
            require(getattr(self, key) >= 0, f"windows.{key}", getattr(self, key), "0 or more")

    @property
    def frame_us(self) -> int:
        """Length of a frame in microseconds; a rest of the window is left out at its start."""
        return 1000 * self.window_ms // self.timesteps


@dataclass(frozen=True, eq=False)
class Samples:
    """Windows with their boxes.

    Attributes:
        packed: ``[N, bytes]`` the bits of the frames ``[T, 2, H, W]`` in C order.
        boxes: of every window.
        shape: ``(T, 2, H, W)``.
    """

    packed: Bytes
    boxes: tuple[Boxes, ...]
    shape: tuple[int, int, int, int]

    def __len__(self) -> int:
        return len(self.packed)

    def frames(self, chosen: npt.NDArray[np.integer[Any]] | slice = slice(None)) -> Bytes:
        """Frames ``[n, T, 2, H, W]`` of 0 and 1."""
        bits = np.unpackbits(self.packed[chosen], axis=1, count=int(np.prod(self.shape)))
        return bits.reshape(-1, *self.shape)

    def raw(self, chosen: npt.NDArray[np.integer[Any]] | slice = slice(None)) -> Bytes:
        """The raw samples ``[n, T, H, W, 2]`` of a program."""
        return np.ascontiguousarray(np.moveaxis(self.frames(chosen), 2, -1))


def classes_of(folder: Path) -> tuple[str, ...]:
    """The names of the classes of a set.

    Raises:
        DataError: the folder's page is damaged.
    """
    path = folder / PAGE
    if not path.exists():
        return GEN1_CLASSES
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["classes"]
        if not names or not all(isinstance(name, str) for name in names):
            raise KeyError("classes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("is damaged: it names no classes", where=path, remedy="write the scenes again") from error
    return tuple(names)


def load(folder: Path, config: WindowConfig, classes: int) -> Samples:
    """All windows of the recordings in a folder, by name and time.

    Raises:
        DataError: no recording, a damaged one, sensors of two sizes, a class that is none, or no box.
    """
    packed: list[Bytes] = []
    boxes: list[Boxes] = []
    size: tuple[int, int] | None = None
    for events_path, boxes_path in prophesee.recordings(folder):
        events, marks = read(events_path), prophesee.read_boxes(boxes_path)
        if len(marks.boxes.labels) and not 0 <= marks.boxes.labels.min() <= marks.boxes.labels.max() < classes:
            raise DataError(f"has class {marks.boxes.labels.max()} of {classes}", where=boxes_path)
        if size not in (None, (events.height, events.width)):
            raise DataError(f"is of {events.width} x {events.height} pixels, others are not", where=events_path)
        size = (events.height, events.width)
        for time in np.unique(marks.times[marks.times >= 1000 * config.skip_ms]):
            start = int(time) - config.timesteps * config.frame_us
            counts = frames.by_time(events, config.timesteps, config.frame_us, start=start)
            packed.append(np.packbits(counts > 0))
            boxes.append(_kept(marks.at(int(time)), config, size))
    if not packed or size is None:
        raise DataError("holds no box", where=folder)
    return Samples(np.stack(packed), tuple(boxes), (config.timesteps, 2, *size))


def _kept(boxes: Boxes, config: WindowConfig, size: tuple[int, int]) -> Boxes:
    """Boxes cut to the field, without those that are too small."""
    corners = boxes.corners.clip(0, [size[1], size[0], size[1], size[0]])
    sides = corners[:, 2:] - corners[:, :2]
    large = (sides > 0).all(1) & (sides >= config.least_side).all(1)
    large &= np.hypot(sides[:, 0], sides[:, 1]) >= config.least_diagonal
    return Boxes(corners, boxes.labels, boxes.scores)[large]
