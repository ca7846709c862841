"""The spiking convolution against torch's convolution, the reference neurons and torch's pool."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from leanspike.nn import LIF, Conv2d, Flatten, Linear, MaxPool2d, Network, NeuronConfig, Spikes, convolution, lif
from leanspike.nn.constant import Constant
from leanspike.nn.convolution import Neurons, conv_lif, conv_spikes, lif_pool
from leanspike.nn.kernels import library
from leanspike.nn.spikes import pack
from leanspike.nn.surrogate import NAMES

pytestmark = pytest.mark.skipif(library.load() is None, reason="the C kernels were not built (no C compiler)")

NEURONS = [
    NeuronConfig(reset=reset, detach_reset=detach, surrogate=name, surrogate_scale=scale)
    for (reset, detach), (name, scale) in itertools.product(
        itertools.product(("subtract", "zero"), (True, False)), zip(NAMES, (2.0, 4.0, 5.0, 1.0, 0.5, 1.0), strict=True)
    )
]
# batch, channels, rows, columns, out, kernel, padding
SHAPES = [
    (2, 1, 8, 8, 32, 3, 1),
    (9, 1, 28, 28, 8, 3, 1),
    (3, 32, 14, 14, 64, 3, 1),
    (1, 33, 7, 9, 17, 3, 1),
    (5, 2, 5, 4, 48, 3, 0),
    (3, 6, 9, 7, 20, 5, 2),
    (2, 70, 4, 4, 10, 3, 1),
    (4, 3, 3, 3, 5, 1, 0),
    (2, 5, 6, 6, 7, 3, 2),
]


def exact(generator: torch.Generator, *shape: int) -> Tensor:
    """Multiples of 1/64 below 1/2: their sums are exact in float32 in any order."""
    return torch.randint(-24, 25, shape, generator=generator).float() / 64


def packed(x: Tensor, edge: Tensor) -> Spikes:
    found = pack(x)
    assert found is not None
    return Spikes.packed(found.bits, found.shape, edge)  # type: ignore[arg-type]


class Case:
    """A layer with exact weights, beta 1/2 (a few steps stay exact) and its torch result."""

    def __init__(self, shape: tuple[int, ...], config: NeuronConfig, density: float = 0.2, steps: int = 4) -> None:
        batch, channels, rows, columns, out, kernel, self.padding = shape
        g = self.generator = torch.Generator().manual_seed(sum(shape))
        self.x = (torch.rand(steps, batch, channels, rows, columns, generator=g) < density).float()
        self.edge = self.x.clone().requires_grad_()
        self.weight = exact(g, kernel, kernel, channels, out).requires_grad_()
        self.bias = exact(g, out).requires_grad_()
        self.beta = torch.full((out,), 0.5, requires_grad=True)
        self.threshold = (torch.randint(32, 80, (out,), generator=g) / 64).requires_grad_()
        self.config = config
        self.leaves = (self.edge, self.weight, self.bias, self.beta, self.threshold)

    def current(self) -> Tensor:
        weight = self.weight.permute(3, 2, 0, 1)
        folded = F.conv2d(self.edge.flatten(0, 1), weight, self.bias, padding=self.padding)
        return folded.unflatten(0, self.x.shape[:2])

    def neurons(self, pool: int) -> Neurons:
        return Neurons(self.beta, self.threshold, self.config, pool)

    def expected(self, current: Tensor, pool: int) -> tuple[Tensor, Tensor | None]:
        over = (-1, 1, 1)
        spikes = lif(current, self.beta.view(over), self.threshold.view(over), self.config)[0]
        if pool == 1:
            return spikes, None
        return spikes, F.max_pool2d(spikes.flatten(0, 1), 2).unflatten(0, spikes.shape[:2])

    def loss(self, spikes: Tensor, pooled: Tensor | None) -> Tensor:
        """Gradients arrive at the spikes and behind the pool."""
        g = torch.Generator().manual_seed(1)
        total = (spikes * torch.randn(spikes.shape, generator=g)).sum()
        return total if pooled is None else total + 2 * (pooled * torch.randn(pooled.shape, generator=g)).sum()


def agree(got: Tensor, wanted: Tensor, leaves: tuple[Tensor, ...]) -> None:
    found = torch.autograd.grad(got, leaves, retain_graph=True)
    for a, b in zip(found, torch.autograd.grad(wanted, leaves), strict=True):
        torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)


def check(case: Case, found: tuple[Spikes, Spikes | None], current: Tensor, pool: int, leaves: tuple[Tensor, ...]):
    spikes, pooled = found
    expected, expected_pooled = case.expected(current, pool)
    assert expected.sum() > 0
    assert torch.equal(spikes.dense(), expected)
    assert (pooled is None) == (expected_pooled is None)
    if pooled is not None and expected_pooled is not None:
        assert torch.equal(pooled.dense(), expected_pooled)
    wanted = case.loss(expected, expected_pooled)
    agree(case.loss(spikes.dense(), None if pooled is None else pooled.dense()), wanted, leaves)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("recompute", [False, True])
def test_every_shape(shape: tuple[int, ...], pool: int, recompute: bool) -> None:
    case = Case(shape, NeuronConfig())
    x = packed(case.x, case.edge)
    found = conv_lif(x, case.weight, case.bias, case.padding, case.neurons(pool), recompute)
    check(case, found, case.current(), pool, case.leaves)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("alike", [False, True])
def test_gradient_through_the_pool_alone(shape: tuple[int, ...], alike: bool) -> None:
    """Neurons that leak alike let the gradient of the input use the zeros that the pool leaves."""
    case = Case(shape, NeuronConfig())
    if not alike:
        case.beta.data[::2] = 0.25
    found = conv_lif(packed(case.x, case.edge), case.weight, case.bias, case.padding, case.neurons(2))[1]
    wanted = case.expected(case.current(), 2)[1]
    assert found is not None
    assert wanted is not None
    d = torch.randn(wanted.shape, generator=case.generator)
    agree((found.dense() * d).sum(), (wanted * d).sum(), case.leaves)


@pytest.mark.parametrize("config", NEURONS, ids=lambda c: f"{c.reset}-{c.detach_reset}-{c.surrogate}")
@pytest.mark.parametrize("recompute", [False, True])
def test_every_neuron(config: NeuronConfig, recompute: bool) -> None:
    case = Case((3, 5, 7, 6, 20, 3, 1), config)
    found = conv_lif(packed(case.x, case.edge), case.weight, case.bias, 1, case.neurons(2), recompute)
    check(case, found, case.current(), 2, case.leaves)


@pytest.mark.parametrize("config", NEURONS, ids=lambda c: f"{c.reset}-{c.detach_reset}-{c.surrogate}")
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("pool", [1, 2])
def test_neurons_and_pool_over_currents(config: NeuronConfig, constant: bool, pool: int) -> None:
    case = Case((3, 1, 7, 6, 20, 3, 1), config)
    source = exact(case.generator, *([] if constant else [4]), 3, 20, 7, 6).mul_(2).requires_grad_()
    current = source.expand(4, 3, 20, 7, 6)
    found = lif_pool(Constant(source, 4) if constant else source, case.neurons(pool))
    check(case, found, current, pool, (source, case.beta, case.threshold))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("density", [0.2, 0.8])
def test_currents_alone(shape: tuple[int, ...], density: float) -> None:
    case = Case(shape, NeuronConfig(), density)
    current, wanted = conv_spikes(packed(case.x, case.edge), case.weight, case.bias, case.padding), case.current()
    assert torch.equal(current, wanted)
    d = torch.randn(wanted.shape, generator=case.generator)
    agree((current * d).sum(), (wanted * d).sum(), case.leaves[:3])


def test_one_gradient_for_all_spikes() -> None:
    """A rate penalty's gradient is one number seen everywhere."""
    case = Case((3, 5, 7, 6, 20, 3, 1), NeuronConfig())
    spikes, _ = conv_lif(packed(case.x, case.edge), case.weight, None, 1, case.neurons(2))
    case.bias = torch.zeros(20)
    expected, _ = case.expected(case.current(), 2)
    agree(spikes.rate(), expected.mean(), (case.edge, case.weight, case.beta, case.threshold))


def test_nothing_arrives() -> None:
    case = Case((2, 4, 6, 6, 5, 3, 1), NeuronConfig())
    x = pack(torch.zeros_like(case.x))
    assert x is not None
    found, pooled = conv_lif(x, case.weight, None, 1, case.neurons(2))
    assert found.count() == 0
    assert pooled is not None
    agree(pooled.dense().sum() * 0, case.weight.sum() * 0, (case.weight,))


def network(config: NeuronConfig, **options: bool) -> Network:
    torch.manual_seed(3)
    pools = [MaxPool2d(2), MaxPool2d(2)]
    made = Network(
        [
            *(Conv2d(1, 24), LIF(config, 24), pools[0], Conv2d(24, 32), LIF(config, 32), pools[1]),
            *(Flatten(), Linear(32 * 9, 10), LIF(config, 10)),
        ],
        **options,
    )
    with torch.no_grad():
        for p in made.parameters():
            p.copy_((p * 512).round() / 256)
    return made


@pytest.mark.parametrize("learn", [False, True])
@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_network_equals_its_layers_one_by_one(
    learn: bool, direct: bool, recompute: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = NeuronConfig(beta=0.5, learn_beta=learn, learn_threshold=learn, per_channel=learn)
    net, g = network(config, recompute=recompute), torch.Generator().manual_seed(4)
    image = exact(g, 5, 1, 13, 13).abs() * 2
    x = image.expand(4, *image.shape) if direct else (torch.rand(4, *image.shape, generator=g) < 0.3).float()
    out = net(x)
    monkeypatch.setattr(library, "load", lambda: None)
    plain = net(x)
    assert torch.equal(out.spikes, plain.spikes)
    for a, b in zip(out.hidden, plain.hidden, strict=True):
        monkeypatch.undo()
        assert torch.equal(a.dense(), b.dense())
    agree(out.spikes.sum() + out.hidden[0].rate(), plain.spikes.sum() + plain.hidden[0].rate(), (*net.parameters(),))


def test_number_of_threads_changes_no_bit() -> None:
    net, g = network(NeuronConfig(learn_beta=True)), torch.Generator().manual_seed(5)
    x = (torch.rand(5, 11, 1, 13, 13, generator=g) < 0.3).float()
    threads, results = torch.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            spikes = net(x).spikes
            results.append([spikes, *torch.autograd.grad(spikes.sum(), list(net.parameters()))])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


LEVEL_SCRIPT = """
import hashlib, torch
from test_convolution import network, NeuronConfig
net = network(NeuronConfig())
x = (torch.rand(5, 3, 1, 13, 13, generator=torch.Generator().manual_seed(5)) < 0.3).float()
out = net(x)
out.spikes.sum().backward()
print(hashlib.sha256(out.spikes.detach().numpy().tobytes()).hexdigest(), float(out.spikes.sum()),
      *[float(p.grad.abs().sum()) for p in net.parameters()])
"""


def test_every_instruction_set_gives_the_same_spikes() -> None:
    best = library.LEVELS.index(library.describe().split(", ")[1])
    found = {}
    for level in ("off", *library.LEVELS[: best + 1]):
        run = subprocess.run(
            [sys.executable, "-c", LEVEL_SCRIPT],
            env={**os.environ, "LEANSPIKE_KERNELS": level, "PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
        )
        digest, *numbers = run.stdout.split()
        assert float(numbers[0]) > 0
        found[level] = digest, torch.tensor([float(number) for number in numbers])
    assert len({digest for digest, _ in found.values()}) == 1, found
    for _, numbers in found.values():
        torch.testing.assert_close(numbers, found["off"][1], rtol=1e-4, atol=1e-4)


def test_dense_input_takes_the_torch_path() -> None:
    case = Case((2, 3, 6, 6, 5, 3, 1), NeuronConfig(), density=0.9)
    dense, silent = packed(case.x, case.edge), packed(case.x * 0, case.edge)
    assert not convolution.gathers(dense, 3, 1, 1)
    assert not convolution.gathers(Spikes.of(case.x), 3, 1, 1)
    assert convolution.gathers(silent, 3, 1, 1)
    assert not convolution.gathers(silent, 3, 1, 2)
    assert not convolution.gathers(silent, 3, 3, 1)
