"""Spiking networks by name: the fully connected one and a small convnet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from leanspike.core.errors import ConfigError
from leanspike.core.records import require
from leanspike.nn import (
    LIF,
    BatchNorm,
    BatchNormThroughTime,
    Conv2d,
    Dropout,
    Flatten,
    LeakyIntegrator,
    Linear,
    MaxPool2d,
    Network,
    NeuronConfig,
)
from leanspike.nn.readout import ReadoutName


@dataclass(frozen=True)
class ModelConfig:
    """Which network.

    Attributes:
        kind: ``mlp`` (dense layers) or ``convnet`` (3x3 convolutions, each with LIF and a 2x2 pool, then dense).
        hidden: sizes of the dense hidden layers (mlp).
        channels: channels of the convolutions (convnet).
        norm: normalisation of every hidden layer's current; see :mod:`leanspike.nn.norm`.
        dropout: probability of silencing a hidden neuron for a whole sequence in training.
        readout: how the output layer's activity becomes class scores; a membrane readout makes it a leaky integrator.
    """

    kind: Literal["mlp", "convnet"] = "mlp"
    hidden: tuple[int, ...] = (400,)
    channels: tuple[int, ...] = (32, 64)
    norm: Literal["none", "batch", "tdbn", "bntt"] = "none"
    dropout: float = 0.0
    readout: ReadoutName = "membrane_mean"

    def __post_init__(self) -> None:
        sizes = self.hidden + self.channels
        require(all(size > 0 for size in sizes), "model.hidden/model.channels", list(sizes), "sizes of 1 or more")
        require(bool(self.channels), "model.channels", [], "at least one convolution")
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 or more and below 1")


def build(model: ModelConfig, neuron: NeuronConfig, shape: tuple[int, ...], classes: int, timesteps: int) -> Network:
    """A network for inputs of ``shape`` (one sample), initialised from torch's random state.

    Raises:
        ConfigError: a convnet for inputs that are not ``(C, H, W)`` images or too small for its pools.
    """
    layers: list[nn.Module] = []
    if model.kind == "convnet":
        features = _convolutions(layers, model, neuron, shape, timesteps)
    else:
        if len(shape) > 1:
            layers.append(Flatten())
        features = math.prod(shape)
        for size in model.hidden:
            layers += [Linear(features, size), *_neurons(model, neuron, size, timesteps), *_dropout(model)]
            features = size
    output = LeakyIntegrator if model.readout.startswith("membrane") else LIF
    layers += [Linear(features, classes), output(neuron, classes)]
    return Network(layers, model.readout)


def _convolutions(
    layers: list[nn.Module], model: ModelConfig, neuron: NeuronConfig, shape: tuple[int, ...], timesteps: int
) -> int:
    if len(shape) != 3:
        raise ConfigError("a convnet needs images (C, H, W)", where="model.kind", remedy="use model.kind=mlp")
    channels, height, width = shape
    for size in model.channels:
        if min(height, width) < 2:
            raise ConfigError("images too small for so many pools", where="model.channels", remedy="use fewer channels")
        layers += [Conv2d(channels, size), *_neurons(model, neuron, size, timesteps), MaxPool2d(2), *_dropout(model)]
        channels, height, width = size, height // 2, width // 2
    layers.append(Flatten())
    return channels * height * width


def _neurons(model: ModelConfig, neuron: NeuronConfig, channels: int, timesteps: int) -> list[nn.Module]:
    norm: list[nn.Module] = []
    if model.norm == "batch":
        norm = [BatchNorm(channels)]
    elif model.norm == "tdbn":
        norm = [BatchNorm(channels, scale=neuron.threshold)]
    elif model.norm == "bntt":
        norm = [BatchNormThroughTime(channels, timesteps)]
    return [*norm, LIF(neuron, channels)]


def _dropout(model: ModelConfig) -> list[nn.Module]:
    return [Dropout(model.dropout)] if model.dropout else []
