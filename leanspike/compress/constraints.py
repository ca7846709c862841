"""The constraints under which a compression fine-tunes."""

from __future__ import annotations

from leanspike.compress.channels import Calibration
from leanspike.compress.config import CompressConfig
from leanspike.compress.prune import Pruning
from leanspike.data import TrainingData
from leanspike.nn import Network
from leanspike.train import Constraint, RunConfig, Together


def constraint_for(network: Network, config: CompressConfig, run: RunConfig, data: TrainingData) -> Constraint | None:
    """What acts on a network that its passes have prepared; None where nothing does.

    Args:
        run: of the fine-tuning.
    """
    parts: list[Constraint] = []
    if config.prune.sparsity:
        calibration = Calibration.of(network, run, data) if config.prune.by == "activity" else None
        parts.append(Pruning(config.prune, network, run.train.epochs, calibration, run.seed))
    return Together(parts) if parts else None
