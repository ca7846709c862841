"""Which encoder, and its settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from leanspike.core.records import require

EncoderKind = Literal["direct", "rate", "latency", "delta", "frames"]


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of an encoder.

    Attributes:
        kind: ``direct`` (the value as a constant current), ``rate`` (Bernoulli spikes), ``latency`` (one spike, the
            earlier the larger), ``delta`` (ON and OFF spikes of a series' changes) or ``frames`` (the frames of a
            recording of events, brought to T steps).
        gain: every value is first multiplied by it, > 0; rate and latency then clip to [0, 1]. frames: 1.
        threshold: in (0, 1]. latency: values below it never fire. delta: the change that makes a spike. The others
            do not use it.
    """

    kind: EncoderKind = "direct"
    gain: float = 1.0
    threshold: float = 0.1

    def __post_init__(self) -> None:
        kinds = ("direct", "rate", "latency", "delta", "frames")
        require(self.kind in kinds, "encoder.kind", self.kind, f"one of {', '.join(kinds)}")
        require(math.isfinite(self.gain) and self.gain > 0, "encoder.gain", self.gain, "a finite number above 0")
        require(self.kind != "frames" or self.gain == 1.0, "encoder.gain", self.gain, "1 for frames of events")
        require(0 < self.threshold <= 1, "encoder.threshold", self.threshold, "a number above 0, at most 1")
