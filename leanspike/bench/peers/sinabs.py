"""sinabs: ``LIF`` over ``[B, T, ...]``, single spike, unnormalised input, with its time constant frozen."""

from __future__ import annotations

import math

import torch
from sinabs.activation import SingleSpike
from sinabs.layers import LIF
from torch import Tensor, nn

from leanspike.bench.peers.plain import TorchStepper, layers
from leanspike.bench.workloads import ATAN_SCALE, BETA, THRESHOLD, Workload


def arctan(v_mem: Tensor, threshold: Tensor) -> Tensor:
    """A surrogate in the form sinabs takes: the derivative as a function of potential and threshold."""
    return (ATAN_SCALE / 2) / (1 + (torch.pi / 2 * ATAN_SCALE * (v_mem - threshold)) ** 2)


class TimeFirst(nn.Module):
    """sinabs puts the batch first."""

    def __init__(self) -> None:
        super().__init__()
        self.lif = LIF(
            tau_mem=-1 / math.log(BETA),
            spike_threshold=torch.tensor(THRESHOLD),
            spike_fn=SingleSpike,
            surrogate_grad_fn=arctan,
            norm_input=False,
        ).requires_grad_(False)

    def forward(self, current: Tensor) -> Tensor:
        spikes: Tensor = self.lif(current.transpose(0, 1))
        return spikes.transpose(0, 1)


def prepare(work: Workload, mode: str) -> TorchStepper:
    """Its states are kept between batches and have to be reset."""
    network = layers(work, TimeFirst)
    neurons = [module for module in network.modules() if isinstance(module, LIF)]

    def reset() -> None:
        for neuron in neurons:
            neuron.reset_states()

    return TorchStepper(network, work.loss, mode == "compile", reset=reset)
