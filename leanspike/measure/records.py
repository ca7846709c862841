"""``results.json``: what a study measured, one record a trial. A figure that was not measured is ``None``.

The schema, field by field with units, is docs/reference/results.md; this module is its only reader and writer.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from leanspike.core import records
from leanspike.core.errors import ConfigError, LeanspikeError, StudyError
from leanspike.core.files import write_json
from leanspike.core.records import require
from leanspike.measure.exits import Anytime, ExitCurve
from leanspike.measure.latency import Latency

SCHEMA = 1
FILE = "results.json"
TABLES = (  # fields whose keys are free
    *("firing_rate", "energy_nj", "goals", "versions", "parameters"),
    *("configuration", "machine", "importance"),
)
R = typing.TypeVar("R")


@dataclass(frozen=True)
class TrialRecord:
    """One trained and measured network. Shares and accuracies lie in 0..1; see docs/reference/results.md."""

    dataset: str
    model: str
    encoder: str
    timesteps: int
    seed: int
    accuracy: float | None = None
    accuracy_ci95: tuple[float, ...] | None = None
    float_accuracy: float | None = None
    measured_on: Literal["program", "floats"] | None = None
    validation_accuracy: float | None = None
    latency_us: Latency | None = None
    spikes_per_sample: float | None = None
    firing_rate: Mapping[str, float] | None = None
    sparsity: float | None = None
    params: int | None = None
    synapses: int | None = None
    macs: float | None = None
    acs: float | None = None
    memory_bytes: int | None = None
    energy_nj: Mapping[str, float | None] | None = None
    train_seconds: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    anytime: Anytime | None = None
    exit_curve: ExitCurve | None = None
    confusion: tuple[tuple[int, ...], ...] | None = None
    config_hash: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    details: str | None = None
    number: int | None = None
    goals: Mapping[str, float] | None = None
    stopped: str | None = None

    @property
    def is_ann(self) -> bool:
        """Whether this is the base line without spikes, marked by ``timesteps`` 0."""
        return self.timesteps == 0

    def __post_init__(self) -> None:
        require(self.timesteps >= 0, "timesteps", self.timesteps, "0 for an ANN, else at least 1")
        for key in ("accuracy", "float_accuracy", "validation_accuracy", "sparsity"):
            value = getattr(self, key)
            require(value is None or 0 <= value <= 1, key, value, "a share in 0..1, or null")
        for name, rate in (self.firing_rate or {}).items():
            right = isinstance(rate, (int, float)) and 0 <= rate <= 1
            require(right, f"firing_rate.{name}", rate, "spikes a neuron and step, 0..1")
        for name, goal in (self.goals or {}).items():
            right = isinstance(goal, (int, float)) and 0 <= goal < math.inf
            require(right, f"goals.{name}", goal, "a number of 0 or more")
        for name, energy in (self.energy_nj or {}).items():
            right = energy is None or (isinstance(energy, (int, float)) and 0 <= energy < math.inf)
            require(right, f"energy_nj.{name}", energy, "nJ a sample, 0 or more, or null")
        for key in ("spikes_per_sample", "params", "synapses", "macs", "acs", "train_seconds", "memory_bytes"):
            value = getattr(self, key)
            require(value is None or 0 <= value < math.inf, key, value, "a number >= 0, or null")
        bounds = self.accuracy_ci95
        require(bounds is None or len(bounds) == 2, "accuracy_ci95", bounds, "[low, high], or null")
        for curve in (self.anytime, self.exit_curve):
            lengths = {len(values) for values in dataclasses.astuple(curve)} if curve else {1}
            require(len(lengths) == 1, "anytime and exit_curve", lengths, "lists of one length")
        square = self.confusion is None or all(len(row) == len(self.confusion) for row in self.confusion)
        require(square, "confusion", "a ragged table", "K rows of K counts, or null")
        outside = self.details is not None and (Path(self.details).is_absolute() or ".." in Path(self.details).parts)
        require(not outside, "details", self.details, "a path inside the study's folder, or null")


@dataclass(frozen=True)
class Study:
    """What was run, where, and every trial that finished.

    Args:
        dataset: name of the data set.
        configuration: the study's whole configuration, as nested tables.
        config_hash: content hash of that configuration.
        command: the command line that runs it again.
        split: in words, which samples trained, chose and tested.
        machine: cpu, cores, python, torch, ... as text or numbers.
        trials: the finished trials.
        created: when the study began, ISO 8601, UTC.
        leanspike: version that wrote the file.
        planned: how many trials the study is to have, ``None`` where that is open.
        classes: names of the classes in order; empty: they are numbered.
        aims: the goals of a tune, in order; empty for a study.
        chosen: number of the trial that a tune chose.
        importance: of every setting for every goal of a tune, shares of 1.
    """

    dataset: str
    trials: tuple[TrialRecord, ...] = ()
    configuration: Mapping[str, Any] = field(default_factory=dict)
    config_hash: str = ""
    command: str = ""
    split: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    leanspike: str = ""
    planned: int | None = None
    classes: tuple[str, ...] = ()
    aims: tuple[str, ...] = ()
    chosen: int | None = None
    importance: Mapping[str, Any] | None = None


def document(study: Study) -> dict[str, Any]:
    """The study as the JSON document of the schema."""
    plain = records.to_dict(study)
    head = {"schema": SCHEMA, "leanspike": plain.pop("leanspike"), "created": plain.pop("created")}
    trials = plain.pop("trials")
    return {**head, "study": plain, "trials": trials}


def parse(content: Any) -> Study:
    """The study of a JSON document.

    Raises:
        StudyError: it is not a results document, of another schema, or a field is missing, unknown or out of range.
    """
    if not isinstance(content, Mapping) or "schema" not in content or "trials" not in content:
        raise StudyError("is not a leanspike results file", remedy="expected the keys schema, study and trials")
    if content["schema"] != SCHEMA:
        remedy = f"this version reads schema {SCHEMA}; use the leanspike that wrote it ({content.get('leanspike')})"
        raise StudyError(f"has schema {content['schema']!r}", remedy=remedy)
    if not isinstance(content["trials"], list):
        raise StudyError("expected a list", where="trials")
    trials = tuple(_record(TrialRecord, values, f"trials[{i}]") for i, values in enumerate(content["trials"]))
    study = _record(Study, content.get("study"), "study")
    created, version = (str(content.get(key) or "") for key in ("created", "leanspike"))
    return dataclasses.replace(study, trials=trials, created=created, leanspike=version)


def load(folder: Path) -> Study:
    """Read ``folder/results.json``.

    Raises:
        StudyError: it is missing, damaged or foreign; see :func:`parse`.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse)
    except OSError as error:
        remedy = "name the folder of a study: leanspike study DATASET --out DIR"
        raise StudyError(f"cannot be read ({error.strerror})", where=path, remedy=remedy) from error
    except (ValueError, RecursionError) as error:
        remedy = "run the same study command again: finished trials are kept"
        raise StudyError(f"is damaged ({error})", where=path, remedy=remedy) from error
    try:
        return parse(content)
    except LeanspikeError as error:
        raise StudyError(error.line(), where=path) from error


def save(study: Study, folder: Path) -> Path:
    """Write ``folder/results.json`` atomically and return its path."""
    path = folder / FILE
    write_json(path, document(study))
    return path


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a figure; what was not measured is null")


def _record(kind: type[R], values: Any, where: str) -> R:
    """``from_dict`` for the two records here: it does not know tables with free keys."""
    if not isinstance(values, Mapping):
        raise StudyError(f"expected a table of keys, found {type(values).__name__}", where=where)
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    missing = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING and f.name not in values]
    if missing:
        raise StudyError(f"lacks {', '.join(missing)}", where=where)
    tables = {key: _table(values[key], f"{where}.{key}") for key in TABLES if values.get(key) is not None}
    plain = {key: value for key, value in values.items() if key not in TABLES}
    try:
        record = records.from_dict(kind, plain, where)
        return dataclasses.replace(record, **tables)  # type: ignore[type-var]
    except (ConfigError, TypeError) as error:
        raise StudyError(f"{error}", where=where) from error


def _table(values: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise StudyError(f"expected a table of keys, found {values!r}", where=where)
    return values
