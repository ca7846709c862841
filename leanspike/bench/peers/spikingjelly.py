"""spikingjelly in multi-step mode: its layers over all T, its LIF's own multi-step path (on a CPU a loop over T)."""

from __future__ import annotations

from spikingjelly.activation_based import functional, neuron, surrogate
from torch import nn

from leanspike.bench.peers.plain import TorchStepper, layers
from leanspike.bench.workloads import ATAN_SCALE, BETA, THRESHOLD, Workload


def lif() -> nn.Module:
    """v_reset=None is its subtract reset; decay_input=False leaves the input unscaled."""
    node: nn.Module = neuron.LIFNode(
        tau=1 / (1 - BETA),
        decay_input=False,
        v_threshold=THRESHOLD,
        v_reset=None,
        surrogate_function=surrogate.ATan(alpha=ATAN_SCALE),
        detach_reset=True,
        step_mode="m",
    )
    return node


def prepare(work: Workload, mode: str) -> TorchStepper:
    """Mode ``eager`` or ``compile``."""
    network = layers(work, lif)
    return TorchStepper(network, work.loss, mode == "compile", reset=lambda: functional.reset_net(network))
