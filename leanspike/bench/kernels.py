"""Our C kernels against the torch operations that they replace, in turns; the sizes of 784-400-10, B=128, T=25."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from leanspike.encode.rate import rate_reference
from leanspike.nn import NeuronConfig
from leanspike.nn.chain import SpikingLayer, spiking_layers
from leanspike.nn.convolution import conv_spikes
from leanspike.nn.functional import LIFState, lif
from leanspike.nn.kernels import cpu, packing, reference
from leanspike.nn.kernels.product import matmul
from leanspike.nn.spikes import Spikes, pack

DENSITY = 0.09
REPEATS = 3


@dataclass(frozen=True)
class Pair:
    """A kernel and the torch operations with the same result: both give a tensor to compare."""

    kernel: str
    ours: Callable[[], Tensor]
    torch: Callable[[], Tensor]


def measure(rounds: int, quick: bool) -> list[dict[str, Any]]:
    """One row a kernel: medians in ms, their ratio, the largest difference of the results over their largest value."""
    torch.manual_seed(0)
    steps, batch = (3, 4) if quick else (25, 128)
    rows = []
    for pair in (*_dense(steps, batch), *_scan(steps, batch), *_gather(steps, batch), *_convolution(steps, batch)):
        expected = pair.torch()
        difference = float((pair.ours() - expected).abs().max() / expected.abs().max().clamp(min=1e-12))
        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(rounds):
            for call, kept in zip((pair.ours, pair.torch), times, strict=True):
                call()
                kept += [_milliseconds(call) for _ in range(REPEATS)]
        ours, theirs = (statistics.median(kept) for kept in times)
        row = {"kernel": pair.kernel, "ours": ours, "torch": theirs, "ratio": theirs / ours, "difference": difference}
        rows.append(row)
    return rows


def _milliseconds(call: Callable[[], Tensor]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def _spikes(*shape: int) -> Tensor:
    return (torch.rand(shape) < DENSITY).float()


def _dense(steps: int, batch: int) -> list[Pair]:
    x, weight, bias = torch.randn(steps * batch, 784), torch.randn(784, 400), torch.randn(400)
    product = Pair("dense product 784 -> 400", lambda: matmul(x, weight, bias), lambda: F.linear(x, weight.t(), bias))
    levels = torch.randint(0, 65536, (batch, 784), dtype=torch.int32)
    numbers = torch.arange(batch)

    def coded() -> Tensor:
        return packing.rate(levels, numbers, steps, 7)[0]

    def unpacked(bits: Tensor) -> Tensor:
        return Spikes.packed(bits, (steps, batch, 784)).dense()

    same = bool((unpacked(coded()) == rate_reference(levels, numbers, steps, 7)).all())
    exact = torch.full((1,), 1.0 if same else 0.0)

    def definition() -> Tensor:
        rate_reference(levels, numbers, steps, 7)
        return torch.ones(1)

    def kernel() -> Tensor:
        coded()
        return exact

    return [product, Pair("rate coding 784 (torch: the definition, same bits)", kernel, definition)]


def _scan(steps: int, batch: int) -> list[Pair]:
    config = NeuronConfig()
    current = torch.randn(steps, batch, 400) * 0.5
    beta, threshold = torch.full((400,), config.beta), torch.full((400,), config.threshold)
    state = LIFState.zeros(current[0], config)
    scanned = reference.forward(current, steps, beta, threshold, state, config, False)
    grad = torch.randn_like(current)

    def forward(kernel: Any) -> Tensor:
        potential: Tensor = kernel.forward(current, steps, beta, threshold, state, config, False).potential
        return potential

    def backward(kernel: Any) -> Tensor:
        given = (scanned, state.potential, beta, threshold, config, False, grad, None, None, False)
        current_grad: Tensor = kernel.backward(*given).current
        return current_grad

    return [
        Pair("LIF scan 400, forward", lambda: forward(cpu), lambda: forward(reference)),
        Pair("LIF scan 400, backward", lambda: backward(cpu), lambda: backward(reference)),
    ]


def _gather(steps: int, batch: int) -> list[Pair]:
    config = NeuronConfig()
    x = _spikes(steps, batch, 784)
    packed = pack(x)
    assert packed is not None
    weight, bias = (torch.randn(784, 400) * 0.05).requires_grad_(), torch.zeros(400)
    beta, threshold = torch.full((400,), config.beta), torch.full((400,), config.threshold)
    state, grad = LIFState.zeros(x.new_zeros(batch, 400), config), torch.randn(steps, batch, 400)
    layer = SpikingLayer(weight, bias, beta, threshold, config)

    def ours() -> Tensor:
        spikes = spiking_layers(packed, [layer], output=True)[0].spikes
        assert spikes is not None
        return spikes.dense()

    def torchs() -> Tensor:
        return lif(F.linear(x, weight.t(), bias), beta, threshold, config, state)[0]

    def gradient(forward: Callable[[], Tensor]) -> Tensor:
        return torch.autograd.grad(forward(), weight, grad)[0]

    name = f"gather + LIF 784 -> 400, {DENSITY:.0%} ones"
    return [
        Pair(f"{name}, forward", lambda: ours().detach(), lambda: torchs().detach()),
        Pair(f"{name}, forward and weight gradient", lambda: gradient(ours), lambda: gradient(torchs)),
    ]


def _convolution(steps: int, batch: int) -> list[Pair]:
    steps, batch = max(1, steps * 2 // 5), max(1, batch // 4)
    x = _spikes(steps, batch, 32, 14, 14)
    packed = pack(x)
    assert packed is not None
    weight, bias = torch.randn(3, 3, 32, 64, requires_grad=True), torch.zeros(64)
    grad = torch.randn(steps, batch, 64, 14, 14)

    def ours() -> Tensor:
        return conv_spikes(packed, weight, bias, 1)

    def torchs() -> Tensor:
        return F.conv2d(x.flatten(0, 1), weight.permute(3, 2, 0, 1), bias, padding=1).view_as(grad)

    def gradient(forward: Callable[[], Tensor]) -> Tensor:
        return torch.autograd.grad(forward(), weight, grad)[0]

    name = f"convolution 32 -> 64 at 14x14, {DENSITY:.0%} ones"
    return [
        Pair(f"{name}, forward", lambda: ours().detach(), lambda: torchs().detach()),
        Pair(f"{name}, forward and weight gradient", lambda: gradient(ours), lambda: gradient(torchs)),
    ]
