"""Augmentation of recordings: functions of a seed, so a recording is augmented alike on every machine.

    shift     the whole recording moved by up to ``shift`` pixels in x and y; what leaves the sensor is gone
    flip      mirrored left to right, every second one
    drop      an event is left out with the probability ``drop``
    jitter    times moved by normal noise of ``jitter_us``, then sorted again; none before the first time

Training augments frames instead, anew in every epoch (``train.augment_shift``, ``augment_flip``, ``augment_drop``,
``augment_time``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from leanspike.core.records import require
from leanspike.data.events.record import Events


@dataclass(frozen=True)
class Augmentation:
    """How much; see the module's head. 0 and false are off."""

    shift: int = 0
    flip: bool = False
    drop: float = 0.0
    jitter_us: float = 0.0

    def __post_init__(self) -> None:
        require(self.shift >= 0, "shift", self.shift, "0 or more pixels")
        require(0 <= self.drop < 1, "drop", self.drop, "from 0 up to, not including, 1")
        require(self.jitter_us >= 0, "jitter_us", self.jitter_us, "0 or more")


def augmented(events: Events, how: Augmentation, seed: int) -> Events:
    """A recording changed at random."""
    random = np.random.default_rng(seed)
    dx, dy = random.integers(-how.shift, how.shift + 1, 2).tolist()
    mirrored = how.flip and random.random() < 0.5
    if mirrored:
        events = flipped(events)
    events = shifted(events, dx, dy)
    if how.drop:
        events = events[random.random(len(events)) >= how.drop]
    return jittered(events, how.jitter_us, random) if how.jitter_us else events


def shifted(events: Events, dx: int, dy: int) -> Events:
    """Moved to the right by ``dx`` and on by ``dy`` rows."""
    x, y = events.x.astype(np.int64) + dx, events.y.astype(np.int64) + dy
    kept = (x >= 0) & (x < events.width) & (y >= 0) & (y < events.height)
    return replace(events[kept], x=x[kept].astype(np.uint16), y=y[kept].astype(np.uint16))


def flipped(events: Events) -> Events:
    """Mirrored left to right."""
    return replace(events, x=events.width - 1 - events.x)


def jittered(events: Events, microseconds: float, random: np.random.Generator) -> Events:
    """Times moved by normal noise of this standard deviation."""
    if not len(events):
        return events
    noise = np.round(random.standard_normal(len(events)) * microseconds / events.tick_us).astype(np.int64)
    t = np.maximum(events.t + noise, events.t[0])
    order = np.argsort(t, kind="stable")
    return replace(events, t=t[order], x=events.x[order], y=events.y[order], p=events.p[order])
