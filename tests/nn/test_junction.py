"""Residual sums, attention and recurrent neurons against their equations, and what a network tells of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from leanspike.nn import (
    LIF,
    BatchNorm,
    Conv2d,
    Flatten,
    LeakyIntegrator,
    Linear,
    Network,
    NeuronConfig,
    RecurrentLIF,
    Residual,
    SpikingSelfAttention,
)
from leanspike.nn.junction import written

NEURON = NeuronConfig(beta=0.75, threshold=0.6)


def silent(*_: object) -> None:
    """Told of every layer, it keeps nothing."""


def spikes(*shape: int) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(1)) > 0.6).float()


@pytest.mark.parametrize(("reset", "refractory"), [("subtract", 0), ("zero", 0), ("subtract", 2)])
def test_recurrent_neurons_do_their_equation(reset: str, refractory: int) -> None:
    torch.manual_seed(3)
    layer = RecurrentLIF(NeuronConfig(beta=0.75, threshold=0.6, reset=reset, refractory=refractory), 5)  # type: ignore[arg-type]
    current = torch.randn(7, 3, 5)
    v, s, hold = torch.zeros(3, 5), torch.zeros(3, 5), torch.zeros(3, 5)
    fired, potential, _ = layer(current)
    for t in range(7):
        u = torch.where(hold > 0, v, 0.75 * v + current[t] + s @ layer.feedback.weight)
        s = ((u >= 0.6) & (hold == 0)).float()
        hold = torch.where(s > 0, float(refractory), (hold - 1).clamp(min=0))
        v = u - 0.6 * s if reset == "subtract" else u * (1 - s)
        assert torch.allclose(potential[t], u, atol=1e-6)
        assert torch.equal(fired.dense()[t], s)


def test_a_recurrent_run_goes_on_where_its_state_stands() -> None:
    layer, current = RecurrentLIF(NEURON, 4), torch.randn(6, 2, 4)
    whole, _, _ = layer(current)
    first, _, state = layer(current[:2])
    rest, _, _ = layer(current[2:], state)
    assert torch.equal(whole.dense(), torch.cat([first.dense(), rest.dense()]))


def test_gradients_reach_the_feedback_over_time() -> None:
    layer = RecurrentLIF(NEURON, 4)
    fired, _, _ = layer(torch.rand(5, 2, 4) + 0.2)
    fired.dense()[-1].sum().backward()
    assert layer.feedback.weight.grad is not None
    assert layer.feedback.weight.grad.abs().sum() > 0


def test_a_residual_is_the_sum_of_its_branches() -> None:
    branch, shortcut, x = [Conv2d(3, 4), BatchNorm(4)], [Conv2d(3, 4, kernel=1, padding=0)], spikes(2, 5, 3, 6, 6)
    total = Residual(branch, shortcut).eval()(x, silent)
    expected = branch[1](branch[0](x)) + shortcut[0](x)
    assert torch.allclose(written(total), expected)


def test_spikes_of_a_branch_and_its_input_add_to_small_integers() -> None:
    x = spikes(3, 2, 4, 5, 5)
    total = written(Residual([Conv2d(4, 4), LIF(NEURON, 4)])(x, silent))
    assert set(total.unique().tolist()) <= {0.0, 1.0, 2.0}
    assert (total >= x).all()


@pytest.mark.parametrize("side", [2, 6])
def test_attention_does_its_equation(side: int) -> None:
    """Few tokens and many take the two orders of the products, which are equal."""
    torch.manual_seed(2)
    layer, x = SpikingSelfAttention(8, 2, NEURON).eval(), spikes(3, 2, 8, side, side)
    told: list[tuple[nn.Module, Tensor]] = []
    fired = layer(x, lambda module, _, s, __: told.append((module, s.dense())) if s else None)
    q, k, v = (found.flatten(3).unflatten(2, (2, 4)) for _, found in told[:3])
    current = torch.einsum("tbhcn,tbhcm,tbhdm->tbhdn", q, k, v).flatten(2, 3).reshape(x.shape) * 0.125
    expected, _, _ = layer.neurons(current)
    assert torch.equal(fired.dense(), expected.dense())
    assert [module for module, _ in told][-1] is layer.neurons
    assert float(layer.neurons.threshold) == pytest.approx(0.3)


def small() -> Network:
    torch.manual_seed(4)
    inner = Residual([SpikingSelfAttention(4, 2, NEURON), Conv2d(4, 4, kernel=1, padding=0), LIF(NEURON, 4)])
    outer = Residual([Conv2d(4, 4), BatchNorm(4)])
    rest = [Flatten(), Linear(64, 6), RecurrentLIF(NEURON, 6), Linear(6, 3), LeakyIntegrator(NEURON, 3)]
    return Network([Conv2d(2, 4), LIF(NEURON, 4), inner, outer, LIF(NEURON, 4), *rest], "membrane_mean").eval()


def test_a_network_tells_of_every_layer_in_the_order_of_running() -> None:
    network, x = small(), spikes(3, 2, 2, 4, 4)
    assert [layer.channels for layer in network.neurons] == [4, 4, 4, 4, 4, 4, 4, 6, 3]
    found, traced = network(x), network.trace(x)
    assert len(found.hidden) == 8
    assert len(traced) == 9
    for fired, (expected, _) in zip(found.hidden, traced, strict=False):
        assert torch.equal(fired.dense(), expected)
    assert torch.allclose(found.potential, traced[-1][1], atol=1e-6)
    assert network.mixes_samples


def test_operations_count_synapses_inside_of_junctions_and_feedback() -> None:
    network, x = small(), spikes(3, 2, 2, 4, 4)
    fired = [s for s, _ in network.trace(x)]
    reached = float(nn.functional.conv2d(x.flatten(0, 1), torch.ones(4, 2, 3, 3), padding=1).sum())
    total = fired[0] + fired[5]
    at_most = float(nn.functional.conv2d(fired[0].flatten(0, 1), torch.ones(4, 4, 1, 1)).sum())
    reached += 3 * at_most + float(nn.functional.conv2d(fired[4].flatten(0, 1), torch.ones(4, 4, 1, 1)).sum())
    analogue = float(nn.functional.conv2d(total.ne(0).float().flatten(0, 1), torch.ones(4, 4, 3, 3), padding=1).sum())
    reached += 6 * float(fired[6].sum()) + 6 * float(fired[7][:-1].sum()) + 3 * float(fired[7].sum())
    counted = network.operations(x)
    assert counted.acs * 2 == pytest.approx(reached)
    assert counted.macs * 2 == pytest.approx(analogue)
