"""What a stream dropped, by kind, and how long things took, in memory that does not grow.

bucket of x = floor(ln(x / 100 ns) / ln 1.02)       a percentile is the upper end of its bucket: at most 2 % too high
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LEAST_SECONDS, RATIO, BUCKETS = 1e-7, 1.02, 1280

DROPS = {
    "outside": "events outside the sensor that the program knows",
    "late": "events of a time before the step at hand",
    "ahead": "events too far ahead of the step at hand",
    "moved": "moves of the sender's clock, at which states began anew",
    "lost": "events that the sender counted and that never came",
    "full": "events dropped because the queue was full",
    "malformed": "datagrams that are no packets",
    "skipped_bytes": "bytes between packets that are none",
    "bad_lines": "lines that could not be read",
    "bad_steps": "steps with values out of range",
    "cut_off": "bytes of a packet, a line or a step that the stream ended in",
    "damaged": "damaged recordings, of which the part before the damage was taken",
}
"""What can be dropped, in words. No kind is ever dropped without being counted under its name."""


@dataclass
class Tally:
    """What was dropped so far, by the names of :data:`DROPS`; ``notes`` says more of some."""

    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DROPS, 0))
    notes: list[str] = field(default_factory=list)

    def nonzero(self) -> dict[str, int]:
        """The kinds of which there were any."""
        return {kind: count for kind, count in self.dropped.items() if count}


class Latencies:
    """A histogram of seconds from 100 ns to some hours."""

    def __init__(self) -> None:
        self.count, self.highest = 0, 0.0
        self._buckets = [0] * BUCKETS

    def add(self, seconds: float) -> None:
        """One more."""
        place = int(math.log(max(seconds, LEAST_SECONDS) / LEAST_SECONDS) / math.log(RATIO))
        self._buckets[min(place, BUCKETS - 1)] += 1
        self.count += 1
        self.highest = max(self.highest, seconds)

    def percentile(self, share: float) -> float | None:
        """The seconds that a share (0..1) of them does not exceed; None of none."""
        left = math.ceil(share * self.count)
        if not self.count:
            return None
        for place, count in enumerate(self._buckets):
            left -= count
            if left <= 0:
                return min(LEAST_SECONDS * RATIO ** (place + 1), self.highest)
        return self.highest

    def told(self) -> dict[str, float | None]:
        """p50, p99 and the highest, in microseconds."""
        found = {"p50": self.percentile(0.5), "p99": self.percentile(0.99)}
        found["max"] = self.highest if self.count else None
        return {name: None if seconds is None else round(1e6 * seconds, 2) for name, seconds in found.items()}
