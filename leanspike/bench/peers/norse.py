"""norse: ``LIFBoxCell`` (no synaptic current) under its ``Lift``; linear and convolution over all T at once."""

from __future__ import annotations

import torch
from norse.torch import LIFBoxCell, LIFBoxParameters, Lift
from norse.torch.functional.reset import reset_subtract
from torch import Tensor, nn

from leanspike.bench.peers.plain import TorchStepper, layers
from leanspike.bench.workloads import BETA, THRESHOLD, Workload

DT = 1e-3


class LIFBox(nn.Module):
    """The lifted cell, its final state dropped."""

    def __init__(self) -> None:
        super().__init__()
        parameters = LIFBoxParameters(
            tau_mem_inv=torch.tensor((1 - BETA) / DT),
            v_th=torch.tensor(THRESHOLD),
            reset_method=reset_subtract,
            method="super",
            alpha=torch.tensor(10.0),
        )
        self.cell = Lift(LIFBoxCell(parameters, dt=DT))

    def forward(self, current: Tensor) -> Tensor:
        spikes, _ = self.cell(current)
        out: Tensor = spikes
        return out


def prepare(work: Workload, mode: str) -> TorchStepper:
    """Its input is scaled by dt/tau = 1 - beta, so the weights are loaded divided by that."""
    return TorchStepper(layers(work, LIFBox), work.loss, mode == "compile", gain=1 / (1 - BETA))
