"""What the network does for its answer: spikes, firing rates, sparsity, synaptic operations.

    spikes a sample        S_l = (spikes of layer l over all samples) / N
    firing rate            r_l = S_l / (T · n_l)                      spikes a neuron and step, 0..1
    sparsity               1 - Σ S_l / Σ (T · n_l)                     share of silent (neuron, step) pairs
    synaptic operations    Σ_l S_l · f_l                               accumulates (AC): one a spike and synapse

n_l is the number of neurons and f_l the mean number of outgoing synapses of a neuron (its fan-out) in layer l. The
count is that of B. Rueckauer et al., "Conversion of continuous-valued deep networks to efficient event-driven networks
for image classification", Front. Neurosci. 11 (2017) 682; the unit is the SynOp of P. Merolla et al., Science 345
(2014) 668. Values that are not 0/1 (pixels under direct coding) need a multiplication: they are counted apart, as MACs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError


@dataclass(frozen=True)
class LayerActivity:
    """One spiking layer over one sample, on average.

    Args:
        name: the layer's name, unique in its network.
        neurons: number of neurons n_l.
        timesteps: number of steps T.
        spikes: mean spikes a sample S_l, 0..T·n_l.
        fan_out: mean number of outgoing synapses f_l of a neuron; 0 for the output layer.
    """

    name: str
    neurons: int
    timesteps: int
    spikes: float
    fan_out: float = 0.0

    def __post_init__(self) -> None:
        pairs = self.neurons * self.timesteps
        if pairs <= 0 or self.fan_out < 0 or not 0 <= self.spikes <= pairs:
            raise DataError(
                f"{self.spikes} spikes a sample from {self.neurons} neurons in {self.timesteps} steps cannot be",
                where=f"layer {self.name}",
                remedy="give mean spikes a sample between 0 and neurons x timesteps",
            )


def layer_activity(name: str, spikes: npt.NDArray[np.generic], fan_out: float = 0.0) -> LayerActivity:
    """Activity of one layer from its spikes ``[T, N, ...]`` (0/1), N samples."""
    if spikes.ndim < 3 or spikes.size == 0:
        raise DataError(f"expected spikes [T, N, ...], found shape {spikes.shape}", where=f"layer {name}")
    steps, samples = spikes.shape[:2]
    neurons = int(np.prod(spikes.shape[2:]))
    return LayerActivity(name, neurons, steps, float(np.count_nonzero(spikes)) / samples, fan_out)


def spikes_per_sample(layers: Sequence[LayerActivity]) -> float:
    """All spikes of the network for one sample."""
    return float(sum(layer.spikes for layer in layers))


def firing_rates(layers: Sequence[LayerActivity]) -> Mapping[str, float]:
    """Mean spikes a neuron and step, by layer name."""
    return {layer.name: layer.spikes / (layer.neurons * layer.timesteps) for layer in layers}


def sparsity(layers: Sequence[LayerActivity]) -> float:
    """Share of (neuron, step) pairs without a spike, over all layers."""
    if not layers:
        raise DataError("sparsity needs at least one spiking layer")
    return 1 - spikes_per_sample(layers) / sum(layer.neurons * layer.timesteps for layer in layers)


def synaptic_operations(layers: Sequence[LayerActivity]) -> float:
    """Accumulates a sample that spikes cause in the synapses behind them."""
    return float(sum(layer.spikes * layer.fan_out for layer in layers))
