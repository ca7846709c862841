"""Batch norms of a trained network folded into the synapses before them: the same function but for rounding.

y = scale I + shift,  I = W x + bias        ->        W := W scale,  bias := bias scale + shift
"""

from __future__ import annotations

import torch
from torch import nn

from leanspike.core.errors import ConfigError
from leanspike.nn import BatchNorm, BatchNormThroughTime, Conv2d, Linear, Network


def fold_norms(network: Network) -> Network:
    """The network without norms; synapses with a norm behind them get a bias. The given network's layers are changed.

    Raises:
        ConfigError: a norm through time, whose folding would give arrays a step.
    """
    layers: list[nn.Module] = []
    for place, layer in enumerate(network.layers):
        if isinstance(layer, BatchNormThroughTime):
            what = "batch norm through time has statistics a step, which latent weights cannot hold"
            raise ConfigError(what, where=f"layer {place}", remedy="train with model.norm=batch or tdbn")
        if isinstance(layer, BatchNorm):
            if not layers or not isinstance(layers[-1], Linear | Conv2d):
                raise ConfigError("a norm has no synapse before it", where=f"layer {place}")
            _fold(layers[-1], layer)
        else:
            layers.append(layer)
    return Network(layers, network.readout, network.recompute)


@torch.no_grad()
def _fold(synapse: Linear | Conv2d, norm: BatchNorm) -> None:
    scale, shift = norm.affine()
    weight = synapse.weight.double() * scale
    bias = shift if synapse.bias is None else synapse.bias.double() * scale + shift
    synapse.weight.copy_(weight)
    synapse.bias = nn.Parameter(bias.to(synapse.weight.dtype))
