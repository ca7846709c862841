"""Trials that are not worth finishing, told from their first epochs.

    silent      a spiking layer fires at a rate below ``silent``: no gradient and no answer come through it
    saturated   a spiking layer fires at a rate above ``saturated``: it says nothing about its input
    exploding   the loss is not finite
    hopeless    after ``warm_up`` epochs, and ``startup`` other trials that went as far, the validation error exceeds
                ``patience`` times their median error after the same epoch (``patience`` 1 is the median rule;
                several goals need more, because a network may be worse and much cheaper)

Silent networks in the search spaces of spiking networks, and stopping them by their spikes: arXiv:2403.00450. The
median rule: D. Golovin et al., "Google Vizier", KDD 2017, section 3.2.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from leanspike.core.records import require
from leanspike.train import EpochRecord


class Stopped(Exception):
    """A trial ends here; the text says why."""


@dataclass(frozen=True)
class StopConfig:
    """When a trial ends early; see the head of this file. ``patience`` 0 chooses 1 for one goal, 2 for several."""

    silent: float = 1e-4
    saturated: float = 0.95
    startup: int = 5
    warm_up: int = 1
    patience: float = 0.0

    def __post_init__(self) -> None:
        require(0 <= self.silent < self.saturated <= 1, "stop.silent", self.silent, "0 up to stop.saturated, at most 1")
        require(self.startup >= 1, "stop.startup", self.startup, "a whole number from 1 up")
        require(self.warm_up >= 0, "stop.warm_up", self.warm_up, "0 or more epochs")
        require(self.patience == 0 or self.patience >= 1, "stop.patience", self.patience, "0 (choose) or at least 1")


def verdict(
    record: EpochRecord, others: Sequence[Sequence[float]], config: StopConfig, *, goals: int = 1
) -> str | None:
    """Why a trial should stop after this epoch; None if it should go on.

    Args:
        others: validation accuracies by epoch of every other trial.
        goals: number of the search's goals.
    """
    if not math.isfinite(record.loss):
        return f"exploding: the loss is {record.loss} in epoch {record.epoch}"
    for layer, rate in enumerate(record.rates, start=1):
        if rate < config.silent:
            return f"silent: layer {layer} fires at {rate:.2g} after epoch {record.epoch}"
        if rate > config.saturated:
            return f"saturated: layer {layer} fires at {rate:.3f} after epoch {record.epoch}"
    there = [curve[record.epoch - 1] for curve in others if len(curve) >= record.epoch]
    if record.validation_accuracy is None or len(there) < config.startup or record.epoch <= config.warm_up:
        return None
    median = statistics.median(there)
    patience = config.patience or (1.0 if goals == 1 else 2.0)
    if 1 - record.validation_accuracy > patience * (1 - median):
        told = f"validation accuracy {record.validation_accuracy:.2%} after epoch {record.epoch}"
        return f"hopeless: {told}, the median of {len(there)} trials {median:.2%}"
    return None
