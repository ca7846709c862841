"""Events brought into frames ``[F, 2, H, W]``, OFF and ON: by time, by count, by events, or interpolated in time.

    by_time     frame f counts the events with  f d <= t - t0 < (f + 1) d        d: ticks of a frame; no later ones
    by_count    frame f counts events floor(f N / F) .. floor((f + 1) N / F) - 1
    by_events   frame f counts events f k .. (f + 1) k - 1; no later ones            k: events of a frame
    voxel       an event at tau = (F - 1)(t - t0) / (t1 - t0) adds 1 - |tau - f| to the frames around it

A. Z. Zhu et al., "Unsupervised event-based learning of optical flow, depth, and egomotion", arXiv:1812.08156 (voxel).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.records import require
from leanspike.data.events.record import Events

Frames = npt.NDArray[Any]


def by_time(events: Events, frames: int, duration: int, start: int | None = None) -> Frames:
    """Counts, uint8 (255 stands for more), in frames of equal time.

    Args:
        duration: of a frame, in ticks.
        start: of the first frame, in ticks; the first event if None.
    """
    _enough(frames)
    require(duration >= 1, "duration", duration, "a tick or more")
    first = (int(events.t[0]) if len(events) else 0) if start is None else start
    kept = events.between(first, first + frames * duration)
    return _counted(kept, (kept.t - first) // duration, frames)


def by_count(events: Events, frames: int) -> Frames:
    """Counts, uint8 (255 stands for more), in frames of equal numbers of events."""
    _enough(frames)
    edges = np.arange(1, frames) * len(events) // frames
    return _counted(events, np.searchsorted(edges, np.arange(len(events)), side="right"), frames)


def by_events(events: Events, frames: int, each: int) -> Frames:
    """Counts, uint8 (255 stands for more), in frames of ``each`` events; empty ones where events run out."""
    _enough(frames)
    require(each >= 1, "per_step", each, "an event or more")
    kept = events[: frames * each]
    return _counted(kept, np.arange(len(kept)) // each, frames)


def voxel(events: Events, frames: int) -> Frames:
    """Float32 sums of events interpolated between the frames around their time."""
    _enough(frames)
    if not len(events):
        return np.zeros(_shape(events, frames), dtype=np.float32)
    span = max(int(events.t[-1] - events.t[0]), 1)
    at = (frames - 1) * (events.t - events.t[0]) / span
    low = np.floor(at).astype(np.int64)
    total = _summed(events, low, frames, 1 - (at - low))
    return (total + _summed(events, np.minimum(low + 1, frames - 1), frames, at - low)).astype(np.float32)


def _enough(frames: int) -> None:
    require(frames >= 1, "frames", frames, "1 or more")


def _shape(events: Events, frames: int) -> tuple[int, int, int, int]:
    return frames, 2, events.height, events.width


def _places(events: Events, frame: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return ((frame * 2 + events.p) * events.height + events.y) * events.width + events.x


def _counted(events: Events, frame: npt.NDArray[np.int64], frames: int) -> Frames:
    shape = _shape(events, frames)
    counts = np.bincount(_places(events, frame), minlength=int(np.prod(shape)))
    return np.minimum(counts, 255).astype(np.uint8).reshape(shape)


def _summed(events: Events, frame: npt.NDArray[np.int64], frames: int, weights: npt.NDArray[np.float64]) -> Frames:
    shape = _shape(events, frames)
    sums: Frames = np.bincount(_places(events, frame), weights, int(np.prod(shape))).reshape(shape)
    return sums
