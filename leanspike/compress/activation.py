r"""Sparse activation after SpQuant-SNN, as far as a program expresses it exactly.

    loss       task + pressure * sum_l w[l] mean_c (r[l, c] + d)^power / sum_l w[l]
    masks      m[l, c] = 1[r[l, c] >= close_below], on samples of the training set, every ``every`` epochs

r[l, c]: firing rate of channel c of hidden layer l, spikes a neuron and step; w[l]: operations in the next layer if all
of layer l fired in a step; d = 0.001. At a power of 1 the penalty is the number of spiking operations; below 1 it is a
group penalty over channels (cf. Yuan & Lin 2006), which pushes harder the quieter a channel is: whole channels fall
silent, instead of all firing a little less. A closed channel loses its column and its rows and leaves the program.

SpQuant-SNN (Hasssan et al. 2024, doi 10.3389/fnins.2024.1440000) multiplies currents with channel masks that a small
network predicts from the input at every step (its repository takes them from Elkerdawy et al. 2022, arXiv:2110.08232),
and has spatial masks by a Gumbel gate on the potential. Here channel masks are the same for all inputs: only those can
leave a program. The spatial mask that depends on the potential is the neuron's own comparison u >= V; weights, biases
and thresholds learn under the penalty where it stays closed. Not expressed: predicted masks, which would be float
networks of their own, and a fixed mask over positions, which would need a threshold for each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from leanspike.compress.channels import Calibration, Hidden, hidden_layers, mask_of
from leanspike.core.records import require, to_dict
from leanspike.nn import Network, Output
from leanspike.train import Constraint

_SMALLEST = 1e-3
_SLACK = 1e-9


@dataclass(frozen=True)
class ActivationConfig:
    """How hard spikes are pushed out, and when a channel is closed.

    Attributes:
        pressure: weight of the penalty; 0 is off.
        power: of a channel's rate in it: 1 counts operations, below 1 silences whole channels.
        close_below: a channel that fires less, in spikes a neuron and step, is closed for good; 0 closes none but those
            that never fire.
        every: epochs between closings.
        until: share of the epochs after which no channel is closed any more.
    """

    pressure: float = 0.0
    power: float = 0.5
    close_below: float = 0.002
    every: float = 0.5
    until: float = 0.8

    def __post_init__(self) -> None:
        require(self.pressure >= 0, "activation.pressure", self.pressure, "0 (off) or more")
        require(0 < self.power <= 1, "activation.power", self.power, "above 0 and at most 1")
        require(0 <= self.close_below < 1, "activation.close_below", self.close_below, "a rate from 0 up, below 1")
        require(self.every > 0, "activation.every", self.every, "epochs, above 0")
        require(0 < self.until <= 1, "activation.until", self.until, "a share of the epochs, above 0 and at most 1")


class SparseActivation(Constraint):
    """Pushes spikes out of a network in training, and closes channels that have become silent.

    Args:
        epochs: of the fine-tuning.
        calibration: on which rates are measured.
    """

    sees_output = True

    def __init__(self, config: ActivationConfig, network: Network, epochs: int, calibration: Calibration) -> None:
        super().__init__()
        hidden_layers(network)
        self.config, self.calibration = config, calibration
        self.last_update = max(1, math.floor(config.until * epochs / config.every + _SLACK))
        self.settled_at = self.last_update * config.every
        self.memory["updates"] = torch.zeros((), dtype=torch.int64)

    def facts(self) -> dict[str, Any]:
        """The settings."""
        return {"activation": to_dict(self.config), "last_update": self.last_update}

    def after_step(self, network: nn.Module, position: float) -> None:
        """Close what is silent, where it is time to look."""
        assert isinstance(network, Network)
        due = min(self.last_update, math.floor(position / self.config.every + _SLACK))
        if due <= int(self.memory["updates"]):
            return
        self.memory["updates"].fill_(due)
        close_silent(network, self.calibration, self.config.close_below)

    def extra_loss(self, network: Network, output: Output) -> Tensor:
        """The penalty."""
        total, weights = output.potential.new_zeros(()), 0.0
        for layer, spikes in zip(hidden_layers(network), output.hidden, strict=False):
            weight = _operations_if_all_fire(layer, spikes.shape)
            rates = spikes.dense().movedim(2, -1).flatten(0, -2).mean(0)
            total = total + weight * (rates + _SMALLEST).pow(self.config.power).mean()
            weights += weight
        return self.config.pressure * total / max(1.0, weights)


def _operations_if_all_fire(layer: Hidden, shape: tuple[int, ...]) -> float:
    """Connections of the next layer that a step's spikes reach if all neurons fire; a pool before it is not counted."""
    reach = layer.after.weight.numel() / layer.after.weight.shape[-2]
    return math.prod(shape[2:]) * reach


@torch.no_grad()
def close_silent(network: Network, calibration: Calibration, below: float) -> int:
    """Close the channels that fire less than ``below`` (or never); of each layer the most active one stays.

    Returns:
        how many were closed now.
    """
    rates, closed = calibration.activities(network).rates, 0
    names = {id(module): name for name, module in network.named_modules()}
    for layer in hidden_layers(network):
        rate = rates[names[id(layer.neurons)]]
        open_now = mask_of(layer.before).flatten(0, -2).any(0)
        keep = open_now & (rate >= below) & (rate > 0)
        keep[torch.where(open_now, rate, -1.0).argmax()] = True
        if bool((open_now & ~keep).any()):
            closed += int((open_now & ~keep).sum())
            layer.before.prune(mask_of(layer.before) & keep)
            layer.after.prune(mask_of(layer.after) & layer.rows(keep))
    return closed
