"""What a program may cost and must reach, and how far from it a program is.

    shortfall = sum over limits of max(0, value / limit - 1) + max(0, target - accuracy) / (1 - target)

0 where the budget is met; of programs that miss it, the one with the least is the nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from leanspike.core.records import require

LIMITS = ("bytes", "operations", "spikes", "energy")


@dataclass(frozen=True)
class Budget:
    """Limits of a program; None is no limit.

    Attributes:
        accuracy: at least, a share.
        bytes: of weights and states as stored, at most.
        operations: MACs and ACs a sample, at most.
        spikes: a sample, at most.
        energy: nJ a sample by the model ``arithmetic-45nm``, at most.

    Raises:
        ConfigError: nothing is asked for, or something that cannot be.
    """

    accuracy: float | None = None
    bytes: int | None = None
    operations: float | None = None
    spikes: float | None = None
    energy: float | None = None

    def __post_init__(self) -> None:
        asked = [field.name for field in fields(self) if getattr(self, field.name) is not None]
        require(bool(asked), "budget", "nothing", "at least one of --target-accuracy and --budget-...")
        share = 0.5 if self.accuracy is None else self.accuracy
        require(0 < share < 1, "--target-accuracy", f"{100 * share:g}", "percent, above 0 and below 100")
        for name in LIMITS:
            value = getattr(self, name)
            require(value is None or value > 0, f"budget.{name}", value, "a number above 0")

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are given, by name."""
        return {name: float(getattr(self, name)) for name in LIMITS if getattr(self, name) is not None}

    def within(self, figures: Mapping[str, float]) -> bool:
        """Whether every limit is kept, whatever the accuracy."""
        return all(figures[name] <= limit for name, limit in self.limits.items())

    def met(self, figures: Mapping[str, float]) -> bool:
        """Whether a program with these figures (``accuracy`` and the limits' names) meets the budget."""
        return self.within(figures) and (self.accuracy is None or figures["accuracy"] >= self.accuracy)

    def shortfall(self, figures: Mapping[str, float]) -> float:
        """How far from the budget a program is; see the head of this file."""
        over = sum(max(0.0, figures[name] / limit - 1) for name, limit in self.limits.items())
        if self.accuracy is None:
            return over
        return over + max(0.0, self.accuracy - figures["accuracy"]) / (1 - self.accuracy)
