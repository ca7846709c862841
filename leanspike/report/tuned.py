"""A tune as its page shows it: trials by what became of them, the front, the chosen point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from leanspike.measure import pareto
from leanspike.measure.records import Study, TrialRecord
from leanspike.report.formats import NOT_MEASURED, microseconds, number, percent, significant

UNITS = {
    "accuracy": "validation accuracy (%)",
    "energy": "energy a sample (nJ, modelled, without memory)",
    "bytes": "bytes of weights and states",
    "operations": "synaptic operations a sample (MAC + AC)",
    "spikes": "spikes a sample",
    "latency": "latency a sample, median (µs)",
}
HEADINGS = {"accuracy": "Validation", "energy": "Energy (nJ)", "latency": "Latency"}


@dataclass(frozen=True)
class Tuned:
    """A tune's trials, sorted once.

    Attributes:
        finished: trials with goals, by number.
        stopped: trials that were ended early, by number.
        settings: the searched keys, in the order of the space.
    """

    study: Study
    finished: tuple[TrialRecord, ...]
    stopped: tuple[TrialRecord, ...]
    settings: tuple[str, ...]

    @property
    def aims(self) -> tuple[str, ...]:
        return self.study.aims

    @property
    def costs(self) -> tuple[str, ...]:
        """The goals of which less is better."""
        return tuple(aim for aim in self.aims if aim != "accuracy")

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        """What nothing beats in all goals, the most accurate (or best by the first goal) first."""
        if not self.finished:
            return ()
        table = [[goal(trial, aim) for aim in self.aims] for trial in self.finished]
        kept = pareto.front(table, ["max" if aim == "accuracy" else "min" for aim in self.aims])
        found = [trial for trial, is_kept in zip(self.finished, kept, strict=True) if is_kept]
        sign = -1 if self.aims[0] == "accuracy" else 1
        return tuple(sorted(found, key=lambda trial: (sign * goal(trial, self.aims[0]), trial.number or 0)))

    @property
    def chosen(self) -> TrialRecord | None:
        """The trial that the tune chose."""
        return next((trial for trial in self.finished if trial.number == self.study.chosen), None)

    def fate(self, trial: TrialRecord) -> str:
        """What became of a trial, in few words."""
        if trial.stopped:
            return f"stopped: {trial.stopped.partition(':')[0]}"
        if trial.number == self.study.chosen:
            return "chosen"
        return "on the front" if trial in self.front else "beaten"


def survey(study: Study) -> Tuned:
    """Sort a tune's trials."""
    trials = sorted(study.trials, key=lambda trial: trial.number or 0)
    finished = tuple(trial for trial in trials if trial.goals and all(aim in trial.goals for aim in study.aims))
    stopped = tuple(trial for trial in trials if trial.stopped)
    keys = dict.fromkeys(key for trial in trials for key in trial.parameters)
    varied = [key for key in keys if len({setting(trial.parameters, key) for trial in trials}) > 1]
    return Tuned(study, finished, stopped, tuple(varied or keys))


def goal(trial: TrialRecord, aim: str) -> float:
    """The value of a goal of a finished trial."""
    assert trial.goals is not None
    return trial.goals[aim]


def shown(aim: str, value: float) -> str:
    """A goal's value with its unit."""
    if aim == "accuracy":
        return percent(value)
    if aim == "energy":
        return f"{significant(value)} nJ"
    if aim == "latency":
        return microseconds(value)
    return f"{number(value)} bytes" if aim == "bytes" else number(value)


def cell(aim: str, value: float) -> str:
    """A goal's value where the column's heading says the unit."""
    return significant(value) if aim == "energy" else number(value) if aim == "bytes" else shown(aim, value)


def heading(aim: str) -> str:
    """A goal's name above a column."""
    return HEADINGS.get(aim, aim.capitalize())


def setting(parameters: Mapping[str, object], key: str) -> str:
    """A setting's value as text."""
    value = parameters.get(key)
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def finding(tuned: Tuned) -> str:
    """What came out, in a sentence or two."""
    ended = len(tuned.finished) + len(tuned.stopped)
    if not tuned.finished:
        return f"None of {ended} trials finished."
    told = f"Of {ended} trials {len(tuned.stopped)} were stopped early; {len(tuned.front)} are beaten by none"
    chosen = tuned.chosen
    if chosen is None:
        return f"{told}."
    figures = ", ".join(shown(aim, goal(chosen, aim)) for aim in tuned.aims)
    tested = f"; on the test set it reads {percent(chosen.accuracy)}" if chosen.accuracy is not None else ""
    return f"{told}. Chosen is trial {chosen.number}: {figures} on validation samples{tested}."


def text(tuned: Tuned) -> str:
    """The front as plain text in aligned columns, and the finding."""
    rows = [["#", *map(heading, tuned.aims), "Test", *tuned.settings]]
    for trial in tuned.front:
        figures = [cell(aim, goal(trial, aim)) for aim in tuned.aims]
        test = percent(trial.accuracy) if trial.accuracy is not None else NOT_MEASURED
        settings = [setting(trial.parameters, key) for key in tuned.settings]
        mark = "*" if trial.number == tuned.study.chosen else ""
        rows.append([f"{mark}{trial.number}", *figures, test, *settings])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([*lines, "", finding(tuned)])
