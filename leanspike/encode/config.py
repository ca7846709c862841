"""Which encoder, and its settings."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from leanspike.core.records import require

EncoderKind = Literal["direct", "rate", "latency", "current", "delta", "population", "frames"]


@dataclass(frozen=True)
class EncoderConfig:
    """Settings of an encoder.

    Attributes:
        kind: ``direct`` (the value as a constant current), ``rate`` (Bernoulli spikes), ``latency`` (one spike, the
            earlier the larger); of a series, whose time is then the network's: ``current`` (its value in each step),
            ``delta`` (ON and OFF spikes of its changes), ``population`` (spikes of the Gaussian fields that its value
            lies in); or ``frames`` (the frames of a recording of events, brought to T steps).
        gain: every value is first multiplied by it, > 0; rate, latency and population then clip to [0, 1]. frames: 1.
        threshold: in (0, 1]. latency: values below it never fire. delta: the change that makes a spike. population:
            what a field must answer to fire, below 1. The others do not use it.
        fields: population: Gaussian fields a channel.
    """

    kind: EncoderKind = "direct"
    gain: float = 1.0
    threshold: float = 0.1
    fields: int = 8

    def __post_init__(self) -> None:
        kinds = ("direct", "rate", "latency", "current", "delta", "population", "frames")
        require(self.kind in kinds, "encoder.kind", self.kind, f"one of {', '.join(kinds)}")
        require(math.isfinite(self.gain) and self.gain > 0, "encoder.gain", self.gain, "a finite number above 0")
        require(self.kind != "frames" or self.gain == 1.0, "encoder.gain", self.gain, "1 for frames of events")
        require(0 < self.threshold <= 1, "encoder.threshold", self.threshold, "a number above 0, at most 1")
        fires = self.kind != "population" or self.threshold < 1
        require(
            fires, "encoder.threshold", self.threshold, "below 1 for population: a field answers 1 at its centre only"
        )
        require(3 <= self.fields <= 64, "encoder.fields", self.fields, "3 to 64")
