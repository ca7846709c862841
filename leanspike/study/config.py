"""What a study is: a base run, and the points of configuration space at which it is trained.

    grid     timesteps x seeds x every --grid axis, each point once, plus the same-size ANN
    search   ``trials`` points that Optuna's TPE sampler chooses by validation figures, then the best from all seeds

A point is a mapping from configuration keys (``timesteps``, ``seed``, ``neuron.beta``, ...) to values, and is
identified by them alone.
"""

from __future__ import annotations

import itertools
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from optuna import Trial

from leanspike.core.errors import ConfigError
from leanspike.core.records import content_hash, from_dict, merge, parse_value, require, to_dict
from leanspike.encode import encoded_shape
from leanspike.measure.pareto import Goal
from leanspike.train import RunConfig

Point = dict[str, Any]
Kind = Literal["grid", "ann", "search", "chosen", "tune"]
ANN_KEYS = ("seed", "model.", "train.")  # what changes an ANN: it has no neurons and no encoder
OWN_KEYS = ("timesteps", "seed", "dataset")


@dataclass(frozen=True)
class Axis:
    """A configuration key and its values as TOML text: an axis of a grid, or a choice."""

    key: str
    values: tuple[str, ...]

    @property
    def ends(self) -> tuple[Any, Any]:
        """The first and the last value."""
        return parse_value(self.values[0]), parse_value(self.values[-1])

    def suggest(self, trial: Trial) -> Any:
        """The value that Optuna chooses."""
        return parse_value(trial.suggest_categorical(self.key, self.values))


@dataclass(frozen=True)
class Range:
    """A search range: a configuration key between ``low`` and ``high``, both included, uniform or log-uniform."""

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        finite = math.isfinite(self.low) and math.isfinite(self.high)
        require(finite and self.low < self.high, f"--search {self.key}", f"{self.low}:{self.high}", "LOW below HIGH")
        require(self.low > 0 or not self.log, f"--search {self.key}", self.low, "a logarithmic range above 0")

    @property
    def ends(self) -> tuple[float | int, float | int]:
        """The lowest and the highest value."""
        return self.value(self.low), self.value(self.high)

    def suggest(self, trial: Trial) -> float | int:
        """The value that Optuna chooses."""
        if self.whole:
            return trial.suggest_int(self.key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(self.key, self.low, self.high, log=self.log)

    def value(self, number: float) -> float | int:
        """``number`` as the key takes it."""
        return int(number) if self.whole else number


@dataclass(frozen=True)
class StudyConfig:
    """Everything that can change a study's figures.

    Attributes:
        run: the run every trial starts from.
        timesteps: values of T. A grid trains each; a search chooses among them.
        seeds: training runs a point, seeds 0, 1, ...
        grid, search: further axes or ranges; a study has one or the other.
        trials: points of a search.
        goals: what a search aims at: validation ``accuracy``, or ``accuracy`` and few ``spikes``.
        ann: train the same-size artificial network, too.
        network: the name of your own network, where a function builds it; see :func:`leanspike.study.run`.

    Raises:
        ConfigError: a key is unknown, named twice or a value out of range, at any point of the grid.
    """

    run: RunConfig = field(default_factory=RunConfig)
    timesteps: tuple[int, ...] = (5, 10, 25, 50)
    seeds: int = 3
    grid: tuple[Axis, ...] = ()
    search: tuple[Range, ...] = ()
    trials: int = 20
    goals: Literal["accuracy", "accuracy,spikes"] = "accuracy"
    ann: bool = True
    network: str = ""

    def __post_init__(self) -> None:
        distinct = len(set(self.timesteps)) == len(self.timesteps) > 0
        require(
            distinct and min(self.timesteps) >= 1,
            "timesteps",
            list(self.timesteps),
            "different whole numbers from 1 up",
        )
        require(self.seeds >= 1, "seeds", self.seeds, "a whole number from 1 up")
        require(self.trials >= 1, "trials", self.trials, "a whole number from 1 up")
        keys = [axis.key for axis in self.grid] + [range_.key for range_ in self.search]
        for key in keys:
            remedy = {"timesteps": "use --timesteps", "seed": "use --seeds", "dataset": "one study has one data set"}
            require(key not in OWN_KEYS, "--grid/--search", key, remedy.get(key, ""))
            require(keys.count(key) == 1, "--grid/--search", key, "name each key once")
        require(not (self.grid and self.search), "--search", keys, "either --grid or --search")
        validated = self.run.train.validation > 0 or not self.search
        require(validated, "train.validation", self.run.train.validation, "above 0: a search chooses by it")
        for point in self.grid_points() + self.search_corners():
            self.run_at(point)

    @property
    def hash(self) -> str:
        """Content hash: studies with equal settings share it, wherever they run."""
        return content_hash(self)

    @property
    def directions(self) -> tuple[Goal, ...]:
        """Whether a search wants more or less, a goal each."""
        return ("max", "min") if self.goals == "accuracy,spikes" else ("max",)

    def run_at(self, point: Mapping[str, Any]) -> RunConfig:
        """The run at a point; an ANN's ``timesteps`` of 0 leaves the base run's, which it ignores."""
        values = to_dict(self.run)
        for key, value in point.items():
            if key != "timesteps" or value > 0:
                values = merge(values, nested(key, value))
        return from_dict(RunConfig, values)

    def check(self, shape: tuple[int, ...]) -> None:
        """Whether every point suits samples of ``shape``.

        Raises:
            ConfigError, EncodingError: one does not.
        """
        for point in self.grid_points() + self.search_corners():
            config = self.run_at(point)
            encoded_shape(shape, config.encoder, config.timesteps)
        if self.ann and len(shape) == 4:
            what = "an artificial network has no time in which it could see frames of events"
            raise ConfigError(what, where="study.ann", remedy="leave it out: --no-ann")

    def grid_points(self) -> list[Point]:
        """The points of the grid, cheap ones last so that no worker is left alone with a long one."""
        if self.search:
            return []
        axes = [[(axis.key, parse_value(text)) for text in axis.values] for axis in self.grid]
        heads = itertools.product(sorted(self.timesteps, reverse=True), range(self.seeds))
        points = [{"timesteps": steps, "seed": seed} for steps, seed in heads]
        return [{**point, **dict(rest)} for point in points for rest in itertools.product(*axes)]

    def search_corners(self) -> list[Point]:
        """The lowest and the highest point of the search, to check its ranges before anything is trained."""
        if not self.search:
            return []
        ends = zip(*(r.ends for r in self.search), strict=True)
        return [
            {"timesteps": steps, "seed": 0, **{r.key: v for r, v in zip(self.search, end, strict=True)}}
            for end in ends
            for steps in self.timesteps
        ]

    def ann_points(self, points: list[Point]) -> list[Point]:
        """The same-size artificial networks of ``points``: what they have in common with one, each once."""
        if not self.ann:
            return []
        cut = [{"timesteps": 0, **{k: v for k, v in p.items() if k.startswith(ANN_KEYS)}} for p in points]
        return list({identity(point): point for point in cut}.values())


def identity(point: Mapping[str, Any]) -> str:
    """A point's name in the storage: equal values, equal name."""
    return content_hash(dict(point))


def parse_axis(text: str, option: str = "--grid") -> Axis:
    """``key=v1,v2`` as an axis; lists are written ``model.hidden=[200],[400]``; ``option`` is for messages."""
    key, equals, values = text.partition("=")
    remedy = "for example neuron.beta=0.8,0.9"
    require(bool(equals and key.strip() and values.strip()), option, text, f"KEY=VALUE,VALUE; {remedy}")
    try:
        parts = [_toml(value) for value in tomllib.loads(f"values = [{values}]")["values"]]
    except tomllib.TOMLDecodeError:
        parts = [value.strip() for value in values.split(",")]
    require(len(set(parts)) == len(parts), f"{option} {key.strip()}", values, "different values")
    return Axis(key.strip(), tuple(parts))


def parse_range(text: str) -> Range:
    """``key=low:high`` or ``key=low:high:log`` as a range; two whole numbers search whole numbers."""
    key, _, values = text.partition("=")
    low, high, *log = (*values.split(":"), "")[:4] if values.count(":") else ("", "")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = None
    fits = ends is not None and bool(key.strip()) and [word for word in log if word] in ([], ["log"])
    require(fits, "--search", text, "KEY=LOW:HIGH or KEY=LOW:HIGH:log; for example train.learning_rate=1e-4:1e-2:log")
    assert ends is not None
    whole = all(isinstance(parse_value(end), int) for end in (low, high))
    return Range(key.strip(), *ends, log=bool(log and log[0]), whole=whole)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return f'"{value}"' if isinstance(value, str) else repr(value)


def nested(key: str, value: Any) -> dict[str, Any]:
    """``a.b`` and a value as ``{"a": {"b": value}}``."""
    head, _, rest = key.partition(".")
    if not head:
        raise ConfigError("expected a configuration key", where=key, remedy="for example neuron.beta")
    return {head: nested(rest, value)} if rest else {head: value}
