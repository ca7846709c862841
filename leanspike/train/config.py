"""What a run is: every setting that can change its result, and nothing else.

Devices, folders and how often to save are arguments of :func:`leanspike.train.fit`: they do not change the
figures, so they are no part of a run's content hash.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from leanspike.core.records import require
from leanspike.encode import EncoderConfig
from leanspike.models import ModelConfig
from leanspike.nn import NeuronConfig
from leanspike.train.mismatch import MismatchConfig


@dataclass(frozen=True)
class TrainConfig:
    """How the weights are found.

    Attributes:
        epochs, batch_size: passes over the training split; samples a step, over all processes together.
        optimizer, learning_rate, weight_decay: Adam, AdamW (decoupled decay) or SGD with ``momentum``.
        schedule: ``none``; ``step``: times ``gamma`` every ``step_size`` epochs; ``cosine``: to 0 at the end.
        clip_norm: the gradient's norm is cut to this; 0 is off.
        loss: on the network's own ``readout``, the spike ``count``, the ``membrane``, or at every step (``tet``);
            :mod:`leanspike.train.losses`.
        tet_lambda: weight of TET's second term.
        label_smoothing: share of the target spread evenly over all classes.
        rate_penalty, target_rates: weight of the firing-rate penalty; the rates aimed at, spikes a neuron and
            step, one for all spiking layers or one a layer (none given: 0).
        patience: stop after this many epochs without a better validation accuracy; 0 is off.
        validation: share of the training set held out to choose the epoch; 0 keeps the last epoch.
        augment_shift, augment_flip: shift images by up to so many pixels a side; mirror half of them. A series
            is shifted by up to so many values in time, those at its ends held.
        augment_drop, augment_time: of frames of events, silence each spike with this probability; move all frames by
            up to so many in time.
        augment_bands: shift a series by up to so many channels, where they are bands of frequency in order.
        ema: decay of a running average of the weights, which is then the network that is kept; 0 is off.
        micro_batch: samples computed at once, where the loss allows cutting a batch; 0 asks the network.
        precision: Lightning Fabric's name of the arithmetic.
        mismatch: spread of the parts of analogue circuits that every batch sees; :mod:`leanspike.train.mismatch`.
    """

    epochs: int = 10
    batch_size: int = 128
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: Literal["none", "step", "cosine"] = "cosine"
    step_size: int = 10
    gamma: float = 0.5
    clip_norm: float = 0.0
    loss: Literal["readout", "count", "membrane", "tet"] = "readout"
    tet_lambda: float = 1e-3
    label_smoothing: float = 0.1
    rate_penalty: float = 0.0
    target_rates: tuple[float, ...] = ()
    patience: int = 0
    validation: float = 0.1
    augment_shift: int = 0
    augment_flip: bool = False
    augment_drop: float = 0.0
    augment_time: int = 0
    augment_bands: int = 0
    ema: float = 0.0
    micro_batch: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    mismatch: MismatchConfig = field(default_factory=MismatchConfig)

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "step_size"):
            require(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "a whole number from 1 up")
        for key in ("learning_rate", "gamma"):
            require(getattr(self, key) > 0, f"train.{key}", getattr(self, key), "a number above 0")
        off = ("weight_decay", "clip_norm", "rate_penalty", "patience", "micro_batch")
        for key in (*off, "augment_shift", "augment_time", "augment_bands"):
            require(getattr(self, key) >= 0, f"train.{key}", getattr(self, key), "0 (off) or more")
        for key in ("momentum", "label_smoothing", "validation", "ema", "augment_drop"):
            require(0 <= getattr(self, key) < 1, f"train.{key}", getattr(self, key), "from 0 up to, not including, 1")
        require(0 <= self.tet_lambda <= 1, "train.tet_lambda", self.tet_lambda, "between 0 and 1")
        in_range = all(0 <= rate <= 1 for rate in self.target_rates)
        require(in_range, "train.target_rates", self.target_rates, "spikes a neuron and step, between 0 and 1")
        chosen = not self.patience or self.validation > 0
        require(chosen, "train.patience", self.patience, "early stopping needs train.validation above 0")


@dataclass(frozen=True)
class RunConfig:
    """A whole run: data set, number of timesteps T, seed, encoder, neuron, model and training."""

    dataset: str = "digits"
    timesteps: int = 5
    seed: int = 0
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    neuron: NeuronConfig = field(default_factory=NeuronConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        require(self.timesteps >= 1, "timesteps", self.timesteps, "a whole number from 1 up")
        require(0 <= self.seed < 2**31, "seed", self.seed, "a whole number from 0 up to 2147483647")
        spiking = not self.model.readout.startswith("membrane")
        remedy = f"the readout {self.model.readout} has no output spikes to count: use membrane or tet"
        require(spiking or self.train.loss != "count", "train.loss", self.train.loss, remedy)
