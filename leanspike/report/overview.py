"""A study seen as groups of trials: the same network and settings, trained from several seeds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from leanspike.measure.quality import Mean, mean_interval
from leanspike.measure.records import Study, TrialRecord

OWN_AXES = ("timesteps", "seed")


@dataclass(frozen=True)
class Group:
    """Trials that differ in the seed only.

    Args:
        number: the group's row in the table, from 1.
        parameters: the values, as text, of the settings that vary in this study besides timesteps and seed.
        trials: at least one, ordered by seed.
    """

    number: int
    parameters: tuple[tuple[str, str], ...]
    trials: tuple[TrialRecord, ...]

    @property
    def model(self) -> str:
        return self.trials[0].model

    @property
    def encoder(self) -> str:
        return self.trials[0].encoder

    @property
    def timesteps(self) -> int:
        return self.trials[0].timesteps

    @property
    def is_ann(self) -> bool:
        return self.trials[0].is_ann

    @property
    def label(self) -> str:
        """Short name in a plot: ``ANN`` or ``T = 5``."""
        return "ANN" if self.is_ann else f"T = {self.timesteps}"

    def values(self, key: str) -> list[float]:
        """The measured values of one figure, a trial each; see :func:`figure`."""
        return [value for trial in self.trials if (value := figure(trial, key)) is not None]

    def mean(self, key: str) -> Mean | None:
        """Mean over the seeds of one figure; ``None`` if no trial measured it."""
        values = self.values(key)
        return mean_interval(values) if values else None

    def middle(self, key: str) -> float | None:
        """The bare mean of one figure."""
        mean = self.mean(key)
        return mean.mean if mean else None


@dataclass(frozen=True)
class Overview:
    """Everything the page shows, derived from the study once.

    Args:
        groups: the spiking networks, by model, encoder and timesteps.
        anns: the base lines without spikes.
        varied: names of the settings that vary besides timesteps and seed; not empty in a search.
    """

    study: Study
    groups: tuple[Group, ...]
    anns: tuple[Group, ...]
    varied: tuple[str, ...]

    @property
    def is_search(self) -> bool:
        return bool(self.varied)

    @property
    def all_groups(self) -> tuple[Group, ...]:
        return self.groups + self.anns

    @cached_property
    def series(self) -> dict[str, list[Group]]:
        """The groups of each curve over T, by its name."""
        models = len({group.model for group in self.groups}) > 1
        curves: dict[str, list[Group]] = {}
        for group in self.groups:
            name = f"{group.model}, {group.encoder}" if models else group.encoder
            curves.setdefault(name, []).append(group)
        return curves

    def ann_of(self, group: Group) -> Group | None:
        """The base line of the same size; the only one there is, where sizes are not told by the names."""
        size = group.model.partition(" ")[2]
        for ann in self.anns:
            if ann.model.partition(" ")[2] == size:
                return ann
        return self.anns[0] if len(self.anns) == 1 else None

    def short(self, group: Group) -> str:
        """A group's label in a plot: its row in a search, else its T, with the curve where there are several."""
        if group.is_ann or (not self.is_search and len(self.series) < 2):
            return group.label
        return f"#{group.number}" if self.is_search else f"{group.label}, {group.encoder}"

    @property
    def missing(self) -> str | None:
        """What a partly finished study lacks, as a sentence; ``None`` if it lacks nothing."""
        planned, done = self.study.planned, len(self.study.trials)
        if planned is None or done >= planned:
            return None
        holes = [f"T = {t}: seed {', '.join(map(str, seeds))}" for t, seeds in self._holes()]
        named = f" Missing beside finished ones: {'; '.join(holes)}." if holes else ""
        return f"Not finished: {done} of {planned} trials are in.{named}"

    def _holes(self) -> Iterable[tuple[int, list[int]]]:
        seeds = {trial.seed for trial in self.study.trials if not trial.is_ann}
        for group in () if self.is_search else self.groups:
            lacking = sorted(seeds - {trial.seed for trial in group.trials})
            if lacking:
                yield group.timesteps, lacking


def survey(study: Study) -> Overview:
    """Group a study's trials."""
    spiking = [trial for trial in study.trials if not trial.is_ann]
    varied = _varied(spiking)
    families: dict[tuple[Any, ...], list[TrialRecord]] = {}
    for trial in study.trials:
        settings = tuple((key, _text(trial.parameters.get(key))) for key in varied if not trial.is_ann)
        families.setdefault((trial.is_ann, trial.model, trial.encoder, trial.timesteps, settings), []).append(trial)
    order = sorted(families) if not varied else list(families)
    groups = [
        Group(number, key[-1], _one_a_seed(families[key]))
        for number, key in enumerate(sorted(order, key=lambda key: bool(key[0])), start=1)
    ]
    snns = tuple(group for group in groups if not group.is_ann)
    return Overview(study, snns, tuple(group for group in groups if group.is_ann), varied)


def _one_a_seed(trials: list[TrialRecord]) -> tuple[TrialRecord, ...]:
    """By seed. A search trains its best points again to test them: the tested trial stands for both."""
    best: dict[int, TrialRecord] = {}
    for trial in trials:
        if trial.seed not in best or best[trial.seed].accuracy is None:
            best[trial.seed] = trial
    return tuple(best[seed] for seed in sorted(best))


def figure(trial: TrialRecord, key: str) -> float | None:
    """One figure of a trial by name: a field of the record, ``latency_p50``, ``latency_p99`` or ``operations``."""
    if key in ("latency_p50", "latency_p99"):
        return getattr(trial.latency_us, key[-3:]) if trial.latency_us else None
    if key == "operations":
        return None if trial.macs is None or trial.acs is None else trial.macs + trial.acs
    if key.startswith("rate:"):
        return (trial.firing_rate or {}).get(key[5:])
    if key.startswith("energy:"):
        return (trial.energy_nj or {}).get(key[7:])
    value: float | None = getattr(trial, key)
    return value


def measured(group: Group, key: str) -> float:
    """The mean of a figure that the caller has found measured."""
    value = group.middle(key)
    assert value is not None, f"{key} was checked before drawing"
    return value


def _varied(trials: list[TrialRecord]) -> tuple[str, ...]:
    keys = dict.fromkeys(key for trial in trials for key in trial.parameters if key not in OWN_AXES)
    return tuple(key for key in keys if len({_text(trial.parameters.get(key)) for trial in trials}) > 1)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
