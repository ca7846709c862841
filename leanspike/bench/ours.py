"""leanspike as a user trains with it: ``models.build``, the network's own piece size, fused Adam.

Binary input comes as the same float array the peers get; packing it 32 to a word is part of every timed step,
and the row "packing alone" says how much of it that is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from leanspike import models
from leanspike.bench.candidates import Passes
from leanspike.bench.workloads import ATAN_SCALE, BETA, LEARNING_RATE, THRESHOLD, Batch, Layer, Workload
from leanspike.nn import Conv2d, CountCrossEntropy, Linear, Network, NeuronConfig, Output
from leanspike.nn.spikes import Spikes, pack
from leanspike.train import TrainConfig
from leanspike.train.optimizer import forget_gradients, make_optimizer

Input = Tensor | Spikes


class OurStepper:
    """Our network as a :class:`~leanspike.bench.candidates.Stepper`."""

    def __init__(self, work: Workload, recompute: bool = False) -> None:
        neuron = NeuronConfig(beta=BETA, threshold=THRESHOLD, surrogate="atan", surrogate_scale=ATAN_SCALE)
        model = models.ModelConfig(kind=work.network, hidden=work.sizes[1:-1], channels=work.channels, readout="count")
        self.work = work
        self.network: Network = models.build(model, neuron, work.sample, work.sizes[-1], work.timesteps)
        self.network.recompute = recompute
        self.optimizer = make_optimizer(self.network, TrainConfig(learning_rate=LEARNING_RATE))

    def load(self, weights: list[Layer]) -> None:
        synapses = [layer for layer in self.network.layers if isinstance(layer, Linear | Conv2d)]
        with torch.no_grad():
            for synapse, layer in zip(synapses, weights, strict=True):
                weight = torch.from_numpy(layer.weight)
                last = synapse is synapses[-1]
                synapse.weight.copy_(weight.permute(2, 3, 1, 0) if weight.dim() == 4 else self._rows(weight, last))
                assert synapse.bias is not None
                synapse.bias.copy_(torch.from_numpy(layer.bias))

    def _rows(self, weight: Tensor, last: bool) -> Tensor:
        """``[out, in]`` as ``[in, out]``; behind the convolutions our inputs are in channels-last order."""
        if self.work.network == "convnet" and last:
            side = self.work.side >> len(self.work.channels)
            weight = weight.view(len(weight), -1, side, side).permute(0, 2, 3, 1).flatten(1)
        return weight.t()

    def batch(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x = torch.from_numpy(batch.x)
        return (x.expand(batch.timesteps, *x.shape) if batch.constant else x), torch.from_numpy(batch.y)

    def step(self, batch: tuple[Tensor, Tensor]) -> float:
        x, y = batch
        forget_gradients(self.optimizer)
        total = torch.zeros(())
        size = len(y) if self.network.cuts_batches else self.network.micro_batch(len(y), self.work.timesteps)
        for piece, labels in _pieces(x, y, size):
            loss = self._loss(piece, labels, len(labels) / len(y))
            loss.backward()
            total += loss.detach()
        self.optimizer.step()
        return float(total)

    def _loss(self, x: Input, y: Tensor, share: float) -> Tensor:
        return self.network.loss(x, _spike_sum if self.work.loss == "sum" else CountCrossEntropy(y, share))

    def passes(self, batch: tuple[Tensor, Tensor]) -> Passes:
        forget_gradients(self.optimizer)
        start = time.perf_counter()
        loss = self._loss(*batch, 1.0)
        middle = time.perf_counter()
        loss.backward()
        end = time.perf_counter()
        return Passes(middle - start, end - middle, end - start)

    def density(self, batch: tuple[Tensor, Tensor]) -> list[float]:
        """Share of ones of every spiking layer."""
        with torch.no_grad():
            return [spikes.density for spikes in self.network(batch[0]).hidden]


class PackingStepper(OurStepper):
    """Packs the input and does nothing else."""

    def step(self, batch: tuple[Tensor, Tensor]) -> float:
        packed = pack(batch[0])
        return 0.0 if packed is None else float(packed.shape[0])


def _spike_sum(output: Output, _: slice) -> Tensor:
    assert output.spikes is not None
    return output.spikes.sum()


def _pieces(x: Tensor, y: Tensor, size: int) -> Iterator[tuple[Input, Tensor]]:
    if size >= len(y):
        yield x, y
        return
    constant = x.stride(0) == 0
    packed = None if constant else pack(x)
    for start in range(0, len(y), size):
        part = slice(start, start + size)
        if packed is None or packed.bits is None:
            yield (x[:, part] if constant else x[:, part].contiguous()), y[part]
        else:
            yield Spikes.packed(packed.bits[:, part].contiguous(), tuple(x[:, part].shape)), y[part]


def prepare(work: Workload, mode: str) -> OurStepper:
    """Mode ``product``; ``recompute``: backward computes potentials again; ``packing``: the packing alone."""
    return PackingStepper(work) if mode == "packing" else OurStepper(work, mode == "recompute")
