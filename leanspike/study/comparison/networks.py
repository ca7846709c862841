"""The networks of a comparison: of a model's name and a size, the width that gives it, and the network."""

from __future__ import annotations

import functools

import torch
from torch import nn

from leanspike import models
from leanspike.data import TrainingData
from leanspike.data.base import as_unit
from leanspike.encode import encoded_shape
from leanspike.models.sequence import SequenceNetwork, closest
from leanspike.study.comparison.config import SPIKING, spiking_run
from leanspike.train import RunConfig


def build(run: RunConfig, model: str, size: int, data: TrainingData) -> tuple[RunConfig, nn.Module]:
    """A network of that many parameters, or as close as its width allows, and the run that it is trained by.

    Raises:
        ConfigError, EncodingError: the encoder does not suit the data.
    """
    classes = len(data.classes)
    if model in SPIKING:
        run = spiking_run(run, model, _spiking_width(run, model, size, data.shape, classes))
        return run, _spiking(run, data.shape, classes)
    channels, dropout = data.shape[0], run.model.dropout
    width = _rival_width(model, size, channels, classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = SequenceNetwork(model, channels, classes, run.timesteps, width, dropout)  # type: ignore[arg-type]
    network.fit_norm(torch.from_numpy(as_unit(data.x)))
    return run, network


def parameters(network: nn.Module) -> int:
    """Trained numbers."""
    return sum(weight.numel() for weight in network.parameters())


def _spiking(run: RunConfig, shape: tuple[int, ...], classes: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        encoded = encoded_shape(shape, run.encoder, run.timesteps)
        return models.build(run.model, run.neuron, encoded, classes, run.timesteps)


@functools.cache
def _spiking_width(run: RunConfig, model: str, size: int, shape: tuple[int, ...], classes: int) -> int:
    return closest(size, lambda width: parameters(_spiking(spiking_run(run, model, width), shape, classes)))


@functools.cache
def _rival_width(model: str, size: int, channels: int, classes: int) -> int:
    def count(width: int) -> int:
        return parameters(SequenceNetwork(model, channels, classes, 1, width))  # type: ignore[arg-type]

    with torch.random.fork_rng(devices=[]):
        return closest(size, count)
