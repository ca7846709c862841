"""The search: down every useful ladder while accuracy allows, in rounds that allow more.

A place is a network and its settings. In round r a move is kept if validation accuracy stays at or above

    floor(r) = max(target + margin,  start - allowance(r)),       allowance: 0.3, 0.7, 1.5, 3, 6, 100 points

so that moves which cost nothing come before those that cost. Each round goes through the knobs that serve a limit
which is still missed (all of them where only an accuracy is asked for) and down each knob's ladder until accuracy
falls below the floor. Accuracy is scarce: at first a move must take a quarter off a limit that is missed, and a rung
that does not is passed over; only if the limits are missed then, the rounds are repeated with moves that save less.
If they still are, a patient round gives every move the long fine-tuning that otherwise comes last; then one more may
fall a point below the target: a credit on what does come last, a long fine-tuning of the place, kept if it is better.
A move that was tried from the same place is not tried again with the same patience.

Everything here is a function of the figures that ``attempt`` gives, so a road that was cut off is walked again from the
start, over the steps whose figures are stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from leanspike.lean.budget import Budget
from leanspike.lean.moves import Settings, lower_rung, told, useful

CREDIT = 0.01
WORTH = 0.25
ALLOWANCES = (0.003, 0.007, 0.015, 0.03, 0.06, 1.0)
EVERYTHING = ("bytes", "operations", "spikes", "energy")


@dataclass(frozen=True)
class Step:
    """A place of the road: what was done, from where, its figures on validation data, and whether it was kept.

    Attributes:
        verdict: ``kept``, ``too inaccurate`` (below ``floor``) or ``saves too little``.
        number: of the step, its folder's number; 0 is the start.
        parent: number of the step it was made from; None for the start.
        figures: ``accuracy``, ``bytes``, ``operations``, ``spikes``, ``energy``, of the program.
    """

    number: int
    parent: int | None
    done: str
    settings: Settings
    figures: Mapping[str, float]
    kept: bool = True
    verdict: str = "kept"
    floor: float | None = None


Verdict = Literal["kept", "too inaccurate", "saves too little"]
Attempt = Callable[[int, Step, Settings, bool], Mapping[str, float]]
"""(number of the new step, the place to start from, the settings asked for, whether to fine-tune long) -> figures on
validation data."""


class Road:
    """The steps so far, and where the road stands.

    Args:
        watch: is shown the road after every step.
    """

    def __init__(self, start: Step, budget: Budget, attempt: Attempt, watch: Callable[[Road], Any]) -> None:
        self.budget, self.attempt, self.watch = budget, attempt, watch
        self.steps, self.place = [start], start
        self.tried: dict[tuple[int, Settings, bool], int] = {}

    @property
    def missed(self) -> tuple[str, ...]:
        """Limits that the place misses; with no limits at all, everything may always be less."""
        limits = self.budget.limits
        if not limits:
            return EVERYTHING
        return tuple(name for name, limit in limits.items() if self.place.figures[name] > limit)

    def go(self, settings: Settings, floor: float, worth: float = 0.0, patient: bool = False) -> Verdict:
        """Make a move, or recall it, and keep it if it is accurate and saves enough."""
        step = self._step(settings, patient)
        if step.figures["accuracy"] < floor:
            verdict: Verdict = "too inaccurate"
        else:
            verdict = "kept" if worth == 0 or self.saved(step) >= worth else "saves too little"
        self._judge(step, verdict, floor)
        return verdict

    def finish(self) -> None:
        """Fine-tune the place, and keep that if it is more accurate and no limit is broken by it."""
        step = self._step(self.place.settings, patient=True)
        worse = self.budget.within(self.place.figures) and not self.budget.within(step.figures)
        better = step.figures["accuracy"] > self.place.figures["accuracy"] and not worse
        self._judge(step, "kept" if better else "too inaccurate", self.place.figures["accuracy"])

    def saved(self, step: Step) -> float:
        """The largest share that a step takes off what is missed."""
        before = self.place.figures
        return max((1 - step.figures[name] / before[name] for name in self.missed if before[name]), default=0.0)

    def _step(self, settings: Settings, patient: bool) -> Step:
        known = self.tried.get((self.place.number, settings, patient))
        if known is None:
            known = len(self.steps)
            figures = self.attempt(known, self.place, settings, patient)
            longer = patient and settings != self.place.settings
            done = told(self.place.settings, settings) + (", fine-tuned long" if longer else "")
            self.steps.append(Step(known, self.place.number, done, settings, figures, False))
            self.tried[self.place.number, settings, patient] = known
        return self.steps[known]

    def _judge(self, step: Step, verdict: Verdict, floor: float) -> None:
        kept = verdict == "kept"
        step = self.steps[step.number] = replace(step, kept=kept, verdict=verdict, floor=floor)
        if kept:
            self.place = step
        self.watch(self)


def walk(road: Road, *, margin: float, rounds: tuple[float, ...] = ALLOWANCES) -> Step:
    """Walk the road to its end; returns the place it ends at, or of all steps the nearest where the budget is missed.

    Args:
        margin: accuracy above the target that validation must show, as a share.
    """
    budget, start = road.budget, road.place.figures["accuracy"]
    least = 0.0 if budget.accuracy is None else budget.accuracy + margin
    for worth in (WORTH, 0.0) if budget.limits else (0.0,):
        for allowance in rounds:
            floor = max(least, start - allowance)
            _round(road, floor, worth)
            if floor == least:
                break
    if budget.limits and road.missed and least:
        _round(road, least, 0.0, patient=True)
        _round(road, least - CREDIT, 0.0)
    road.finish()
    if budget.met(road.place.figures):
        return road.place
    return min(road.steps, key=lambda step: (budget.shortfall(step.figures), step.number))


def _round(road: Road, floor: float, worth: float, patient: bool = False) -> None:
    for knob in useful(road.missed):
        settings = lower_rung(road.place.settings, knob)
        while settings is not None and knob in useful(road.missed):
            if road.go(settings, floor, worth, patient) == "too inaccurate":
                break
            settings = lower_rung(settings, knob)
