"""From a recording to the frames that a network sees, ``[F, P, H, W]`` uint8, 255 where a pixel spikes, else 0.

    by time      F frames of ``frame_us`` each, or without it F equal parts of the recording
    by count     F frames with equal numbers of events
    voxel        F frames between which each event is shared by its time; a spike from ``least - 1/2`` events on
    by events    a frame every ``per_step`` events, as many as F hold: steps follow the events, not the clock; a quiet
                 recording leaves the last frames empty, and events beyond F frames are left out

A pixel of the other three spikes from ``least`` events on. Before, in this order: hot pixels and events within the
refractory time go (:mod:`leanspike.data.events.filters`), and ``pool`` pixels a side become one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from leanspike.core.records import require
from leanspike.data.events import filters, frames
from leanspike.data.events.record import Events

By = Literal["time", "count", "voxel", "events"]


@dataclass(frozen=True)
class Preparation:
    """How recordings become frames; see the module's head.

    Attributes:
        by: time, count, voxel or events.
        frames: F.
        frame_us: length of a frame by time, in microseconds; 0: a recording's own extent, in F parts.
        per_step: events a frame, by events.
        least: events that make a pixel spike.
        pool: pixels a side that become one.
        polarities: 2: OFF and ON apart; 1: together.
        refractory_us: dead time of a pixel; 0: off.
        hot: a pixel with more than so many times the mean number of events is silenced; 0: off.
        train, test: the first so many recordings of each part; 0: all.
    """

    by: By = "time"
    frames: int = 10
    frame_us: int = 0
    per_step: int = 256
    least: int = 1
    pool: int = 1
    polarities: int = 2
    refractory_us: int = 0
    hot: float = 0.0
    train: int = 0
    test: int = 0

    def __post_init__(self) -> None:
        require(self.by in ("time", "count", "voxel", "events"), "by", self.by, "time, count, voxel or events")
        for key in ("frames", "per_step", "least", "pool"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")
        for key in ("frame_us", "refractory_us", "train", "test"):
            require(getattr(self, key) >= 0, key, getattr(self, key), "0 or more")
        require(self.polarities in (1, 2), "polarities", self.polarities, "1 or 2")
        require(self.hot == 0 or self.hot > 1, "hot", self.hot, "0 (off), or more than 1")


def shape(how: Preparation, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Shape of a sample of a sensor of this width and height."""
    width, height = (-(-side // how.pool) for side in size)
    return how.frames, how.polarities, height, width


def framed(events: Events, how: Preparation, start: int | None = None) -> npt.NDArray[np.uint8]:
    """A recording as frames.

    Args:
        start: of the first frame by time, in ticks; the first event if None.
    """
    events = pooled(_filtered(events, how), how.pool)
    found = _brought(events, how, start)
    if how.polarities == 1:
        found = found.sum(axis=1, keepdims=True, dtype=np.float64)
    least = how.least - 0.5 if how.by == "voxel" else how.least
    spikes: npt.NDArray[np.uint8] = (found >= least) * np.uint8(255)
    return spikes


def placed(events: Events, size: tuple[int, int]) -> Events:
    """The events on a sensor of this width and height; those beyond it are gone."""
    width, height = size
    if (events.width, events.height) == size:
        return events
    inside = events[(events.x < width) & (events.y < height)]
    return replace(inside, width=width, height=height)


def pooled(events: Events, pool: int) -> Events:
    """``pool`` x ``pool`` pixels as one."""
    if pool == 1:
        return events
    width, height = -(-events.width // pool), -(-events.height // pool)
    return replace(events, x=events.x // pool, y=events.y // pool, width=width, height=height)


def _filtered(events: Events, how: Preparation) -> Events:
    if how.hot:
        events = filters.without(events, filters.hot_pixels(events, how.hot))
    return filters.refractory(events, how.refractory_us) if how.refractory_us else events


def _brought(events: Events, how: Preparation, start: int | None) -> frames.Frames:
    if how.by == "voxel":
        return frames.voxel(events, how.frames)
    if how.by == "count":
        return frames.by_count(events, how.frames)
    if how.by == "events":
        return frames.by_events(events, how.frames, how.per_step)
    if how.frame_us:
        return frames.by_time(events, how.frames, max(1, round(how.frame_us / events.tick_us)), start)
    span = int(events.t[-1] - events.t[0]) + 1 if len(events) else 1
    return frames.by_time(events, how.frames, -(-span // how.frames))
