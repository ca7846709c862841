"""Spiking networks by name: dense, recurrent and a small convnet; the deep ones in :mod:`leanspike.models.deep`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from leanspike.core.errors import ConfigError
from leanspike.core.records import require
from leanspike.models import deep
from leanspike.nn import (
    LIF,
    BatchNorm,
    BatchNormThroughTime,
    Conv2d,
    DelayedLinear,
    Dropout,
    Flatten,
    LeakyIntegrator,
    Linear,
    MaxPool2d,
    Network,
    NeuronConfig,
    RecurrentLIF,
)
from leanspike.nn.readout import ReadoutName

MOST_DELAY = 255
PUBLISHED_NORM = {"vgg9": "batch", "resnet19": "tdbn", "spikformer": "batch"}


@dataclass(frozen=True)
class ModelConfig:
    """Which network.

    Attributes:
        kind: ``mlp`` (dense layers), ``recurrent`` (dense layers whose neurons also drive one another) or ``convnet``
            (3x3 convolutions, each with LIF and a 2x2 pool, then dense); ``vgg9``, ``resnet19`` and ``spikformer`` as
            published, see :mod:`leanspike.models.deep`.
        hidden: sizes of the dense hidden layers (mlp, recurrent).
        channels: channels of the convolutions (convnet).
        norm: normalisation of every hidden layer's current; see :mod:`leanspike.nn.norm`. ``none`` leaves vgg9 and
            spikformer their published ``batch``, resnet19 its ``tdbn``.
        dropout: probability of silencing a hidden neuron for a whole sequence in training.
        width: what the channels of vgg9, resnet19 and spikformer are multiplied with.
        depth, heads: blocks of spikformer, and heads of their attention.
        delays: most steps that the learned delay of a dense synapse may take (mlp, recurrent); 0: none. See
            :mod:`leanspike.nn.delays`.
        readout: how the output layer's activity becomes class scores; a membrane readout makes it a leaky integrator.
    """

    kind: Literal["mlp", "recurrent", "convnet", "vgg9", "resnet19", "spikformer"] = "mlp"
    hidden: tuple[int, ...] = (400,)
    channels: tuple[int, ...] = (32, 64)
    norm: Literal["none", "batch", "tdbn", "bntt"] = "none"
    dropout: float = 0.0
    width: float = 1.0
    depth: int = 4
    heads: int = 8
    readout: ReadoutName = "membrane_mean"
    delays: int = 0

    def __post_init__(self) -> None:
        sizes = self.hidden + self.channels
        require(all(size > 0 for size in sizes), "model.hidden/model.channels", list(sizes), "sizes of 1 or more")
        require(bool(self.channels), "model.channels", [], "at least one convolution")
        require(self.width > 0, "model.width", self.width, "above 0")
        require(self.depth >= 1, "model.depth", self.depth, "1 or more")
        require(self.heads >= 1, "model.heads", self.heads, "1 or more")
        require(0 <= self.delays <= MOST_DELAY, "model.delays", self.delays, f"0 (none) to {MOST_DELAY} steps")
        dense = not self.delays or self.kind in ("mlp", "recurrent")
        require(dense, "model.delays", self.delays, f"0: {self.kind} has synapses that are not dense")
        require(0 <= self.dropout < 1, "model.dropout", self.dropout, "0 or more and below 1")


def build(model: ModelConfig, neuron: NeuronConfig, shape: tuple[int, ...], classes: int, timesteps: int) -> Network:
    """A network for inputs of ``shape`` (one sample), initialised from torch's random state.

    Raises:
        ConfigError: a network of images for inputs that are not ``(C, H, W)`` or too small for its pools.
    """
    layers: list[nn.Module] = []
    if model.kind == "convnet":
        features = _convolutions(layers, model, neuron, shape, timesteps)
    elif model.kind in PUBLISHED_NORM:
        layers, features = _deep(model, neuron, shape, timesteps)
    else:
        features = _dense(layers, model, neuron, shape, timesteps)
    fires = not model.readout.startswith("membrane")
    output: nn.Module = LIF(neuron, classes) if fires else LeakyIntegrator(neuron, classes)
    if model.kind == "spikformer" and not fires:
        output = deep.averaging(neuron, classes)
    return Network([*layers, _synapses(model, features, classes), output], model.readout)


def _dense(
    layers: list[nn.Module], model: ModelConfig, neuron: NeuronConfig, shape: tuple[int, ...], timesteps: int
) -> int:
    if len(shape) > 1:
        layers.append(Flatten())
    features = math.prod(shape)
    for size in model.hidden:
        fires = RecurrentLIF(neuron, size) if model.kind == "recurrent" else LIF(neuron, size)
        layers += [
            _synapses(model, features, size),
            *_norm(model.norm, neuron, size, timesteps),
            fires,
            *_dropout(model),
        ]
        features = size
    return features


def _synapses(model: ModelConfig, features: int, size: int) -> nn.Module:
    return DelayedLinear(features, size, model.delays) if model.delays else Linear(features, size)


def _deep(
    model: ModelConfig, neuron: NeuronConfig, shape: tuple[int, ...], timesteps: int
) -> tuple[list[nn.Module], int]:
    kind = PUBLISHED_NORM[model.kind] if model.norm == "none" else model.norm

    def norm(channels: int, share: float) -> list[nn.Module]:
        return _norm(kind, neuron, channels, timesteps, share)

    if model.kind == "vgg9":
        layers, features = deep.vgg9(shape, model.width, neuron, norm)
    elif model.kind == "resnet19":
        layers, features = deep.resnet19(shape, model.width, neuron, norm)
    else:
        layers, features = deep.spikformer(shape, model.width, model.depth, model.heads, neuron, norm)
    return [*layers, *_dropout(model)], features


def _convolutions(
    layers: list[nn.Module], model: ModelConfig, neuron: NeuronConfig, shape: tuple[int, ...], timesteps: int
) -> int:
    if len(shape) != 3:
        raise ConfigError("a convnet needs images (C, H, W)", where="model.kind", remedy="use model.kind=mlp")
    channels, height, width = shape
    for size in model.channels:
        if min(height, width) < 2:
            raise ConfigError("images too small for so many pools", where="model.channels", remedy="use fewer channels")
        fires = [*_norm(model.norm, neuron, size, timesteps), LIF(neuron, size)]
        layers += [Conv2d(channels, size), *fires, MaxPool2d(2), *_dropout(model)]
        channels, height, width = size, height // 2, width // 2
    layers.append(Flatten())
    return channels * height * width


def _norm(kind: str, neuron: NeuronConfig, channels: int, timesteps: int, share: float = 1.0) -> list[nn.Module]:
    if kind == "batch":
        return [BatchNorm(channels)]
    if kind == "tdbn":
        return [BatchNorm(channels, scale=share * neuron.threshold)]
    return [BatchNormThroughTime(channels, timesteps)] if kind == "bntt" else []


def _dropout(model: ModelConfig) -> list[nn.Module]:
    return [Dropout(model.dropout)] if model.dropout else []
