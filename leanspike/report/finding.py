"""The study's finding in one sentence, computed from its figures, and worded no stronger than they are.

Two settings are called "not measurably different" when Welch's 95 % interval of the difference of their mean accuracies
contains zero (measure/quality.py). With one seed there is no such interval: then the Wilson interval of the better
trial, which knows the size of the test set but not the luck of the training run, decides, and the sentence says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from leanspike.measure.quality import Mean, difference_interval
from leanspike.report.formats import interval, microseconds, number, part_of, percent, plural, points
from leanspike.report.overview import Group, Overview


@dataclass(frozen=True)
class Fact:
    """One key figure: its name, its value, and what qualifies it."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """The sentence, the group it recommends (``None`` without a measured accuracy) and that group's key figures."""

    sentence: str
    group: Group | None
    facts: tuple[Fact, ...]


def find(overview: Overview) -> Finding:
    """The finding of a study, complete or not."""
    measured = [group for group in overview.groups if group.values("accuracy")]
    if not measured:
        what = "No trial has finished yet." if not overview.study.trials else "No accuracy was measured in this study."
        return Finding(what, None, ())
    chosen, sentence = _search(measured, len(overview.groups)) if overview.is_search else _trade_off(measured)
    return Finding(sentence, chosen, tuple(_facts(overview, chosen)))


def _search(measured: list[Group], configurations: int) -> tuple[Group, str]:
    judged = [group for group in measured if group.values("validation_accuracy")]
    key = "validation_accuracy" if judged else "accuracy"
    chosen = max(judged or measured, key=lambda group: group.middle(key) or 0.0)
    settings = ", ".join([chosen.label, *(f"{name} = {value}" for name, value in chosen.parameters)])
    accuracy = interval(_mean(chosen))
    seeds = plural(len(chosen.values("accuracy")), "seed")
    if judged:
        words = f"chosen by its validation accuracy ({percent(chosen.middle(key))}), reaches {accuracy} on the test set"
    else:
        words = f"chosen by its test accuracy, which flatters it, reaches {accuracy}"
    of = f"Of {plural(configurations, 'configuration')}, row {chosen.number}"
    return chosen, f"{of} ({settings}), {words} ({seeds})."


def _trade_off(groups: list[Group]) -> tuple[Group, str]:
    by_steps = sorted(groups, key=lambda group: (group.timesteps, -_mean(group).mean))
    best = max(by_steps, key=lambda group: _mean(group).mean)
    chosen = next(group for group in by_steps if group is best or _no_worse(group, best))
    longest = max(groups, key=lambda group: group.timesteps)
    reaches = (
        f"{_name(chosen, groups)} reaches {interval(_mean(chosen))} ({plural(len(chosen.values('accuracy')), 'seed')})"
    )
    if chosen.timesteps == longest.timesteps == by_steps[0].timesteps:
        return chosen, f"{reaches}."
    if chosen is not best:
        gap = _gap(chosen, best)
        return chosen, (
            f"{reaches}, not measurably different from the best, {_name(best, groups)} ({percent(_mean(best).mean)}; "
            f"difference {_span(gap)}), and needs {_costs(chosen, best)}."
        )
    if chosen is by_steps[0]:
        return chosen, (
            f"{reaches}: no larger T is more accurate. Beside {_name(longest, groups)} "
            f"({percent(_mean(longest).mean)}) it needs {_costs(chosen, longest)}."
        )
    below = max(
        (group for group in by_steps if group.timesteps < chosen.timesteps), key=lambda g: _mean(g).mean, default=None
    )
    if below is None:
        return chosen, f"{reaches}, the most accurate of {len(groups)} settings."
    gap = _gap(below, best)
    return chosen, (
        f"{reaches}, the most accurate; {_name(below, groups)} comes closest with fewer steps "
        f"({percent(_mean(below).mean)}, difference {_span(gap)}) and needs {_costs(below, best)}."
    )


def _name(group: Group, groups: list[Group]) -> str:
    """``T = 5``, with the model and encoder where the study has several."""
    extra = [part for part in ("model", "encoder") if len({getattr(other, part) for other in groups}) > 1]
    return " ".join([f"T = {group.timesteps}", *(f"({getattr(group, part)})" for part in extra)])


def _mean(group: Group) -> Mean:
    mean = group.mean("accuracy")
    assert mean is not None, "only groups with a measured accuracy are compared"
    return mean


def _gap(group: Group, best: Group) -> Mean:
    return difference_interval(group.values("accuracy"), best.values("accuracy"))


def _no_worse(group: Group, best: Group) -> bool:
    gap, bounds = _gap(group, best), best.trials[0].accuracy_ci95
    if gap.hi is None:
        return bounds is not None and len(best.trials) == 1 and _mean(group).mean >= bounds[0]
    return gap.hi >= 0


def _span(gap: Mean) -> str:
    if gap.lo is None or gap.hi is None:
        return f"{points(gap.mean)} points, one seed: only the size of the test set is accounted for"
    return f"{points(gap.mean)} points, 95 % interval {points(gap.lo)} to {points(gap.hi)}"


def _costs(group: Group, other: Group) -> str:
    """What ``group`` costs of ``other``, for every cost that both measured."""
    names = {"spikes_per_sample": "its spikes", "operations": "its synaptic operations", "latency_p50": "its latency"}
    parts = []
    for key, words in names.items():
        mine, theirs = group.middle(key), other.middle(key)
        if mine is not None and theirs is not None and theirs > 0:
            parts.append(f"{part_of(mine, theirs)} {words}")
    if not parts:
        return f"{part_of(group.timesteps, other.timesteps)} its steps"
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def _facts(overview: Overview, group: Group) -> list[Fact]:
    mean = _mean(group)
    seeds = plural(mean.n, "seed")
    note = (
        f"{seeds}, 95 % interval {percent(mean.lo)} to {percent(min(1.0, mean.hi))}"
        if mean.lo is not None and mean.hi is not None
        else seeds
    )
    p99 = group.middle("latency_p99")
    facts = [
        Fact("Test accuracy", percent(mean.mean), note),
        Fact("Spikes a sample", number(group.middle("spikes_per_sample")), _silent(group)),
        Fact("Latency, median", microseconds(group.middle("latency_p50")), f"p99 {microseconds(p99)}" if p99 else ""),
        Fact("Synaptic operations", number(group.middle("operations")), _operations(group)),
    ]
    ann = overview.ann_of(group)
    if ann is not None and ann.values("accuracy"):
        gap = _gap(group, ann)
        bounds = (
            f", 95 % interval {points(gap.lo)} to {points(gap.hi)}" if gap.lo is not None and gap.hi is not None else ""
        )
        facts.insert(
            1, Fact("Against the ANN", f"{points(gap.mean)} points", f"same size: {percent(_mean(ann).mean)}{bounds}")
        )
    return facts


def _silent(group: Group) -> str:
    sparsity = group.middle("sparsity")
    return "" if sparsity is None else f"{percent(sparsity, 1)} of (neuron, step) pairs silent"


def _operations(group: Group) -> str:
    macs, acs = group.middle("macs"), group.middle("acs")
    return "" if macs is None or acs is None else f"{number(macs)} MAC + {number(acs)} AC"
