"""What pruning, thresholds and activation bring to a compression: passes, and constraints of the fine-tuning."""

from __future__ import annotations

from leanspike.compress.activation import SparseActivation
from leanspike.compress.channels import Calibration
from leanspike.compress.config import CompressConfig
from leanspike.compress.prune import Pruning
from leanspike.compress.thresholds import Coupling, learn_thresholds
from leanspike.data import TrainingData
from leanspike.nn import Network
from leanspike.train import Constraint, RunConfig, Together


def constraint_for(network: Network, config: CompressConfig, run: RunConfig, data: TrainingData) -> Constraint | None:
    """What acts on a network that its passes have prepared; None where nothing does.

    Args:
        run: of the fine-tuning.
    """
    parts: list[Constraint] = []
    epochs = run.train.epochs
    if config.prune.sparsity:
        calibration = Calibration.of(network, run, data) if config.prune.by == "activity" else None
        parts.append(Pruning(config.prune, network, epochs, calibration, run.seed))
    if config.activation.pressure:
        parts.append(SparseActivation(config.activation, network, epochs, Calibration.of(network, run, data)))
    if config.threshold.coupling:
        parts.append(Coupling(config.threshold, network))
    return Together(parts) if parts else None


def with_thresholds(network: Network, config: CompressConfig, *_: RunConfig | TrainingData | None) -> Network:
    """The pass that makes thresholds parameters; see :data:`leanspike.compress.run.Pass`."""
    return learn_thresholds(network, config.threshold) if config.threshold.learn else network
