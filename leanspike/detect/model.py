"""The detector: a small spiking VGG and a head on the accumulated membrane, one map of raw scores for each scene.

    2 x H x W   conv LIF pool   conv LIF pool   conv LIF pool   conv LIF ...   conv 1x1   membrane    [H/8, W/8, 5 + K]

Every LIF has a norm before it and learns its threshold, one a channel. The head's neurons integrate over the T steps
and never fire: what they hold after the last step are the scores of the network's readout, in its program as integers.
:mod:`leanspike.detect.decode` says what the 5 + K of a cell mean. A new head takes all cells for empty, odds e^-3.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from leanspike.core.errors import ConfigError
from leanspike.core.records import require
from leanspike.nn import LIF, BatchNorm, Conv2d, LeakyIntegrator, MaxPool2d, Network, NeuronConfig

POLARITIES = 2
BOX = 5
"""Scores of a cell beside those of the classes: x, y, width, height, objectness."""

_EMPTY = -3.0


@dataclass(frozen=True)
class ModelConfig:
    """Which detector.

    Attributes:
        channels: of the convolutions before each pool; a grid cell is ``2 ** len(channels)`` pixels wide.
        deep: of the convolutions behind the last pool.
        kernel: of the first convolution, odd; the others have 3.
        neuron: of the hidden layers.
        head_beta: share that the head's integrators keep: where things move, the last steps say most about their place.
        anchor: side in pixels of a box whose exponent is 0.
    """

    channels: tuple[int, ...] = (16, 32, 96)
    deep: tuple[int, ...] = (128, 128)
    kernel: int = 5
    neuron: NeuronConfig = field(
        default_factory=lambda: NeuronConfig(beta=0.75, learn_threshold=True, per_channel=True)
    )
    head_beta: float = 0.6
    anchor: float = 20.0

    def __post_init__(self) -> None:
        sizes = self.channels + self.deep
        require(all(size > 0 for size in sizes), "model.channels/deep", list(sizes), "sizes of 1 or more")
        require(1 <= len(self.channels) <= 5, "model.channels", list(self.channels), "one to five, one a pool")
        require(self.kernel % 2 == 1 and self.kernel > 0, "model.kernel", self.kernel, "an odd size")
        require(0 <= self.head_beta <= 1, "model.head_beta", self.head_beta, "between 0 and 1")
        require(self.anchor > 0, "model.anchor", self.anchor, "above 0 pixels")

    @property
    def stride(self) -> int:
        """Pixels a grid cell is wide and high."""
        return 1 << len(self.channels)


def build(config: ModelConfig, height: int, width: int, classes: int, timesteps: int) -> Network:
    """A detector for frames ``[T, B, 2, height, width]``, T = timesteps, initialised from torch's random state.

    Raises:
        ConfigError: sides that the pools do not divide.
    """
    stride = config.stride
    if height % stride or width % stride:
        remedy = f"sides in whole cells of {stride} pixels"
        raise ConfigError(f"a field of {width} x {height} does not fit the grid", where="model.channels", remedy=remedy)
    layers: list[nn.Module] = []
    before, kernel = POLARITIES, config.kernel
    for i, size in enumerate((*config.channels, *config.deep)):
        layers += [Conv2d(before, size, kernel, kernel // 2, bias=False), BatchNorm(size), LIF(config.neuron, size)]
        layers += [MaxPool2d(2)] if i < len(config.channels) else []
        before, kernel = size, 3
    head = Conv2d(before, BOX + classes, kernel=1, padding=0)
    with torch.no_grad():
        head.weight.mul_(0.1)
        head.bias.zero_()  # type: ignore[union-attr]
        head.bias[BOX - 1] = _EMPTY / sum(config.head_beta**step for step in range(timesteps))  # type: ignore[index]
    return Network(
        [*layers, head, LeakyIntegrator(NeuronConfig(beta=config.head_beta), BOX + classes)], "membrane_last"
    )
