"""Which synapses a layer's neurons feed, and how active everything is: what pruning must know of a network.

Channel c of a layer is read through rows of the next layer's weights: of a convolution's ``weight[:, :, c, :]``, of a
dense layer's behind Flatten the rows ``p * C + c`` for every position p, since images are flattened channels last.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from leanspike.core.errors import ConfigError
from leanspike.data import TrainingData
from leanspike.nn import LIF, Network, Spikes
from leanspike.nn.constant import Constant
from leanspike.nn.synapses import Synapses
from leanspike.train import RunConfig
from leanspike.train.batches import scaled
from leanspike.train.coding import coded

_SEED = 0


@dataclass(frozen=True)
class Hidden:
    """A hidden layer: the synapses into its neurons, the neurons, and the synapses that read them.

    Attributes:
        name: of ``before`` in the network.
    """

    name: str
    before: Synapses
    neurons: LIF
    after: Synapses

    @property
    def channels(self) -> int:
        """How many."""
        return int(self.before.weight.shape[-1])

    def outgoing(self, of_rows: Tensor) -> Tensor:
        """``[..., in, out]`` of ``after`` as ``[everything else, channels]``."""
        if of_rows.dim() == 2:
            return of_rows.view(-1, self.channels, of_rows.shape[1]).movedim(1, -1).flatten(0, -2)
        return of_rows.movedim(-2, -1).flatten(0, -2)

    def rows(self, channels: Tensor) -> Tensor:
        """A value for each channel ``[channels]`` as one that broadcasts over ``after``'s weights."""
        if self.after.weight.dim() == 2:
            return channels.repeat(self.after.weight.shape[0] // self.channels)[:, None]
        return channels[:, None]


def hidden_layers(network: Network) -> tuple[Hidden, ...]:
    """The hidden layers in the order of the data.

    Raises:
        ConfigError: layers that are not in a row.
    """
    found: list[Hidden] = []
    before: tuple[str, Synapses] | None = None
    neurons: LIF | None = None
    for name, layer in _in_a_row(network):
        if isinstance(layer, Synapses):
            if before and neurons:
                found.append(Hidden(*before, neurons, layer))
            before, neurons = (name, layer), None
        elif isinstance(layer, LIF):
            neurons = layer
    return tuple(found)


def synapses(network: nn.Module) -> tuple[tuple[str, Synapses], ...]:
    """Every layer of synapses with its name, in the order of the data; the last one is the output's."""
    return tuple((name, layer) for name, layer in network.named_modules() if isinstance(layer, Synapses))


def mask_of(layer: Synapses) -> Tensor:
    """The mask, all True where there is none."""
    return torch.ones_like(layer.weight, dtype=torch.bool) if layer.mask is None else layer.mask


def _in_a_row(network: Network) -> Iterator[tuple[str, nn.Module]]:
    for i, layer in enumerate(network.layers):
        inner = any(isinstance(part, Synapses | LIF) for part in layer.modules() if part is not layer)
        if inner:
            what = f"layer {i} ({type(layer).__name__}) branches"
            raise ConfigError(what, where="network", remedy="prune connections, not neurons")
        yield f"layers.{i}", layer


@dataclass(frozen=True)
class Activities:
    """Mean activity over steps, samples and positions.

    Attributes:
        inputs: of each layer of synapses by name, ``[in]``: what its inputs carry (spikes a step, or analogue values).
        rates: of each layer of neurons by name, ``[channels]``: spikes a neuron and step.
    """

    inputs: dict[str, Tensor]
    rates: dict[str, Tensor]


@dataclass(frozen=True)
class Calibration:
    """Coded samples on which activity is measured.

    Attributes:
        x: ``[T, B, ...]``.
    """

    x: Tensor | Spikes

    @staticmethod
    def of(network: Network, run: RunConfig, data: TrainingData, samples: int = 512) -> Calibration:
        """The first samples of the training set, which is in no order by class, as the run codes them."""
        x = torch.from_numpy(data.x[:samples])
        return Calibration(coded(scaled(x), torch.arange(len(x)), network, run, _SEED))

    def activities(self, network: Network) -> Activities:
        """Run the network as in evaluation; it is left in the mode it was in."""
        found, was_training, hooks = Activities({}, {}), network.training, []
        for name, layer in network.named_modules():
            if isinstance(layer, Synapses | LIF):
                hooks.append(layer.register_forward_hook(partial(_note, found, name)))
        network.eval()
        try:
            network.trace(self.x)
        finally:
            network.train(was_training)
            for hook in hooks:
                hook.remove()
        return found


def _note(found: Activities, name: str, layer: nn.Module, arguments: tuple[Any, ...], result: Any) -> None:
    if isinstance(layer, LIF):
        found.rates[name] = _by_channel(result[0].dense())
    else:
        x = arguments[0]
        values = x.dense() if isinstance(x, Spikes) else x.values[None] if isinstance(x, Constant) else x
        found.inputs[name] = _by_channel(values.abs())


def _by_channel(values: Tensor) -> Tensor:
    return values.movedim(2, -1).flatten(0, -2).mean(0)
