"""The page of a tune: its Pareto front, the chosen point, what the settings matter, every trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from leanspike.measure.records import Study, TrialRecord
from leanspike.report.formats import NOT_MEASURED, microseconds, number, percent, plural
from leanspike.report.tune_plots import fronts, importances
from leanspike.report.tuned import Tuned, cell, finding, goal, heading, setting, shown, survey

DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Fact:
    """A figure of the chosen point."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class TrialRow:
    """A trial's cells."""

    cells: tuple[str, ...]
    is_chosen: bool


def content(study: Study) -> dict[str, Any]:
    """What the template ``tune.html`` is filled with."""
    tuned = survey(study)
    return {
        "tuned": tuned,
        "finding": finding(tuned),
        "summary": _summary(tuned),
        "missing": _missing(study),
        "facts": _facts(tuned),
        "fronts": fronts(tuned),
        "rule": _rule(tuned),
        "choice": _choice(tuned),
        "importances": importances(tuned),
        "columns": _columns(tuned),
        "rows": _rows(tuned),
    }


def _summary(tuned: Tuned) -> str:
    trials = tuned.study.trials
    networks = list(dict.fromkeys(trial.model for trial in trials))
    parts = [", ".join(networks[:3]) + (f" and {len(networks) - 3} more" if len(networks) > 3 else "")]
    parts += [f"{', '.join(sorted({trial.encoder for trial in trials}))} coding"] if trials else []
    parts += [plural(len(trials), "trial"), f"goals: {', '.join(tuned.aims)}"]
    return " · ".join(part for part in parts if part)


def _missing(study: Study) -> str:
    if study.planned is None or len(study.trials) >= study.planned:
        return ""
    return f"Not finished: {len(study.trials)} of {study.planned} trials are in; the same command goes on."


def _facts(tuned: Tuned) -> list[Fact]:
    """The chosen point's goals on validation data, and what the test set said."""
    chosen = tuned.chosen
    if chosen is None:
        return []
    facts = []
    if chosen.accuracy is not None:
        low, high = chosen.accuracy_ci95 or (chosen.accuracy, chosen.accuracy)
        facts.append(
            Fact("Test accuracy", percent(chosen.accuracy), f"95 % interval {100 * low:.2f} to {percent(high)}")
        )
    for aim in tuned.aims:
        name = "Validation accuracy" if aim == "accuracy" else heading(aim).partition(" (")[0]
        facts.append(Fact(name, shown(aim, goal(chosen, aim)), "chose" if aim == "accuracy" else ""))
    extra = {"bytes": chosen.memory_bytes, "spikes": chosen.spikes_per_sample}
    for aim, value in extra.items():
        if aim not in tuned.aims and value is not None:
            facts.append(Fact(heading(aim), shown(aim, value)))
    if chosen.latency_us:
        facts.append(Fact("Latency", microseconds(chosen.latency_us.p50), f"p99 {microseconds(chosen.latency_us.p99)}"))
    return facts


def _rule(tuned: Tuned) -> str:
    within = tuned.study.configuration.get("within")
    if not tuned.costs:
        return "The best by its goal on validation samples."
    if "accuracy" not in tuned.aims:
        return f"The one of least {tuned.costs[0]} on the front."
    points = f"{100 * within:.3g} percentage points" if isinstance(within, (int, float)) else "the allowed distance"
    return f"On the front, within {points} of the best on validation samples, the one of least {tuned.costs[0]}."


def _choice(tuned: Tuned) -> list[tuple[str, str]]:
    chosen = tuned.chosen
    if chosen is None:
        return []
    return [(key, setting(chosen.parameters, key)) for key in tuned.settings]


def _columns(tuned: Tuned) -> list[tuple[str, bool]]:
    figures = [heading(aim) for aim in tuned.aims]
    settings = [key.rpartition(".")[2].replace("_", " ") for key in tuned.settings]
    full = [key if settings.count(short) > 1 else short for key, short in zip(tuned.settings, settings, strict=True)]
    numbers = [(name, False) for name in (*figures, "Test", "Synapses", *full)]
    reason = [("Why it was stopped", True)] if tuned.stopped else []
    return [("#", False), ("Outcome", True), *numbers, *reason]


def _rows(tuned: Tuned) -> list[TrialRow]:
    beaten = tuple(trial for trial in tuned.finished if trial not in tuned.front)
    return [_row(tuned, trial) for trial in (*tuned.front, *beaten, *tuned.stopped)]


def _row(tuned: Tuned, trial: TrialRecord) -> TrialRow:
    figures = [DASH if trial.stopped else cell(aim, goal(trial, aim)) for aim in tuned.aims]
    test = DASH if trial not in tuned.front else percent(trial.accuracy)
    size = DASH if trial.stopped else number(trial.synapses) if trial.synapses is not None else NOT_MEASURED
    settings = [setting(trial.parameters, key) for key in tuned.settings]
    is_chosen = tuned.chosen is not None and trial.number == tuned.chosen.number
    reason = [(trial.stopped or DASH).partition(": ")[2] or DASH] if tuned.stopped else []
    return TrialRow((str(trial.number), tuned.fate(trial), *figures, test, size, *settings, *reason), is_chosen)
