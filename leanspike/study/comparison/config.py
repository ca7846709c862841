"""What a comparison is: sets, models, one size for all, and the same number of settings to choose among.

    tuning     every model has a table of settings; the first ``trials`` of them are trained on a share of the training
               set, with ``tuning_share`` of the updates, and judged by the accuracy on the rest (then by the loss)
    figures    the best setting is trained on the whole training set, from every seed, for all updates; its last weights
               see the test set once
    size       the width of every network is that whose number of trained parameters comes closest to ``size``
    steps      a series longer than ``steps`` is brought to so many values, for every model alike

1-NN DTW has no parameters and no seeds: it is tuned over its warping windows by leave-one-out on the training set, and
measured once.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from leanspike.core.records import content_hash, from_dict, merge, require, to_dict
from leanspike.measure.pareto import Goal
from leanspike.study.config import Point, nested
from leanspike.train import RunConfig

SPIKING = ("lif", "rlif", "alif")
RIVALS = ("lstm", "gru", "cnn")
NEIGHBOUR = "1nn-dtw"
MODELS = (*SPIKING, *RIVALS, NEIGHBOUR)
RATE, ENCODER, DROPOUT = "train.learning_rate", "encoder.kind", "model.dropout"
SPIKING_SETTINGS: tuple[Point, ...] = (
    {RATE: 0.01, ENCODER: "current"},
    {RATE: 0.01, ENCODER: "population"},
    {RATE: 0.03, ENCODER: "current"},
    {RATE: 0.03, ENCODER: "population"},
    {RATE: 0.003, ENCODER: "current"},
    {RATE: 0.003, ENCODER: "population"},
)
RIVAL_SETTINGS: tuple[Point, ...] = (
    {RATE: 0.01, DROPOUT: 0.0},
    {RATE: 0.03, DROPOUT: 0.0},
    {RATE: 0.01, DROPOUT: 0.2},
    {RATE: 0.03, DROPOUT: 0.2},
    {RATE: 0.003, DROPOUT: 0.0},
    {RATE: 0.003, DROPOUT: 0.2},
)
"""What the models are tuned over, in the order in which it is tried."""
ADAPT_STRENGTH = 0.3
BASE: dict[str, Any] = {
    "encoder": {"kind": "current"},
    "neuron": {"learn_beta": True, "per_channel": True},
    "model": {"hidden": (1, 1), "norm": "batch"},
    "train": {"optimizer": "adamw", "weight_decay": 1e-2, "clip_norm": 1.0, "batch_size": 32, "validation": 0.25},
}
"""What a comparison starts from, below a user's own settings."""


@dataclass(frozen=True)
class ComparisonConfig:
    """Everything that can change a comparison's figures.

    Attributes:
        run: what all trainings start from; ``model.hidden`` says how many hidden layers the spiking networks have.
        datasets, models: names.
        size: trained parameters of every network.
        steps: most time steps.
        seeds: trainings of each figure, seeds 0, 1, ...
        trials: settings that each model is tuned over.
        updates: steps of the optimizer in each training.
        tuning_share: share of these in tuning.
    """

    run: RunConfig = field(default_factory=lambda: from_dict(RunConfig, BASE))
    datasets: tuple[str, ...] = ("ecg200",)
    models: tuple[str, ...] = MODELS
    size: int = 2000
    steps: int = 64
    seeds: int = 5
    trials: int = 4
    updates: int = 400
    tuning_share: float = 0.5

    def __post_init__(self) -> None:
        for name in self.models:
            require(name in MODELS, "--models", name, f"some of {', '.join(MODELS)}")
        for key in ("models", "datasets"):
            named = getattr(self, key)
            require(len(set(named)) == len(named) > 0, key, list(named), "different names, at least one")
        require(self.size >= 100, "--size", self.size, "100 parameters or more")
        for key in ("steps", "seeds", "updates"):
            require(getattr(self, key) >= 1, key, getattr(self, key), "a whole number from 1 up")
        most = len(SPIKING_SETTINGS)
        require(1 <= self.trials <= most, "--trials", self.trials, f"1 to {most}: every model has so many settings")
        require(0 < self.tuning_share <= 1, "tuning_share", self.tuning_share, "a share above 0, at most 1")
        require(self.run.train.validation > 0, "train.validation", 0, "above 0: settings are chosen by it")

    @property
    def hash(self) -> str:
        """Content hash: comparisons with equal settings share it."""
        return content_hash(self)

    @property
    def directions(self) -> tuple[Goal, ...]:
        """A higher validation accuracy is better."""
        return ("max",)

    def settings(self, model: str) -> list[Point]:
        """The settings that a model is tuned over, the first ones of its table; none of 1-NN DTW."""
        if model == NEIGHBOUR:
            return []
        return list((SPIKING_SETTINGS if model in SPIKING else RIVAL_SETTINGS)[: self.trials])

    def tuning_points(self) -> list[Point]:
        """Every point of the tuning, with its set and its model."""
        pairs = itertools.product(self.datasets, self.models)
        return [{"dataset": s, "model": m, "seed": 0, **point} for s, m in pairs for point in self.settings(m)]

    def run_at(self, point: Mapping[str, Any], *, samples: int, steps: int, tuning: bool) -> RunConfig:
        """The run at a point.

        Args:
            samples: in the training set.
            steps: T.
        """
        train = self.run.train
        used = samples - int(samples * train.validation) if tuning else samples
        updates = self.updates * (self.tuning_share if tuning else 1.0)
        per_epoch = max(1, -(-used // train.batch_size))
        values = merge(to_dict(self.run), {"dataset": point["dataset"], "seed": point["seed"], "timesteps": steps})
        values = merge(values, {"train": {"epochs": max(1, round(updates / per_epoch))}})
        values = merge(values, {} if tuning else {"train": {"validation": 0.0, "patience": 0}})
        for key, value in point.items():
            if "." in key:
                values = merge(values, nested(key, value))
        return from_dict(RunConfig, values)


def spiking_run(run: RunConfig, model: str, width: int) -> RunConfig:
    """The run of a spiking model whose hidden layers have ``width`` neurons each."""
    values = to_dict(run)
    values = merge(values, {"model": {"kind": "recurrent" if model == "rlif" else "mlp"}})
    values = merge(values, {"model": {"hidden": [width] * len(run.model.hidden)}})
    if model == "alif" and not run.neuron.adapts:
        values = merge(values, {"neuron": {"adapt_strength": ADAPT_STRENGTH}})
    return from_dict(RunConfig, values)
