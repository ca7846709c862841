"""The hand-written backward against autograd and finite differences, and the surrogates it rests on."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from leanspike.core.errors import ConfigError
from leanspike.core.records import from_dict
from leanspike.nn import LIF, Linear, Network, NeuronConfig, lif, lif_scan
from leanspike.nn.constant import Constant
from leanspike.nn.functional import LIFState
from leanspike.nn.surrogate import NAMES, derivative, primitive

SCALES = dict(zip(NAMES, (2.0, 4.0, 5.0, 1.0, 0.5, 1.0), strict=True))
STEPS, SAMPLE = 7, (3, 2, 5)
NEURONS = [
    NeuronConfig(reset=reset, detach_reset=detach, refractory=refractory, surrogate=name, surrogate_scale=SCALES[name])
    for reset, detach, refractory, name in itertools.product(("subtract", "zero"), (True, False), (0, 1, 3), NAMES)
]
SMOOTH = [c for c in NEURONS if not c.detach_reset and c.refractory == 0]


def name_of(config: NeuronConfig) -> str:
    detached = "detached" if config.detach_reset else "through"
    return f"{config.reset}-{detached}-{config.refractory}-{config.surrogate}"


def leaves(
    shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Current of the shape given, beta, threshold and start potential, all of which take a gradient."""
    generator = torch.Generator().manual_seed(seed)
    current = torch.randn(shape, generator=generator, dtype=dtype) + 0.3
    beta, threshold = torch.rand((2, *SAMPLE[1:]), generator=generator, dtype=dtype)
    start = torch.randn(SAMPLE, generator=generator, dtype=dtype)
    return tuple(t.requires_grad_() for t in (current, beta, threshold + 0.3, start))  # type: ignore[return-value]


def held(refractory: int) -> Tensor | None:
    generator = torch.Generator().manual_seed(9)
    return torch.randint(0, refractory + 1, SAMPLE, generator=generator, dtype=torch.int32) if refractory else None


def gradients(outputs: tuple[Tensor, Tensor, Tensor], inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of one fixed random projection of spikes, potentials and end state."""
    generator = torch.Generator().manual_seed(8)
    weights = [torch.randn(o.shape, generator=generator, dtype=o.dtype) for o in outputs]
    return torch.autograd.grad(outputs, inputs, weights)


@pytest.mark.parametrize("config", NEURONS, ids=name_of)
@pytest.mark.parametrize("constant", [False, True], ids=["sequence", "constant"])
def test_scan_equals_autograd(config: NeuronConfig, constant: bool) -> None:
    inputs = source, beta, threshold, start = leaves(SAMPLE if constant else (STEPS, *SAMPLE))
    state = LIFState(start, held(config.refractory))
    expected, potential, end = lif(source.expand(STEPS, *SAMPLE), beta, threshold, config, state)
    current = Constant(source, STEPS) if constant else source
    spikes, u, after = lif_scan(current, beta, threshold, config, state)
    assert 0.02 < float(expected.detach().mean()) < 0.8
    assert torch.equal(spikes.dense(), expected)
    assert torch.equal(u, potential)
    assert torch.equal(after.potential, end.potential)
    if config.refractory:
        assert torch.equal(after.hold, end.hold)
    wanted = gradients((expected, potential, end.potential), inputs)
    got = gradients((spikes.dense(), u, after.potential), inputs)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("output", [0, 1, 2], ids=["spikes", "potential", "end"])
@pytest.mark.parametrize("config", [SMOOTH[0], NeuronConfig(reset="zero", refractory=2)], ids=name_of)
def test_gradient_that_arrives_at_one_output_only(config: NeuronConfig, output: int) -> None:
    inputs = source, beta, threshold, start = leaves((STEPS, *SAMPLE))
    state = LIFState(start, held(config.refractory))
    expected, potential, end = lif(source, beta, threshold, config, state)
    spikes, u, after = lif_scan(source, beta, threshold, config, state)
    wanted = torch.autograd.grad((expected, potential, end.potential)[output].sum(), inputs, materialize_grads=True)
    got = torch.autograd.grad((spikes.dense(), u, after.potential)[output].sum(), inputs, materialize_grads=True)
    assert any(bool(w.abs().max() > 0.1) for w in wanted)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("config", SMOOTH, ids=name_of)
@pytest.mark.parametrize("constant", [False, True], ids=["sequence", "constant"])
def test_backward_of_the_smooth_neuron_equals_finite_differences(config: NeuronConfig, constant: bool) -> None:
    inputs = leaves(SAMPLE if constant else (4, *SAMPLE), seed=3)

    def scan(source: Tensor, beta: Tensor, threshold: Tensor, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        current = Constant(source, 4) if constant else source
        spikes, u, end = lif_scan(current, beta, threshold, config, LIFState(start), smooth=True)
        return spikes.dense(), u, end.potential

    distance = (scan(*inputs)[1] - inputs[2]).abs().detach()
    kinks = {"fast_sigmoid": 0.0, "triangle": 1 / config.surrogate_scale, "rectangle": 0.5 / config.surrogate_scale}
    if config.surrogate in kinks:
        assert float((distance - kinks[config.surrogate]).abs().min()) > 1e-4, "an input too near a kink"
    if config.surrogate in ("triangle", "rectangle"):
        inside = (distance < kinks[config.surrogate]).double().mean()
        assert 0.1 < float(inside) < 0.95, "both sides of the kink are to be seen"
    assert torch.autograd.gradcheck(scan, inputs)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0, 5.0])
def test_primitive_is_an_antiderivative(name: str, scale: float) -> None:
    x = torch.linspace(-3, 3, 998, dtype=torch.float64)  # meets no kink: not 0, 0.5, 1 nor 2
    h = 1e-6
    slope = (primitive(name, x + h, scale) - primitive(name, x - h, scale)) / (2 * h)
    torch.testing.assert_close(slope, derivative(name, x, scale), rtol=1e-6, atol=1e-6)
    assert float(primitive(name, torch.zeros(1), scale)) == 0.5


@pytest.mark.parametrize("function", [derivative, primitive])
def test_unknown_surrogate(function: Any) -> None:
    with pytest.raises(ValueError, match="no surrogate is called 'gauss'; there are atan"):
        function("gauss", torch.zeros(1), 1.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("pack", [False, True], ids=["dense", "packed"])
@pytest.mark.parametrize("config", [c for c in NEURONS if c.surrogate == "atan"], ids=name_of)
def test_two_halves_equal_the_whole(config: NeuronConfig, pack: bool, dtype: torch.dtype) -> None:
    inputs = source, beta, threshold, start = leaves((STEPS, *SAMPLE), dtype)
    state = LIFState(start, held(config.refractory))
    whole, u, end = lif_scan(source, beta, threshold, config, state, pack)
    first, u_first, middle = lif_scan(source[:3], beta, threshold, config, state, pack)
    second, u_second, last = lif_scan(source[3:], beta, threshold, config, middle, pack)
    halves = torch.cat((first.dense(), second.dense())), torch.cat((u_first, u_second)), last.potential
    for a, b in zip(halves, (whole.dense(), u, end.potential), strict=True):
        assert torch.equal(a, b)
    if config.refractory:
        assert torch.equal(last.hold, end.hold)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-10
    wanted = gradients((whole.dense(), u, end.potential), inputs)
    for a, b in zip(gradients(halves, inputs), wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("config", "potentials"),
    [
        (NeuronConfig(beta=0.5), [0.75, 1.125, 0.8125, 1.15625]),
        (NeuronConfig(beta=0.5, reset="zero"), [0.75, 1.125, 0.75, 1.125]),
        (NeuronConfig(beta=0.5, refractory=1), [0.75, 1.125, 0.125, 0.8125]),
    ],
    ids=["subtract", "zero", "refractory"],
)
def test_potentials_worked_out_by_hand(config: NeuronConfig, potentials: list[float]) -> None:
    beta, threshold = torch.tensor([0.5]), torch.tensor([1.0])
    spikes, u, _ = lif_scan(Constant(torch.full((1, 1), 0.75), 4), beta, threshold, config)
    assert u.flatten().tolist() == potentials
    assert spikes.dense().flatten().tolist() == [float(p >= 1) for p in potentials]


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_a_potential_at_the_threshold_fires(reset: Any) -> None:
    spikes, _, end = lif_scan(torch.ones(1, 1, 1), torch.tensor([0.9]), torch.tensor([1.0]), NeuronConfig(reset=reset))
    assert spikes.dense().item() == 1.0
    assert end.potential.item() == 0.0


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("beta", -0.1, "between 0 and 1"),
        ("beta", 1.1, "between 0 and 1"),
        ("beta", float("nan"), "between 0 and 1"),
        ("threshold", 0.0, "above 0"),
        ("threshold", float("nan"), "above 0"),
        ("refractory", -1, "0 or more steps"),
        ("surrogate_scale", 0.0, "above 0"),
    ],
)
def test_values_out_of_range_name_their_key(field: str, value: float, remedy: str) -> None:
    with pytest.raises(ConfigError, match=rf"^neuron\.{field}: .*{remedy}"):
        dataclasses.replace(NeuronConfig(), **{field: value})


@pytest.mark.parametrize(("field", "value"), [("reset", "soft"), ("surrogate", "gauss"), ("beta", "high")])
def test_values_of_another_kind_name_their_key(field: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"neuron\.{field}"):
        from_dict(NeuronConfig, {field: value}, "neuron")


def test_borders_are_in_range() -> None:
    assert NeuronConfig(beta=0).beta == 0
    assert NeuronConfig(beta=1, refractory=0).refractory == 0


def test_a_reset_amount_of_theta_over_beta_is_a_reset_one_step_late() -> None:
    current = leaves((STEPS, *SAMPLE))[0].detach().requires_grad_()
    layer = LIF(NeuronConfig(beta=0.5, threshold=0.75), SAMPLE[1], torch.tensor([1.5])).double()
    spikes, u, _ = layer(current)
    late, fired, expected = torch.zeros(SAMPLE, dtype=torch.float64), torch.zeros(SAMPLE, dtype=torch.float64), []
    for step in current.detach():
        late = 0.5 * late + step - 0.75 * fired
        fired = (late >= 0.75).double()
        expected.append(late)
    torch.testing.assert_close(u, torch.stack(expected), rtol=1e-12, atol=1e-12)
    assert 0.02 < float(spikes.dense().detach().mean()) < 0.8
    (grad,) = torch.autograd.grad(spikes.dense().sum(), current)
    assert grad.isfinite().all()
    assert grad.any()


def test_a_reset_amount_of_zero_is_no_reset() -> None:
    current = leaves((STEPS, *SAMPLE))[0].detach()
    spikes, u, _ = LIF(NeuronConfig(beta=1.0), SAMPLE[1], torch.zeros(1)).double()(current)
    torch.testing.assert_close(u, current.cumsum(0))
    assert torch.equal(spikes.dense(), (u >= 1.0).double())


def test_a_network_with_a_reset_amount_leaves_the_kernels_that_do_not_know_it() -> None:
    torch.manual_seed(0)
    first, last = Linear(20, 30), Linear(30, 4)
    own = LIF(NeuronConfig(beta=0.5), 30, torch.full((30,), 2.0))
    network = Network([first, own, last, LIF(NeuronConfig(), 4)])
    x = (torch.rand(STEPS, 3, 20) < 0.3).float()
    for parameter in network.parameters():
        parameter.data *= 5
    hidden = lif(x @ first.weight + first.bias, *own.parameters_for((30,)), own.config, reset_by=own.reset_by)[0]
    assert torch.equal(network(x).hidden[0].dense(), hidden)
    assert not torch.equal(LIF(own.config, 30)(first(x))[0].dense(), hidden)
