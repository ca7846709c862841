"""Labels of single steps: what a run must be to learn them.

Every step of a sample is a step of the network, and the network's decision in step t is its output's potential u[t]:
the readout membrane_last. :func:`leanspike.train.losses.per_step` is the loss.
"""

from __future__ import annotations

from torch import nn

from leanspike.core.errors import ConfigError
from leanspike.core.records import require
from leanspike.data import TrainingData
from leanspike.encode.encoding import SERIES
from leanspike.nn import Network
from leanspike.train.config import RunConfig


def check_labels(network: nn.Module, config: RunConfig, data: TrainingData) -> None:
    """Refuse a run that cannot learn the labels of its data.

    Raises:
        ConfigError: labels of steps, and an artificial network, another readout or loss, or steps that are not theirs.
    """
    if data.y.ndim == 1:
        return
    if not isinstance(network, Network):
        raise ConfigError("labels of steps need a spiking network", where=data.name)
    steps, kind = data.y.shape[1], config.encoder.kind
    require(kind in (*SERIES, "frames"), "encoder.kind", kind, f"one of {', '.join(SERIES)}, frames: labels of steps")
    require(config.timesteps == steps, "timesteps", config.timesteps, f"{steps}: one for every labelled step")
    require(network.readout == "membrane_last", "model.readout", network.readout, "membrane_last: labels of steps")
    loss = config.train.loss
    require(loss in ("readout", "membrane"), "train.loss", loss, "readout: labels of steps")
