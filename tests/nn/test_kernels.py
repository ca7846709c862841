"""The C kernels against their definition: the torch reference."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from leanspike.core import rng
from leanspike.nn import (
    LIF,
    BatchNorm,
    Flatten,
    LeakyIntegrator,
    Linear,
    Network,
    NeuronConfig,
    Output,
    Spikes,
    lif,
    lif_scan,
)
from leanspike.nn.chain import DENSE_ABOVE, SpikingLayer, spiking_layers
from leanspike.nn.gather import dense_product, linear_spikes
from leanspike.nn.kernels import library, packing
from leanspike.nn.kernels.product import matmul
from leanspike.nn.spikes import pack
from leanspike.nn.surrogate import NAMES

needs_kernels = pytest.mark.skipif(library.load() is None, reason="the C kernels were not built (no C compiler)")
pytestmark = needs_kernels

NEURONS = [
    NeuronConfig(reset=reset, detach_reset=detach, surrogate=name, surrogate_scale=scale)
    for (reset, detach), (name, scale) in itertools.product(
        itertools.product(("subtract", "zero"), (True, False)), zip(NAMES, (2.0, 4.0, 5.0, 1.0, 0.5, 1.0), strict=True)
    )
]


def exact(generator: torch.Generator, *shape: int) -> Tensor:
    """Weights whose sums are exact in float32 in any order: multiples of 1/64 below 1/2."""
    return torch.randint(-24, 25, shape, generator=generator).float() / 64


def gradients(loss: Tensor, *tensors: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, tensors, retain_graph=True))


@pytest.mark.parametrize("config", NEURONS, ids=lambda c: f"{c.reset}-{c.detach_reset}-{c.surrogate}")
@pytest.mark.parametrize("shape", [(3, 10), (2, 300), (2, 3, 5, 7)], ids=str)
@pytest.mark.parametrize("constant", [False, True])
def test_scan_equals_reference(config: NeuronConfig, shape: tuple[int, ...], constant: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    source = torch.randn(shape if constant else (6, *shape), generator=generator).requires_grad_()
    current = source.expand(6, *shape)
    beta = torch.rand(shape[1:], generator=generator).requires_grad_()
    threshold = (0.3 + torch.rand(shape[1:], generator=generator)).requires_grad_()
    ds, du, dv = (torch.randn((6, *shape), generator=generator) for _ in range(3))

    expected, potential, end = lif(current, beta, threshold, config)
    spikes, u, state = lif_scan(current, beta, threshold, config)
    assert spikes.bits is not None, "the kernel path was not taken"
    assert torch.equal(spikes.dense(), expected)
    assert torch.equal(u, potential)
    assert torch.equal(state.potential, end.potential)

    leaves = (source, beta, threshold)
    wanted = gradients((expected * ds).sum() + (potential * du).sum() + (end.potential * dv[0]).sum(), *leaves)
    got = gradients((spikes.dense() * ds).sum() + (u * du).sum() + (state.potential * dv[0]).sum(), *leaves)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def layer(generator: torch.Generator, inputs: int, outputs: int, density: float, steps: int = 7, batch: int = 9):
    x = (torch.rand(steps, batch, inputs, generator=generator) < density).float()
    weight = (exact(generator, inputs, outputs)).requires_grad_()
    bias = exact(generator, outputs).requires_grad_()
    # multiples of 1/64 with beta a power of two stay exact over a few steps
    beta = torch.full((outputs,), 0.5, requires_grad=True)
    threshold = torch.full((outputs,), 0.75, requires_grad=True)
    return x, weight, bias, beta, threshold


@pytest.mark.parametrize("config", NEURONS[::3], ids=lambda c: f"{c.reset}-{c.detach_reset}-{c.surrogate}")
@pytest.mark.parametrize(("inputs", "outputs"), [(70, 10), (33, 48), (900, 37), (1, 1), (416, 16)])
@pytest.mark.parametrize("recompute", [False, True])
def test_gather_and_scan_equal_reference(config: NeuronConfig, inputs: int, outputs: int, recompute: bool) -> None:
    generator = torch.Generator().manual_seed(inputs)
    x, weight, bias, beta, threshold = layer(generator, inputs, outputs, 0.2)
    edge = x.clone().requires_grad_()
    packed = pack(x)
    assert packed is not None
    packed = Spikes.packed(packed.bits, packed.shape, edge)
    expected, potential, _ = lif(edge @ weight + bias, beta, threshold, config)
    layers = [SpikingLayer(weight, bias, beta, threshold, config)]
    shown = spiking_layers(packed, layers, output=True, recompute=recompute)[0]
    spikes, u = shown.spikes, shown.potential
    hidden = spiking_layers(packed, layers, output=False, recompute=recompute)[0].spikes
    assert spikes is not None
    assert hidden is not None
    assert torch.equal(spikes.dense(), expected)
    assert u is not None
    assert torch.equal(u, potential)
    assert torch.equal(hidden.dense(), expected)

    leaves = (edge, weight, bias, beta, threshold)
    ds, du = (torch.randn(expected.shape, generator=generator) for _ in range(2))
    wanted = gradients((expected * ds).sum() + (potential * du).sum(), *leaves)
    for a, b in zip(gradients((spikes.dense() * ds).sum() + (u * du).sum(), *leaves), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)
    wanted = gradients((expected * ds).sum(), *leaves)
    for a, b in zip(gradients((hidden.dense() * ds).sum(), *leaves), wanted, strict=False):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("fires", [True, False])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("sizes", [(60, 10), (50, 130, 3), (33, 1)], ids=str)
def test_layers_in_a_row_equal_reference(sizes: tuple[int, ...], recompute: bool, fires: bool) -> None:
    """Hidden gradients come through the layer behind, from the hidden spikes' own use, and from both."""
    generator = torch.Generator().manual_seed(sum(sizes))
    x = (torch.rand(6, 11, 70, generator=generator) < 0.2).float()
    edge, layers = x.clone().requires_grad_(), []
    for before, after in itertools.pairwise((70, *sizes)):
        weight = (exact(generator, before, after) / 2).requires_grad_()
        bias = (exact(generator, after).abs() / 4 + 0.25).requires_grad_()
        beta, threshold = torch.full((after,), 0.5, requires_grad=True), torch.full((after,), 0.75, requires_grad=True)
        layers.append(SpikingLayer(weight, bias, beta, threshold, NeuronConfig()))
    if not fires:
        layers[-1] = replace(layers[-1], threshold=torch.full((sizes[-1],), 1e30), fires=False)
    packed = pack(x)
    assert packed is not None
    found = spiking_layers(Spikes.packed(packed.bits, packed.shape, edge), layers, output=True, recompute=recompute)

    activity, wanted, got = edge, torch.zeros(()), torch.zeros(())
    for layer, one in zip(layers, found, strict=True):
        activity, potential, _ = lif(activity @ layer.weight + layer.bias, layer.beta, layer.threshold, layer.config)
        if one.spikes is not None:
            assert torch.equal(one.spikes.dense(), activity)
            assert 0 < float(activity.detach().mean()) < DENSE_ABOVE
            own = torch.randn(activity.shape, generator=generator)
            wanted, got = wanted + (activity * own).sum(), got + (one.spikes.dense() * own).sum()
    assert found[-1].potential is not None
    assert torch.equal(found[-1].potential, potential)
    own = torch.randn(potential.shape, generator=generator)
    leaves = [edge, *(t for layer in layers for t in (layer.weight, layer.bias, layer.beta, layer.threshold))]
    leaves = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
    for through_hidden in (True, False):
        expected = gradients((potential * own).sum() + wanted * through_hidden, *leaves)
        actual = gradients((found[-1].potential * own).sum() + got * through_hidden, *leaves)
        for a, b in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("fires", [True, False])
def test_a_loss_in_pieces_is_the_loss_of_the_whole(fires: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batch 23 in pieces of 6, weights shared by two uses of the loss, beta and threshold learned."""
    config = NeuronConfig(learn_beta=True, learn_threshold=True, per_channel=True)
    torch.manual_seed(13)
    last = LIF(config, 5) if fires else LeakyIntegrator(config, 5)
    network = Network([Flatten(), Linear(48, 37), LIF(config, 37), Linear(37, 5), last], "membrane_mean")
    x = (torch.rand(7, 23, 48) < 0.2).float()
    aim, seen = torch.randn(23, 5), []

    def loss_of(output: Output, samples: slice) -> Tensor:
        seen.append(samples.start)
        loss = (output.potential.mean(0) - aim[samples]).square().sum()
        return loss if output.spikes is None else loss + (output.spikes.sum(0) * aim[samples]).sum()

    assert network.cuts_batches
    monkeypatch.setattr("leanspike.nn.network.piece_size", lambda *_: 6)
    whole = loss_of(network(x), slice(0, 23))
    cut = network.loss(x, loss_of)
    assert seen == [0, 0, 6, 12, 18]
    torch.testing.assert_close(cut, whole)
    for factor in (1.0, 3.0):
        expected = gradients(whole * factor, *network.parameters())
        actual = gradients(network.loss(x, loss_of) * factor, *network.parameters())
        for a, b in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(network.loss(x, loss_of), whole)


def test_what_cannot_be_cut_is_one_piece() -> None:
    network = Network([Linear(20, 9), BatchNorm(9), LIF(NeuronConfig(), 9), Linear(9, 4), LIF(NeuronConfig(), 4)])
    seen = []

    def loss_of(output: Output, samples: slice) -> Tensor:
        seen.append(samples)
        return output.potential.sum()

    assert not network.cuts_batches
    network.loss((torch.rand(500, 40, 20) < 0.1).float(), loss_of).backward()
    plain = Network([Linear(20, 9), LIF(NeuronConfig(), 9)])
    plain.loss(torch.randn(500, 40, 20), loss_of).backward()
    assert seen == [slice(0, 40)] * 2


def test_a_hidden_layer_that_is_too_active_goes_on_densely() -> None:
    generator = torch.Generator().manual_seed(12)
    network = Network([Linear(40, 30), LIF(NeuronConfig(), 30), Linear(30, 5), LIF(NeuronConfig(), 5)])
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(exact(generator, *parameter.shape))
        network.layers[0].bias.fill_(1.0)
    x = (torch.rand(5, 8, 40, generator=generator) < 0.2).float()
    output = network(x)
    assert output.hidden[0].density > DENSE_ABOVE
    first, last = network.layers[0], network.layers[2]
    beta, threshold = torch.tensor(0.9), torch.tensor(1.0)
    hidden = lif(x @ first.weight + first.bias, beta.expand(30), threshold.expand(30), NeuronConfig())[0]
    expected = lif(hidden @ last.weight + last.bias, beta.expand(5), threshold.expand(5), NeuronConfig())[1]
    torch.testing.assert_close(output.potential, expected)
    pairs = zip(*(gradients(one.sum(), *network.parameters()) for one in (output.potential, expected)), strict=True)
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_chunks_of_samples_add_up() -> None:
    """T = 900 leaves four samples a chunk: weight gradients are added over chunks."""
    generator = torch.Generator().manual_seed(3)
    x, weight, bias, beta, threshold = layer(generator, 40, 20, 0.1, steps=900, batch=11)
    config = NeuronConfig()
    expected, _, _ = lif(x @ weight + bias, beta, threshold, config)
    packed = pack(x)
    assert packed is not None
    spikes = spiking_layers(packed, [SpikingLayer(weight, bias, beta, threshold, config)], output=False)[0].spikes
    assert spikes is not None
    assert torch.equal(spikes.dense(), expected)
    for a, b in zip(
        gradients(spikes.dense().sum(), weight, bias), gradients(expected.sum(), weight, bias), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("density", [0.1, 0.7])
def test_currents_alone(density: float) -> None:
    generator = torch.Generator().manual_seed(4)
    x, weight, bias, _, _ = layer(generator, 65, 21, density)
    packed = pack(x)
    assert packed is not None
    assert torch.equal(linear_spikes(packed, weight, bias), x @ weight + bias)
    d = torch.randn(7, 9, 21, generator=generator)
    for a, b in zip(
        gradients((linear_spikes(packed, weight, bias) * d).sum(), weight, bias),
        gradients(((x @ weight + bias) * d).sum(), weight, bias),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


SIZES = [(1, 1, 1), (5, 7, 3), (15, 33, 400), (200, 64, 700), (30, 2100, 20), (430, 900, 450)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_product(size: tuple[int, int, int]) -> None:
    m, n, k = size
    generator = torch.Generator().manual_seed(5)
    a, b, bias = exact(generator, m, k), exact(generator, k, n), exact(generator, n)
    assert torch.equal(matmul(a, b, bias), a @ b + bias)
    assert torch.equal(matmul(b.t(), a.t()), (a @ b).t())
    x, w = a.requires_grad_(), b.requires_grad_()
    for got, wanted in zip(
        gradients(dense_product(x, w, bias).sum(), x, w), gradients((x @ w + bias).sum(), x, w), strict=True
    ):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("shape", [(2, 3, 31), (2, 3, 64), (3, 2, 5, 4, 6)], ids=str)
def test_packing_is_undone_by_unpacking(shape: tuple[int, ...]) -> None:
    x = (torch.rand(shape, generator=torch.Generator().manual_seed(6)) < 0.3).float()
    packed = pack(x)
    assert packed is not None
    assert torch.equal(packed.dense(), x)
    assert packed.count() == float(x.sum())
    torch.testing.assert_close(packed.rate(), x.mean())
    torch.testing.assert_close(packed.rates(), x.mean((0, 1)))


@pytest.mark.parametrize("odd", [0.5, 2.0, -1.0, float("nan"), float("inf")])
def test_what_is_not_binary_is_not_packed(odd: float) -> None:
    x = torch.zeros(2, 3, 40)
    x[1, 2, 39] = odd
    assert pack(x) is None


def test_rate_coding_equals_the_definition() -> None:
    generator = torch.Generator().manual_seed(7)
    thresholds = torch.randint(0, 65536, (5, 77), generator=generator, dtype=torch.int32)
    numbers = torch.tensor([0, 1, 7, 123456789, 59999])
    bits, ones = packing.rate(thresholds, numbers, 6, seed=42)
    draws = rng.draws16(rng.key(42, numbers.numpy(), np.arange(6)), 77)
    expected = torch.from_numpy((draws < thresholds.numpy()[None]).astype(np.float32))
    assert torch.equal(Spikes.packed(bits, (6, 5, 77)).dense(), expected)
    assert ones == int(expected.sum())


def test_number_of_threads_changes_no_bit() -> None:
    generator = torch.Generator().manual_seed(8)
    network = Network([Linear(200, 70), LIF(NeuronConfig(), 70), Linear(70, 10), LIF(NeuronConfig(), 10)])
    x = (torch.rand(12, 20, 200, generator=generator) < 0.2).float()
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            output = network(x)
            assert output.spikes is not None
            results.append([output.spikes, *gradients(output.spikes.sum(), *network.parameters())])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


LEVEL_SCRIPT = """
import hashlib, torch
from leanspike.nn import LIF, Linear, Network, NeuronConfig
from leanspike.nn.kernels import library
g = torch.Generator().manual_seed(9)
torch.manual_seed(9)
network = Network([Linear(300, 70), LIF(NeuronConfig(), 70), Linear(70, 10), LIF(NeuronConfig(), 10)])
with torch.no_grad():
    for p in network.parameters():
        p.copy_((p * 512).round() / 256)
x = (torch.rand(9, 13, 300, generator=g) < 0.2).float()
out = network(x)
print(library.describe(), hashlib.sha256(out.spikes.detach().numpy().tobytes()).hexdigest(), out.spikes.sum().item())
"""


def test_every_instruction_set_gives_the_same_spikes() -> None:
    best = library.LEVELS.index(library.describe().split(", ")[1])
    found = {}
    for level in ("off", *library.LEVELS[: best + 1]):
        run = subprocess.run(
            [sys.executable, "-c", LEVEL_SCRIPT],
            env={**os.environ, "LEANSPIKE_KERNELS": level},
            capture_output=True,
            text=True,
            check=True,
        )
        name, digest, count = run.stdout.rsplit(" ", 2)
        assert ("pure torch" in name) if level == "off" else name.endswith(level)
        assert float(count) > 0
        found[level] = digest
    assert len(set(found.values())) == 1, found
