"""snntorch: step by step as in its tutorials, or layer by layer with ``Leaky`` in a loop."""

from __future__ import annotations

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from leanspike.bench.peers.plain import TimeFolded, TorchStepper, layers
from leanspike.bench.workloads import ATAN_SCALE, BETA, THRESHOLD, Workload


def leaky() -> nn.Module:
    """Its LIF with explicit state; the reset is subtractive and detached by default."""
    neuron: nn.Module = snntorch.Leaky(beta=BETA, threshold=THRESHOLD, spike_grad=surrogate.atan(alpha=ATAN_SCALE))
    return neuron


class LeakySequence(nn.Module):
    """``Leaky`` over a whole sequence of currents."""

    def __init__(self) -> None:
        super().__init__()
        self.leaky = leaky()

    def forward(self, current: Tensor) -> Tensor:
        potential = torch.zeros_like(current[0])
        spikes = []
        for step in current:
            spike, potential = self.leaky(step, potential)
            spikes.append(spike)
        return torch.stack(spikes)


class StepByStep(nn.Module):
    """The whole network once a step, as in the tutorials."""

    def __init__(self, sequence: nn.Sequential) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for part in sequence:
            if isinstance(part, TimeFolded):
                parts.append(part.layer)
            else:
                parts.append(part.leaky if isinstance(part, LeakySequence) else nn.Flatten(1))
        self.parts = nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        potentials: list[Tensor | None] = [None] * len(self.parts)
        spikes = []
        for step in x:
            out = step
            for index, part in enumerate(self.parts):
                if isinstance(part, snntorch.Leaky):
                    before = potentials[index]
                    out, potentials[index] = part(out, torch.zeros_like(out) if before is None else before)
                else:
                    out = part(out)
            spikes.append(out)
        return torch.stack(spikes)


def prepare(work: Workload, mode: str) -> TorchStepper:
    """Mode ``loop``, ``layered`` or ``layered compile``."""
    network = layers(work, LeakySequence)
    if mode == "loop":
        return TorchStepper(StepByStep(network), work.loss)
    return TorchStepper(network, work.loss, mode == "layered compile")
