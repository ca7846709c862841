"""What a tune is: a base run, the space around it, and the goals, all measured on the integer program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from leanspike.compress import CompressConfig, fine_tuning
from leanspike.core.records import content_hash, from_dict, merge, require, to_dict
from leanspike.encode import encoded_shape
from leanspike.measure import energy
from leanspike.measure.pareto import Goal
from leanspike.study.config import Axis, Point, Range, nested
from leanspike.train import RunConfig
from leanspike.tune.stop import StopConfig

Aim = Literal["accuracy", "energy", "bytes", "operations", "spikes", "latency"]
AIMS: tuple[str, ...] = get_args(Aim)
COMPRESS = "compress."


@dataclass(frozen=True)
class TuneConfig:
    """Everything that can change what a trial of a tune is; how many there are, and for how long, is not part of it.

    Attributes:
        run: every trial starts from it; ``run.train.epochs`` is the training before compression.
        space: what is searched; see :mod:`leanspike.tune.space`.
        goals: validation ``accuracy`` (more is better), and less of ``energy`` (nJ a sample by ``energy_model``),
            ``bytes`` (weights and states as stored), ``operations`` (MAC + AC a sample), ``spikes``, ``latency``
            (median microseconds of one answer on the engine, while other workers run).
        fine_epochs: of the compression's fine-tuning.
        within: the chosen point is the cheapest by the first cost within so much of the best validation accuracy.

    Raises:
        ConfigError: a key is unknown or named twice, a value out of range at an end of the space, or a goal that the
            energy model cannot tell.
    """

    run: RunConfig = field(default_factory=RunConfig)
    space: tuple[Range | Axis, ...] = ()
    goals: tuple[Aim, ...] = ("accuracy", "energy", "bytes")
    fine_epochs: int = 2
    energy_model: str = energy.DEFAULT
    within: float = 0.01
    stop: StopConfig = field(default_factory=StopConfig)

    def __post_init__(self) -> None:
        require(bool(self.space), "--search", [], "something to search")
        keys = [dimension.key for dimension in self.space]
        for key in keys:
            require(keys.count(key) == 1, "--search", key, "name each key once")
            require(key not in ("seed", "dataset"), "--search", key, "a tune has one seed and one data set")
        fits = len(set(self.goals)) == len(self.goals) > 0
        require(fits, "--goals", ",".join(self.goals), f"different ones of {', '.join(AIMS)}")
        require(self.fine_epochs >= 1, "fine_epochs", self.fine_epochs, "a whole number from 1 up")
        require(0 <= self.within < 1, "--within", self.within, "a share of accuracy, 0 up to 1")
        require(self.run.train.validation > 0, "train.validation", self.run.train.validation, "above 0: goals need it")
        quick = energy.models("arithmetic", "synaptic")
        remedy = f"one that needs no count of memory traffic or instructions: {', '.join(quick)}"
        known = energy.model(self.energy_model).kind in ("arithmetic", "synaptic")
        require(known, "energy_model", self.energy_model, remedy)
        spikes_only = energy.model(self.energy_model).kind == "synaptic"
        told = not (spikes_only and "energy" in self.goals and self.run.encoder.kind == "direct")
        require(told, "energy_model", self.energy_model, "arithmetic-45nm: pixels under direct coding are multiplied")
        for point in self.corners():
            self.compression_at(point, self.run_at(point))

    @property
    def hash(self) -> str:
        """Content hash: tunes with equal settings share it, wherever they run."""
        return content_hash(self)

    @property
    def directions(self) -> tuple[Goal, ...]:
        """Whether more or less is better, a goal each."""
        return tuple("max" if goal == "accuracy" else "min" for goal in self.goals)

    @property
    def steps(self) -> Sequence[int]:
        """Values of T that occur."""
        return tuple(self.run_at(point).timesteps for point in self.corners())

    def corners(self) -> list[Point]:
        """The first and the last point of the space."""
        ends = zip(*(dimension.ends for dimension in self.space), strict=True)
        return [dict(zip((d.key for d in self.space), end, strict=True)) for end in ends]

    def run_at(self, point: Mapping[str, Any]) -> RunConfig:
        """The training at a point."""
        values = to_dict(self.run)
        for key, value in point.items():
            if not key.startswith(COMPRESS):
                values = merge(values, nested(key, value))
        return from_dict(RunConfig, values)

    def compression_at(self, point: Mapping[str, Any], run: RunConfig) -> CompressConfig | None:
        """The compression at a point; None where it would change nothing."""
        values: dict[str, Any] = {"train": to_dict(replace(fine_tuning(run), epochs=self.fine_epochs))}
        for key, value in point.items():
            if key.startswith(COMPRESS):
                values = merge(values, nested(key.removeprefix(COMPRESS), value))
        config = from_dict(CompressConfig, values)
        return None if replace(config, train=CompressConfig().train) == CompressConfig() else config

    def check(self, shape: tuple[int, ...]) -> None:
        """Whether both ends of the space suit samples of ``shape``.

        Raises:
            ConfigError, EncodingError: one does not.
        """
        for point in self.corners():
            run = self.run_at(point)
            encoded_shape(shape, run.encoder, run.timesteps)
