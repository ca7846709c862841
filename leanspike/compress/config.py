"""What compression does to a trained network; each part's settings stand in the file of the function they are for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from leanspike.compress.activation import ActivationConfig
from leanspike.compress.membrane import MembraneBits
from leanspike.compress.prune import PruneConfig
from leanspike.compress.thresholds import ThresholdConfig
from leanspike.compress.weights import WeightBits
from leanspike.core.records import require
from leanspike.train import MismatchConfig, RunConfig, TrainConfig

_FINE = TrainConfig(epochs=3, learning_rate=5e-4)


@dataclass(frozen=True)
class CompressConfig:
    """What is done, all at once, in one fine-tuning.

    Attributes:
        timesteps: T of the compressed network; 0 keeps it.
        weights, membrane: bits.
        prune: connections or neurons that go.
        threshold: thresholds that learn.
        activation: spikes that are pushed out, channels that are closed.
        train: the fine-tuning; :func:`fine_tuning` gives the settings that suit a run.
    """

    timesteps: int = 0
    weights: WeightBits = field(default_factory=WeightBits)
    membrane: MembraneBits = field(default_factory=MembraneBits)
    prune: PruneConfig = field(default_factory=PruneConfig)
    threshold: ThresholdConfig = field(default_factory=ThresholdConfig)
    activation: ActivationConfig = field(default_factory=ActivationConfig)
    train: TrainConfig = _FINE

    def __post_init__(self) -> None:
        require(self.timesteps >= 0, "timesteps", self.timesteps, "0 (as it is) or more")
        plain = self.threshold.path == "plain" or not (self.threshold.learn and self.quantises)
        require(plain, "threshold.path", self.threshold.path, "plain: integer neurons have no other path")

    @property
    def quantises(self) -> bool:
        """Whether the network becomes one of integers, which has no norms."""
        return bool(self.weights.bits or self.membrane.bits)


def fine_tuning(run: RunConfig) -> TrainConfig:
    """The run's own training, short and gentle: no decay, which would pull scales and thresholds, no average, and no
    mismatch, which integers do not take."""
    fine = {key: getattr(_FINE, key) for key in ("epochs", "learning_rate", "optimizer", "schedule")}
    return replace(run.train, weight_decay=0.0, ema=0.0, patience=0, mismatch=MismatchConfig(), **fine)


def compressed_run(run: RunConfig, config: CompressConfig) -> RunConfig:
    """The run that the fine-tuning is: its timesteps, its training; coupled thresholds take the loss of every step."""
    coupled = bool(config.threshold.coupling)
    training = replace(config.train, loss="tet", tet_lambda=0.0) if coupled else config.train
    return replace(run, timesteps=config.timesteps or run.timesteps, train=training)
