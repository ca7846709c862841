"""Training and evaluation: configuration, losses, the loop, checkpoints."""

from leanspike.train.config import RunConfig, TrainConfig
from leanspike.train.constraint import Constraint, Together
from leanspike.train.devices import make_fabric
from leanspike.train.evaluate import Evaluation, evaluate
from leanspike.train.loop import TrainResult, fit
from leanspike.train.mismatch import MismatchConfig
from leanspike.train.networks import build_network, load_network
from leanspike.train.presets import preset
from leanspike.train.progress import Bar, EpochRecord, Lines, Progress, for_terminal

__all__ = [
    "Bar",
    "Constraint",
    "EpochRecord",
    "Evaluation",
    "Lines",
    "MismatchConfig",
    "Progress",
    "RunConfig",
    "Together",
    "TrainConfig",
    "TrainResult",
    "build_network",
    "evaluate",
    "fit",
    "for_terminal",
    "load_network",
    "make_fabric",
    "preset",
]
