"""Plain torch: one linear or convolution over T*B, a Python loop for the neuron, autograd. The reference.

:class:`TorchStepper` is shared by every framework that stands on torch: they differ in their network only.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from leanspike.bench.candidates import Passes
from leanspike.bench.workloads import ATAN_SCALE, BETA, LEARNING_RATE, THRESHOLD, Batch, Layer, Workload

Neuron = Callable[[], nn.Module]


class TorchStepper:
    """A torch network as a :class:`~leanspike.bench.candidates.Stepper`.

    Args:
        network: maps ``[T, B, ...]`` to output spikes ``[T, B, K]``.
        loss: "cross_entropy" on the counts, or "sum".
        compiled: run forward and loss under torch.compile.
        gain: the loaded weights and biases are multiplied by it, where the framework scales its input.
        reset: forgets the neurons' state before every batch.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: str,
        compiled: bool = False,
        gain: float = 1.0,
        reset: Callable[[], None] | None = None,
    ) -> None:
        self.network, self.loss, self.gain, self.reset = network, loss, gain, reset
        self.synapses = [module for module in network.modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
        self.optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, fused=True)
        self.forward = _compiled(self._forward) if compiled else self._forward

    def _forward(self, x: Tensor, y: Tensor) -> Tensor:
        spikes = self.network(x)
        return spikes.sum() if self.loss == "sum" else nn.functional.cross_entropy(spikes.sum(0), y)

    def load(self, weights: list[Layer]) -> None:
        with torch.no_grad():
            for synapse, layer in zip(self.synapses, weights, strict=True):
                synapse.weight.copy_(torch.from_numpy(layer.weight) * self.gain)
                assert synapse.bias is not None
                synapse.bias.copy_(torch.from_numpy(layer.bias) * self.gain)

    def batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(batch.repeated()), torch.from_numpy(batch.y)

    def step(self, batch: tuple[Tensor, Tensor]) -> float:
        if self.reset is not None:
            self.reset()
        self.optimizer.zero_grad()
        loss = self.forward(*batch)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def passes(self, batch: tuple[Tensor, Tensor]) -> Passes:
        if self.reset is not None:
            self.reset()
        self.optimizer.zero_grad()
        start = time.perf_counter()
        loss = self.forward(*batch)
        middle = time.perf_counter()
        loss.backward()
        end = time.perf_counter()
        return Passes(middle - start, end - middle, end - start)


def _compiled(forward: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Compiled for one shape; never silently eager, as torch does it after eight networks through one function."""
    config: Any = torch._dynamo.config
    config.recompile_limit, config.fail_on_recompile_limit_hit = 64, True
    return torch.compile(forward, dynamic=False)


class TimeFolded(nn.Module):
    """Apply a stateless layer to all steps at once: ``[T, B, ...]`` as ``[T*B, ...]``."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x.flatten(0, 1))
        return out.reshape(*x.shape[:2], *out.shape[1:])


def layers(work: Workload, neuron: Neuron) -> nn.Sequential:
    """The workload's network over ``[T, B, ...]``, with the framework's own ``neuron`` for a whole sequence."""
    if work.network == "mlp":
        pairs = itertools.pairwise(work.sizes)
        return nn.Sequential(*[part for pair in pairs for part in (TimeFolded(nn.Linear(*pair)), neuron())])
    parts: list[nn.Module] = []
    for before, after in itertools.pairwise((1, *work.channels)):
        convolution = nn.Conv2d(before, after, 3, padding=1)
        parts += [TimeFolded(convolution), neuron(), TimeFolded(nn.MaxPool2d(2))]
    return nn.Sequential(*parts, nn.Flatten(2), TimeFolded(nn.Linear(work.flat, work.sizes[-1])), neuron())


class Arctan(torch.autograd.Function):
    """The step function with the arctan surrogate's gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        slope: Tensor = (ATAN_SCALE / 2) / (1 + (torch.pi / 2 * ATAN_SCALE * x) ** 2)
        return grad * slope


class LIF(nn.Module):
    """A loop over T in Python."""

    def forward(self, current: Tensor) -> Tensor:
        v = torch.zeros_like(current[0])
        spikes = []
        for step in current:
            u = BETA * v + step
            s: Tensor = Arctan.apply(u - THRESHOLD)  # type: ignore[no-untyped-call]
            v = u - s.detach() * THRESHOLD
            spikes.append(s)
        return torch.stack(spikes)


class ConstantFirst(nn.Module):
    """A network whose input is the same at every step: the first product is computed once."""

    def __init__(self, network: nn.Sequential, timesteps: int) -> None:
        super().__init__()
        self.first, self.rest, self.timesteps = network[0], network[1:], timesteps

    def forward(self, x: Tensor) -> Tensor:
        current = self.first(x[None])[0]
        out: Tensor = self.rest(current.expand(self.timesteps, *current.shape))
        return out


class OnceStepper(TorchStepper):
    """Takes the constant input as ``[B, ...]``."""

    def batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(batch.x), torch.from_numpy(batch.y)


def prepare(work: Workload, mode: str) -> TorchStepper:
    """Mode ``eager`` or ``compile``; ``once`` where the input is constant."""
    network = layers(work, LIF)
    if mode.startswith("once"):
        return OnceStepper(ConstantFirst(network, work.timesteps), work.loss, mode.endswith("compile"))
    return TorchStepper(network, work.loss, mode == "compile")
