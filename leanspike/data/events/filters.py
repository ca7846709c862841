"""Filters of events: pixels that cannot fire again so soon, and pixels that fire without cause.

refractory    an event is kept if its pixel's last kept one, of either direction, is ``microseconds`` or more ago
hot pixels    those with more than ``factor`` times the mean number of events of the pixels that have any
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leanspike.core.records import require
from leanspike.data.events.record import Events

Mask = npt.NDArray[np.bool_]


def refractory(events: Events, microseconds: float) -> Events:
    """The events that a pixel with this dead time lets through."""
    require(microseconds >= 0, "refractory_us", microseconds, "0 or more")
    ticks = int(np.ceil(microseconds / events.tick_us))
    if not len(events) or not ticks:
        return events
    pixel = events.y.astype(np.int64) * events.width + events.x
    span = int(events.t[-1] - events.t[0]) + ticks + 1
    order = np.argsort(pixel, kind="stable")
    keys = pixel[order] * span + (events.t[order] - events.t[0])
    # One chain: the successor of a pixel's last kept event is the next pixel's first one.
    after = np.searchsorted(keys, keys + ticks).tolist()
    kept, at = [], 0
    while at < len(after):
        kept.append(at)
        at = after[at]
    return events[np.sort(order[kept])]


def hot_pixels(events: Events, factor: float) -> Mask:
    """Which pixels are hot, ``[height, width]``."""
    require(factor > 1, "hot", factor, "more than 1")
    places = events.y.astype(np.int64) * events.width + events.x
    counts = np.bincount(places, minlength=events.height * events.width).reshape(events.height, events.width)
    active = counts[counts > 0]
    return counts > factor * active.mean() if len(active) else np.zeros(counts.shape, dtype=bool)


def without(events: Events, pixels: Mask) -> Events:
    """The events of all other pixels."""
    return events[~pixels[events.y, events.x]]
