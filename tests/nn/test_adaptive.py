"""Adapting thresholds: the hand-written backward against autograd and finite differences, the C kernel against both."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from leanspike.core.errors import ConfigError
from leanspike.nn import LIF, LeakyIntegrator, LIFState, Linear, Network, NeuronConfig, lif, lif_scan
from leanspike.nn.constant import Constant
from leanspike.nn.kernels import library
from leanspike.nn.recurrent import RecurrentLIF
from leanspike.nn.surrogate import NAMES

needs_kernels = pytest.mark.skipif(library.load() is None, reason="the C kernels were not built (no C compiler)")
SCALES = dict(zip(NAMES, (2.0, 4.0, 5.0, 1.0, 0.5, 1.0), strict=True))
STEPS, SAMPLE = 8, (3, 2, 5)


def neuron(reset: Any, detach: bool, refractory: int = 0, name: Any = "atan", **more: Any) -> NeuronConfig:
    kind = {"surrogate": name, "surrogate_scale": SCALES[name], "adapt_strength": 0.6, "adapt_decay": 0.7}
    return NeuronConfig(reset=reset, detach_reset=detach, refractory=refractory, **(kind | more))


NEURONS = [
    neuron(*kind, name=name)
    for kind, name in itertools.product(itertools.product(("subtract", "zero"), (True, False), (0, 2)), NAMES)
]


def name_of(config: NeuronConfig) -> str:
    detached = "detached" if config.detach_reset else "through"
    return f"{config.reset}-{detached}-{config.refractory}-{config.surrogate}"


def leaves(shape: tuple[int, ...], sample: tuple[int, ...], dtype: torch.dtype, seed: int = 0) -> tuple[Tensor, ...]:
    """Current, beta, threshold, potential and adaptation before the first step, all of which take a gradient."""
    generator = torch.Generator().manual_seed(seed)
    current = torch.randn(shape, generator=generator, dtype=dtype) + 0.7
    beta, threshold = torch.rand((2, *sample[1:]), generator=generator, dtype=dtype)
    start = torch.randn(sample, generator=generator, dtype=dtype)
    adaptation = torch.rand(sample, generator=generator, dtype=dtype)
    return tuple(t.requires_grad_() for t in (current, beta, threshold + 0.3, start, adaptation))


def state_of(config: NeuronConfig, start: Tensor, adaptation: Tensor) -> LIFState:
    hold = torch.arange(start.numel()).view(start.shape).to(torch.int32) % (config.refractory + 1)
    return LIFState(start, hold if config.refractory else None, adaptation)


def outputs(found: tuple[Any, Tensor, LIFState]) -> tuple[Tensor, ...]:
    spikes, u, end = found
    assert end.adaptation is not None
    return spikes if isinstance(spikes, Tensor) else spikes.dense(), u, end.potential, end.adaptation


def gradients(found: tuple[Tensor, ...], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(8)
    weights = [torch.randn(one.shape, generator=generator, dtype=one.dtype) for one in found]
    return torch.autograd.grad(found, inputs, weights)


def scans(config: NeuronConfig, inputs: tuple[Tensor, ...], pack: bool = True) -> tuple[tuple[Tensor, ...], ...]:
    """What the definition and the scan give for the same input."""
    source, beta, threshold, start, adaptation = inputs
    state, constant = state_of(config, start, adaptation), source.dim() == start.dim()
    expected = lif(source.expand(STEPS, *start.shape), beta, threshold, config, state)
    current = Constant(source, STEPS) if constant else source
    return outputs(expected), outputs(lif_scan(current, beta, threshold, config, state, pack))


@pytest.mark.parametrize("config", NEURONS, ids=name_of)
@pytest.mark.parametrize("constant", [False, True], ids=["sequence", "constant"])
def test_scan_equals_autograd(config: NeuronConfig, constant: bool) -> None:
    inputs = leaves(SAMPLE if constant else (STEPS, *SAMPLE), SAMPLE, torch.float64)
    expected, found = scans(config, inputs)
    assert 0.02 < float(expected[0].detach().mean()) < 0.8
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    for a, b in zip(gradients(found, inputs), gradients(expected, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@needs_kernels
@pytest.mark.parametrize("config", [c for c in NEURONS if not c.refractory], ids=name_of)
@pytest.mark.parametrize("sample", [(3, 10), (2, 300), (2, 3, 5, 7)], ids=str)
@pytest.mark.parametrize("constant", [False, True], ids=["sequence", "constant"])
def test_kernel_equals_the_definition(config: NeuronConfig, sample: tuple[int, ...], constant: bool) -> None:
    inputs = leaves(sample if constant else (STEPS, *sample), sample, torch.float32)
    expected, found = scans(config, inputs)
    unpacked = scans(config, inputs, pack=False)[1]
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(unpacked, expected, strict=True))
    wanted = gradients(expected, inputs)
    for other in (found, unpacked):
        for a, b in zip(gradients(other, inputs), wanted, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [c for c in NEURONS if not c.detach_reset and not c.refractory], ids=name_of)
def test_backward_of_the_smooth_neuron_equals_finite_differences(config: NeuronConfig) -> None:
    inputs = leaves((4, *SAMPLE), SAMPLE, torch.float64, seed=5)

    def scan(source: Tensor, beta: Tensor, threshold: Tensor, start: Tensor, a: Tensor) -> tuple[Tensor, ...]:
        return outputs(lif_scan(source, beta, threshold, config, LIFState(start, None, a), smooth=True))

    assert torch.autograd.gradcheck(scan, inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("config", [c for c in NEURONS if c.surrogate == "atan"], ids=name_of)
def test_two_halves_equal_the_whole(config: NeuronConfig, dtype: torch.dtype) -> None:
    inputs = source, beta, threshold, start, adaptation = leaves((STEPS, *SAMPLE), SAMPLE, dtype)
    state = state_of(config, start, adaptation)
    whole = outputs(lif_scan(source, beta, threshold, config, state))
    first, u, middle = lif_scan(source[:3], beta, threshold, config, state)
    second, u_second, last = lif_scan(source[3:], beta, threshold, config, middle)
    assert last.adaptation is not None
    halves = torch.cat((first.dense(), second.dense())), torch.cat((u, u_second)), last.potential, last.adaptation
    assert all(torch.equal(a, b) for a, b in zip(halves, whole, strict=True))
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    for a, b in zip(gradients(halves, inputs), gradients(whole, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_numbers_worked_out_by_hand() -> None:
    """beta 1, current 1: theta 1, 1.5, 1.25 + 0.5, ..., and the reset takes the effective threshold."""
    config = NeuronConfig(beta=1.0, adapt_strength=0.5, adapt_decay=0.5)
    spikes, u, end = lif_scan(Constant(torch.ones(1, 1), 5), torch.ones(1), torch.ones(1), config)
    assert u.flatten().tolist() == [1.0, 1.0, 2.0, 1.75, 1.125]
    assert spikes.dense().flatten().tolist() == [1.0, 0.0, 1.0, 1.0, 0.0]
    assert end.potential.item() == 1.125
    assert end.adaptation is not None
    assert end.adaptation.item() == 0.8125


def test_a_state_without_adaptation_starts_at_zero() -> None:
    config, source = neuron("subtract", True), torch.full((STEPS, 1, 3), 0.8)
    beta, threshold, rest = torch.full((3,), 0.9), torch.ones(3), torch.zeros(1, 3)
    plain, _, _ = lif_scan(source, beta, threshold, config, LIFState(rest))
    assert torch.equal(plain.dense(), lif_scan(source, beta, threshold, config)[0].dense())


def test_adaptation_makes_neurons_tire_and_leaves_integrators_alone() -> None:
    source = Constant(torch.full((1, 4), 0.6), 60)
    tired = LIF(NeuronConfig(adapt_strength=0.5, adapt_decay=0.95), 4)(source)[0].dense()
    fresh = LIF(NeuronConfig(), 4)(source)[0].dense()
    assert float(tired[30:].sum()) < float(fresh[30:].sum()) / 2
    assert float(tired[30:].sum()) < float(tired[:30].sum())
    assert not LeakyIntegrator(NeuronConfig(adapt_strength=0.5), 4).config.adapts


def test_recurrent_neurons_adapt() -> None:
    torch.manual_seed(0)
    layer = RecurrentLIF(neuron("subtract", True), 6)
    source = torch.rand(STEPS, 2, 6) + 0.2
    spikes, _, end = layer(source)
    thresholds, a = [], torch.zeros(2, 6)
    for fired in spikes.dense():
        thresholds.append(1.0 + 0.6 * a)
        a = 0.7 * a + fired
    assert end.adaptation is not None
    torch.testing.assert_close(end.adaptation, a)
    halves = torch.cat([layer(source[:3])[0].dense(), layer(source[3:], layer(source[:3])[2])[0].dense()])
    assert torch.equal(halves, spikes.dense())
    assert torch.equal(layer(source)[1] >= torch.stack(thresholds), spikes.dense() > 0)


@needs_kernels
@pytest.mark.parametrize("readout", ["count", "membrane_mean"])
def test_a_network_of_adaptive_neurons_leaves_the_fused_kernels(readout: Any) -> None:
    torch.manual_seed(1)
    config = neuron("subtract", True, learn_threshold=True, learn_beta=True, per_channel=True)
    last = LIF(config, 4) if readout == "count" else LeakyIntegrator(config, 4)
    network = Network([Linear(20, 40), LIF(config, 40), Linear(40, 4), last], readout)
    x = (torch.rand(STEPS, 5, 20) < 0.3).float()
    with torch.no_grad():
        network.layers[0].weight.mul_(4)
    first, neurons = network.layers[0], network.layers[1]
    output, bounds = network(x), neurons.parameters_for((40,))
    expected = lif(x @ first.weight + first.bias, *bounds, config)[0]
    assert not network.cuts_batches
    assert torch.equal(output.hidden[0].dense(), expected)
    assert 0 < float(expected.detach().mean()) < 0.4
    output.potential.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("key", "value"), [("adapt_strength", -0.1), ("adapt_decay", -0.1), ("adapt_decay", 1.0)], ids=str
)
def test_values_out_of_range_name_their_key(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"neuron.{key}"):
        NeuronConfig(**{key: value})


LEVEL_SCRIPT = """
import hashlib, torch
from leanspike.nn import NeuronConfig, lif_scan
from leanspike.nn.kernels import library
g = torch.Generator().manual_seed(9)
x = (torch.randn(20, 7, 70, generator=g) + 0.4).requires_grad_()
config = NeuronConfig(adapt_strength=0.3, adapt_decay=0.83)
s, u, end = lif_scan(x, torch.full((70,), 0.87), torch.ones(70), config)
parts = (s.dense().detach(), u.detach(), end.adaptation.detach())
print(library.describe(), hashlib.sha256(b"".join(p.numpy().tobytes() for p in parts)).hexdigest())
"""


@needs_kernels
def test_every_instruction_set_gives_the_same_spikes() -> None:
    best = library.LEVELS.index(library.describe().split(", ")[1])
    found = set()
    for level in ("off", *library.LEVELS[: best + 1]):
        settings = {**os.environ, "LEANSPIKE_KERNELS": level}
        command = [sys.executable, "-c", LEVEL_SCRIPT]
        run = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
        found.add(run.stdout.split()[-1])
    assert len(found) == 1
