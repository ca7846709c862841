"""What a detection run is: every setting that can change its result, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from leanspike.compress.weights import WeightBits
from leanspike.core.records import require
from leanspike.detect.decode import DecodeConfig
from leanspike.detect.loss import LossConfig
from leanspike.detect.model import ModelConfig
from leanspike.detect.windows import WindowConfig


@dataclass(frozen=True)
class TrainConfig:
    """How weights are found: AdamW, a linear warm-up, and cosines to 0 one after the other.

    Attributes:
        epochs, batch_size: passes over the training windows; windows a step.
        windows: an epoch takes so many of them, others every time; 0: all.
        cycles: cosines, each over its share of the epochs: restarts of I. Loshchilov and F. Hutter, arXiv:1608.03983.
        warm_up: steps until the learning rate is whole.
        clip_norm: the gradient's norm is cut to this; 0 is off.
    """

    epochs: int = 6
    batch_size: int = 32
    windows: int = 0
    cycles: int = 1
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    warm_up: int = 50
    clip_norm: float = 5.0

    def __post_init__(self) -> None:
        for key in ("epochs", "batch_size", "cycles"):
            require(getattr(self, key) >= 1, f"train.{key}", getattr(self, key), "a whole number from 1 up")
        require(self.learning_rate > 0, "train.learning_rate", self.learning_rate, "above 0")
        for key in ("weight_decay", "warm_up", "clip_norm", "windows"):
            require(getattr(self, key) >= 0, f"train.{key}", getattr(self, key), "0 (off) or more")


@dataclass(frozen=True)
class LeanConfig:
    """How the trained network becomes one of integers: norms folded, weights in few bits, then a short fine-tuning."""

    weights: WeightBits = field(default_factory=lambda: WeightBits(bits=8))
    train: TrainConfig = field(
        default_factory=lambda: TrainConfig(epochs=1, cycles=1, windows=1500, learning_rate=3e-4, weight_decay=0.0)
    )

    def __post_init__(self) -> None:
        require(self.weights.bits != 0, "lean.weights.bits", 0, "8, 4, 2, ternary or 16: a program has no floats")


@dataclass(frozen=True)
class DetectConfig:
    """A whole run: the windows, the detector, its training, its integers, its boxes."""

    seed: int = 0
    windows: WindowConfig = field(default_factory=WindowConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    lean: LeanConfig = field(default_factory=LeanConfig)
    decode: DecodeConfig = field(default_factory=DecodeConfig)

    def __post_init__(self) -> None:
        require(0 <= self.seed < 2**31, "seed", self.seed, "a whole number from 0 up to 2147483647")
