"""Gradients of quantised layers against the same equations written out for autograd, in float64."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from leanspike.compress import WeightBits
from leanspike.compress.membrane import slope
from leanspike.compress.neurons import QuantisedIntegrator, QuantisedLIF
from leanspike.compress.synapses import LEAK_BITS, STATE, IntegerCurrent, QuantisedLinear, quantised_synapse
from leanspike.compress.weights import LEVELS
from leanspike.ir import Codec, intmath
from leanspike.nn import LIF, LeakyIntegrator, Linear, NeuronConfig, surrogate
from leanspike.nn.constant import Constant

STEPS, BATCH, INPUTS, OUTPUTS = 6, 5, 9, 4
K = 1 << LEAK_BITS


def through(value: Tensor, x: Tensor, by: Tensor | float = 1.0) -> Tensor:
    """``value``, whose gradient by ``x`` is ``by``."""
    return (value - x * by).detach() + x * (by.detach() if isinstance(by, Tensor) else by)


def made(bits: Any, config: NeuronConfig, codec: Codec | None, gradient: str) -> tuple[QuantisedLinear, QuantisedLIF]:
    torch.manual_seed(3)
    synapse = quantised_synapse(Linear(INPUTS, OUTPUTS).double(), WeightBits(bits))
    synapse = synapse.double()
    synapse.bias.data.uniform_(-0.3, 0.3)
    neurons = LIF(config, OUTPUTS).double()
    neurons.threshold.data.uniform_(0.2, 0.7)
    neurons.beta.data.uniform_(0.6, 0.95)
    assert isinstance(synapse, QuantisedLinear)
    return synapse, QuantisedLIF(neurons, codec, gradient).double().train()


def written_out(
    x: Tensor, synapse: QuantisedLinear, neurons: QuantisedLIF, weight: Tensor, scale: Tensor, bias: Tensor,
    threshold: Tensor, beta: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    config, levels = neurons.config, synapse.levels
    z = weight / scale
    q = through(z.round().clamp(levels.lowest, levels.highest), z.clamp(levels.lowest, levels.highest))
    unit = scale * synapse.unit_in
    m, b, theta = (through(y.round(), y) for y in (beta * K, bias / unit, threshold / unit))
    v, hold = torch.zeros(BATCH, OUTPUTS, dtype=torch.float64), torch.zeros(BATCH, OUTPUTS, dtype=torch.int64)
    a, base, adapting = torch.zeros_like(v), theta, neurons.adapting
    if adapting is not None:
        rise = config.adapt_strength * 2.0**adapting.fraction / unit
        jump = through(rise.round(), rise)
    spikes, potentials = [], []
    for t in range(STEPS):
        leaked = v * m / K
        u = through(leaked.floor(), leaked) + x[t] @ q + b
        u = torch.where(hold > 0, v, u)
        if adapting is not None:
            raised = a / 2.0**adapting.fraction
            theta = base + through(raised.floor(), raised)
        above = (u - theta) * unit
        s = through((u >= theta).double(), above, surrogate.derivative(config.surrogate, above, config.surrogate_scale))
        s = s * (hold == 0)
        if adapting is not None:
            decayed = a * adapting.decay / K
            a = through(decayed.floor(), decayed) + s * jump
        gone = s.detach() if config.detach_reset else s
        after = u - gone * theta if config.reset == "subtract" else u * (1 - gone)
        if neurons.codec is not None:
            kept = intmath.stored(after.detach().long(), neurons.codec).double()
            after = through(kept, after, slope(after.detach(), neurons.codec, neurons.gradient))
        v = torch.where(hold > 0, v, after)
        hold = torch.where(s > 0, config.refractory, (hold - 1).clamp(min=0))
        spikes.append(s)
        potentials.append(u * unit)
    return torch.stack(spikes), torch.stack(potentials)


CASES = [
    *itertools.product(["subtract", "zero"], [0, 2], [True, False], [None, Codec(-1, 1, 3), Codec(-8, 7, 1)], [4]),
    ("subtract", 0, True, Codec(-2, 1, 2), 2),
    ("subtract", 0, True, None, "ternary"),
]


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize(("reset", "refractory", "detach", "codec", "bits"), CASES)
def test_gradients_are_those_of_the_equations(
    reset: Any, refractory: int, detach: bool, codec: Codec | None, bits: Any, constant: bool
) -> None:
    equations_hold(neuron(reset, refractory, detach), codec, bits, constant)


@pytest.mark.parametrize("fraction", [3, 0, -1])
@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(("refractory", "detach"), [(0, True), (0, False), (2, True)])
def test_gradients_of_thresholds_that_adapt(refractory: int, detach: bool, reset: Any, fraction: int) -> None:
    config = replace(neuron(reset, refractory, detach), adapt_strength=0.4, adapt_decay=0.75)
    equations_hold(config, Codec(-8, 7, 1) if fraction else None, 4, False, fraction)


def neuron(reset: Any, refractory: int, detach: bool) -> NeuronConfig:
    return NeuronConfig(
        reset=reset, refractory=refractory, detach_reset=detach, learn_beta=True, learn_threshold=True, per_channel=True
    )


def equations_hold(config: NeuronConfig, codec: Codec | None, bits: Any, constant: bool, fraction: int = 0) -> None:
    synapse, neurons = made(bits, config, codec, "stacked" if bits == 4 else "straight")
    if config.adapts:
        neurons.fraction.fill_(fraction)
    x = torch.randint(-2, 3, (BATCH, INPUTS)).double().expand(STEPS, BATCH, INPUTS)
    x = x if constant else torch.randint(-2, 3, (STEPS, BATCH, INPUTS)).double()
    ds, du = torch.randn(2, STEPS, BATCH, OUTPUTS, dtype=torch.float64)
    spikes, potential, _ = neurons(synapse(Constant(x[0], STEPS) if constant else x), pack=False)
    ((spikes.dense() * ds).sum() + (potential * du).sum()).backward()
    assert synapse.log_scale is not None
    weights = [tensor.detach().clone().requires_grad_() for tensor in (
        synapse.weight, synapse.log_scale, synapse.bias, neurons.threshold, neurons.beta
    )]  # fmt: skip
    weight, log_scale, bias, threshold, beta = weights
    expected = written_out(x, synapse, neurons, weight, log_scale.exp(), bias, threshold, beta)
    assert torch.equal(spikes.dense(), expected[0])
    assert torch.equal(potential.detach(), expected[1].detach())
    assert 0.05 < float(expected[0].detach().mean()) < 0.9
    ((expected[0] * ds).sum() + (expected[1] * du).sum()).backward()
    factor = 1 / math.sqrt(INPUTS * LEVELS[synapse.bits].highest)
    grads = (synapse.weight.grad, synapse.log_scale.grad / factor, synapse.bias.grad, neurons.threshold.grad)
    for name, found, leaf in zip(("weight", "scale", "bias", "threshold"), grads, weights, strict=False):
        assert float(leaf.grad.abs().max()) > 0
        torch.testing.assert_close(found, leaf.grad, rtol=1e-9, atol=1e-9, msg=name)
    torch.testing.assert_close(neurons.beta.grad, beta.grad, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("bits", [8, 4, 2, "ternary"])
def test_the_scale_learns_by_lsqs_gradient(bits: Any) -> None:
    """Without rounded leaks, biases and thresholds the whole gradient is sum of dL/dw^ ((q - z) inside, q outside)."""
    synapse, _ = made(bits, NeuronConfig(), None, "straight")
    synapse.bias.data.zero_()
    synapse.weight.data[0] *= 4
    neurons = QuantisedIntegrator(LeakyIntegrator(NeuronConfig(beta=1.0), OUTPUTS)).double().train()
    x, arriving = torch.randn(2, STEPS, BATCH, max(INPUTS, OUTPUTS), dtype=torch.float64)
    x = (3 * x[..., :INPUTS]).round()
    _, potential, _ = neurons(synapse(x))
    (potential * arriving[..., :OUTPUTS]).sum().backward()
    assert synapse.log_scale is not None
    scale, levels = synapse.log_scale.detach().exp(), synapse.levels
    z = synapse.weight.detach() / scale
    q = z.round().clamp(levels.lowest, levels.highest)
    assert bool((z > levels.highest + 0.5).any() or (z < levels.lowest - 0.5).any())
    w_hat = (q * scale).requires_grad_()
    ((x @ w_hat).cumsum(0) * arriving[..., :OUTPUTS]).sum().backward()
    inside = (z >= levels.lowest) & (z <= levels.highest)
    by_scale = (w_hat.grad * torch.where(inside, q - z, q)).sum(0)
    published = by_scale / math.sqrt(INPUTS * levels.highest)
    torch.testing.assert_close(synapse.log_scale.grad, scale * published, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(synapse.weight.grad, w_hat.grad * inside, rtol=1e-9, atol=1e-12)


def test_the_second_path_to_a_threshold_is_that_of_float_neurons() -> None:
    config = NeuronConfig(learn_threshold=True, per_channel=True, threshold_path="sigmoid")
    current, ds = torch.randn(2, STEPS, BATCH, OUTPUTS, dtype=torch.float64)
    current, unit = (current * 40).round(), torch.full((OUTPUTS,), 1 / 32, dtype=torch.float64)
    found = []
    for path in ("plain", "sigmoid"):
        own = replace(config, threshold_path=path)
        real, whole = LIF(own, OUTPUTS).double(), QuantisedLIF(LIF(own, OUTPUTS).double(), None, "straight").double()
        for neurons in (real, whole):
            neurons.beta.data.fill_(1.0)
        (real(current * unit, pack=False)[0].dense() * ds).sum().backward()
        integers = IntegerCurrent(current, unit, torch.zeros(OUTPUTS, dtype=torch.float64))
        (whole(integers, pack=False)[0].dense() * ds).sum().backward()
        torch.testing.assert_close(whole.threshold.grad, real.threshold.grad, rtol=1e-9, atol=1e-12)
        found.append(whole.threshold.grad)
    assert not torch.allclose(*found)


def test_saturation_passes_the_gradient_and_potentials_hold() -> None:
    neurons = QuantisedIntegrator(LeakyIntegrator(NeuronConfig(beta=1.0), 1)).double()
    current = torch.full((3, 1, 1), 1.5 * STATE.highest, dtype=torch.float64, requires_grad=True)
    unit = torch.tensor([0.5], dtype=torch.float64)
    _, potential, _ = neurons(IntegerCurrent(current, unit, torch.zeros(1, dtype=torch.float64)))
    assert potential.flatten().tolist() == [STATE.highest / 2] * 3
    potential.sum().backward()
    assert current.grad is not None
    assert current.grad.flatten().tolist() == [1.5, 1.0, 0.5]


def test_the_stacked_slope_is_the_sum_of_sigmoids_at_the_boundaries() -> None:
    v = torch.linspace(-40, 40, 81, dtype=torch.float64, requires_grad=True)
    codec = Codec(-1, 1, 4)
    stairs = sum(torch.sigmoid(2.0 * (v / 16 - b)) for b in (-0.5, 0.5)) * 16
    (expected,) = torch.autograd.grad(stairs.sum(), v)
    torch.testing.assert_close(slope(v.detach(), codec, "stacked"), expected)
    straight = slope(v.detach(), codec, "straight")
    assert straight.tolist() == [float(abs(x) <= 24) for x in v.tolist()]
    assert torch.equal(slope(v.detach(), Codec(-8, 7, 0), "stacked"), slope(v.detach(), Codec(-8, 7, 0), "straight"))
