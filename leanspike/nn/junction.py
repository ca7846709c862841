r"""Where a network is no list: branches that meet in a sum, and spiking self-attention.

A junction is a layer that holds lists of layers. It is called with the function that is told of every layer inside.

    residual     y = branch(x) + shortcut(x)        two currents of the LIF behind (ResNet, arXiv:2011.05280), or two
                                                    spikes, small integers for the synapse behind (arXiv:2209.15425)
    attention    I = scale Q K^T V, s = LIF(I)      Zhou et al. 2023, arXiv:2209.15425: no softmax
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from leanspike.nn.cells import LIF, LeakyIntegrator
from leanspike.nn.constant import Constant
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.norm import BatchNorm
from leanspike.nn.spikes import Spikes
from leanspike.nn.synapses import Conv2d, Signal

Seen = Callable[[nn.Module, Signal, Spikes | None, Tensor | None], None]
"""Told of every layer that runs: the layer, what it is given, and of neurons their spikes and potential."""


class Junction(nn.Module):
    """A layer of layers."""

    def forward(self, x: Signal, seen: Seen) -> Signal:
        """Run ``[T, B, C, ...]``; ``seen`` is told of every layer inside, in order."""
        raise NotImplementedError


def in_a_row(layers: Iterable[nn.Module], x: Signal, seen: Seen) -> Signal:
    """Run layers one after the other, none of them fused."""
    for layer in layers:
        if isinstance(layer, Junction):
            x = layer(x, seen)
        elif isinstance(layer, LIF | LeakyIntegrator):
            spikes, potential, _ = layer(x)
            seen(layer, x, spikes, potential)
            x = potential if spikes is None else spikes
        else:
            seen(layer, x, None, None)
            x = layer(x)
    return x


class Residual(Junction):
    """The sum of two branches of the same input; a shortcut without layers is the input itself."""

    def __init__(self, branch: Sequence[nn.Module], shortcut: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.branch, self.shortcut = nn.ModuleList(branch), nn.ModuleList(shortcut)

    def forward(self, x: Signal, seen: Seen) -> Tensor | Constant:
        """``[T, B, ...]``: currents where a branch ends in synapses or a norm, else small integers."""
        left, right = in_a_row(self.branch, x, seen), in_a_row(self.shortcut, x, seen)
        if isinstance(left, Constant) and isinstance(right, Constant):
            return Constant(left.values + right.values, left.steps)
        return written(left) + written(right)


class SpikingSelfAttention(Junction):
    """Queries, keys and values as spikes, their products as the current of LIF neurons.

    Args:
        channels, heads: C, of which every head has C / heads.
        config: of all its neurons; those behind the products have half the threshold, as published.
        scale: of the products; a power of two, as published.
        norm: the norm behind a synapse.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        config: NeuronConfig,
        scale: float = 0.125,
        norm: Callable[[int], nn.Module] = BatchNorm,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels are not {heads} heads of the same size")
        self.heads, self.scale = heads, scale
        self.query, self.key, self.value = (
            nn.ModuleList([Conv2d(channels, channels, kernel=1, padding=0), norm(channels), LIF(config, channels)])
            for _ in range(3)
        )
        self.neurons = LIF(replace(config, threshold=config.threshold / 2), channels)

    def forward(self, x: Signal, seen: Seen) -> Spikes:
        """``[T, B, C, H, W]`` to spikes of the same shape; the tokens are the places."""
        query, key, value = (self._heads(in_a_row(row, x, seen)) for row in (self.query, self.key, self.value))
        tokens, width = query.shape[3:]
        keyed = query @ (key.mT @ value) if width < tokens else (query @ key.mT) @ value
        current: Tensor = (keyed * self.scale).mT.reshape(tuple(x.shape))
        spikes, potential, _ = self.neurons(current)
        seen(self.neurons, current, spikes, potential)
        found: Spikes = spikes
        return found

    def _heads(self, x: Signal) -> Tensor:
        """``[T, B, heads, N, C / heads]``."""
        heads: Tensor = written(x).flatten(3).unflatten(2, (self.heads, -1))
        return heads.mT


def written(x: Signal) -> Tensor:
    """A signal as the tensor ``[T, B, ...]``."""
    if isinstance(x, Spikes):
        return x.dense()
    return x.expand() if isinstance(x, Constant) else x
