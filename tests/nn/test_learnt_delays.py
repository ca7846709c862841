"""Learnable delays against the definition, finite differences, a delay to be found, and the program that has them."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from leanspike import ir, models, targets
from leanspike.core.errors import ConfigError
from leanspike.core.trace import mismatches
from leanspike.encode import EncoderConfig
from leanspike.lower import Encoded, lower
from leanspike.models import ModelConfig
from leanspike.nn import LIF, DelayedLinear, Linear, Network, NeuronConfig, Spikes
from leanspike.nn.bounds import hold
from leanspike.nn.constant import Constant
from leanspike.nn.delays import NARROW, sharpen, width
from leanspike.nn.spikes import pack

STEPS, BATCH, INPUTS, OUTPUTS, MOST = 12, 3, 5, 4, 6


def layer(seed: int = 0) -> DelayedLinear:
    torch.manual_seed(seed)
    return DelayedLinear(INPUTS, OUTPUTS, MOST).double()


def current(x: Tensor, weight: Tensor, bias: Tensor, delays: Tensor) -> Tensor:
    """The sum over synapses, one at a time."""
    found = bias.expand(len(x), x.shape[1], len(bias)).clone()
    for i in range(weight.shape[0]):
        for o in range(weight.shape[1]):
            for t in range(len(x)):
                if t >= delays[i, o]:
                    found[t, :, o] += weight[i, o] * x[t - int(delays[i, o]), :, i]
    return found


def test_rounded_delays_equal_the_sum_over_synapses() -> None:
    own, x = layer().eval(), torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    wanted = current(x, own.weight, own.bias, own.steps)
    assert 0 <= own.steps.min() < own.steps.max() <= MOST
    torch.testing.assert_close(own(x), wanted)
    torch.testing.assert_close(own(Spikes.of(x)), wanted)
    own.sigma = 0.0
    torch.testing.assert_close(own.train()(x), wanted)
    still = torch.randn(BATCH, INPUTS, dtype=torch.float64)
    torch.testing.assert_close(own(Constant(still, STEPS)), own(still.expand(STEPS, BATCH, INPUTS)))


def test_packed_spikes_are_seen() -> None:
    own = layer().float().eval()
    x = (torch.rand(STEPS, BATCH, INPUTS) < 0.4).float()
    packed = pack(x)
    if packed is None:
        pytest.skip("the C kernels were not built (no C compiler)")
    torch.testing.assert_close(own(packed), current(x, own.weight, own.bias, own.steps))


@pytest.mark.parametrize("sigma", [3.0, 1.0, NARROW])
def test_gradients_of_weights_and_delays_equal_finite_differences(sigma: float) -> None:
    own, x = layer().train(), torch.randn(STEPS, 2, INPUTS, dtype=torch.float64, requires_grad=True)
    own.sigma = sigma

    def run(source: Tensor, weight: Tensor, position: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(own, {"weight": weight, "position": position}, (source,))
        return found

    assert torch.autograd.gradcheck(run, (x, own.weight, own.position))


def test_a_narrow_gaussian_comes_near_the_rounded_delay() -> None:
    own, x = layer().train(), torch.randn(STEPS, BATCH, INPUTS, dtype=torch.float64)
    with torch.no_grad():
        own.position.copy_(own.steps / MOST)
    own.sigma = 0.1
    torch.testing.assert_close(own(x), own.eval()(x), rtol=1e-8, atol=1e-8)


def test_the_width_falls_and_delays_are_rounded_in_the_last_quarter() -> None:
    found = [width(10, step / 100) for step in range(101)]
    assert found[0] == 5.0
    assert found[50] == found[74] == NARROW
    assert found[75:] == [0.0] * 26
    assert all(a >= b for a, b in itertools.pairwise(found))
    network = Network([DelayedLinear(4, 3, 10), LIF(NeuronConfig(), 3)])
    sharpen(network, 0.6)
    assert network.layers[0].sigma == NARROW


def test_delays_stay_in_their_range() -> None:
    own = DelayedLinear(2, 2, 3)
    with torch.no_grad():
        own.position.copy_(torch.tensor([[-1.0, 2.0], [0.4, 0.6]]))
    hold(own)
    assert own.position.tolist() == [[0.0, 1.0], [pytest.approx(0.4), pytest.approx(0.6)]]
    assert own.steps.tolist() == [[0, 3], [1, 2]]


def test_a_delay_is_found() -> None:
    """Two inputs are to be answered 2 and 9 steps later."""
    torch.manual_seed(3)
    own, spikes = DelayedLinear(2, 2, 12, bias=False), (torch.rand(60, 30, 2) < 0.1).float()
    aim = torch.zeros(60, 30, 2)
    aim[2:, :, 0], aim[9:, :, 1] = spikes[:-2, :, 0], spikes[:-9, :, 1]
    with torch.no_grad():
        own.weight.fill_(0.5)
    optimizer = torch.optim.Adam(own.parameters(), lr=2e-2)
    for step in range(300):
        sharpen(own, step / 300)
        loss = (own(spikes) - aim).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        hold(own)
    assert own.steps.diagonal().tolist() == [2, 9]
    assert float(loss.detach()) < 1e-3


@pytest.mark.parametrize(("kind", "encoder"), [("mlp", "rate"), ("recurrent", "direct")])
def test_a_program_has_the_delays_in_every_step(kind: Any, encoder: Any) -> None:
    torch.manual_seed(4)
    config = ModelConfig(kind=kind, hidden=(14,), delays=4, norm="batch", readout="membrane_max")
    network = models.build(config, NeuronConfig(threshold=0.3, adapt_strength=0.2), (6,), 3, 16).eval()
    program = lower(network, Encoded(EncoderConfig(kind=encoder), (6,), 16)).program
    synapses = [op for op in program.operations if isinstance(op, ir.Dense)]
    assert sum(isinstance(op, ir.Delay) for op in program.operations) >= 8
    most = sum(int((program.arrays[op.weight].values != 0).sum()) for op in synapses)
    assert most <= sum(p.numel() for name, p in network.named_parameters() if name.endswith("weight"))
    raw = np.random.default_rng(0).integers(0, 256, (6, 6)).astype(np.uint8)
    expected = ir.run(program, raw, record=True)
    assert any(spikes.sum() for spikes in expected.spikes.values())
    for target in ("engine", "c"):
        with tempfile.TemporaryDirectory() as folder:
            found = targets.run(targets.emit(target, program, Path(folder)), raw, record=True)
        assert not any(mismatches(expected, found).values())


def test_delays_are_of_dense_synapses() -> None:
    with pytest.raises(ConfigError, match=r"model.delays: 3 .*convnet has synapses that are not dense"):
        ModelConfig(kind="convnet", delays=3)
    built = models.build(ModelConfig(delays=3, hidden=(7,)), NeuronConfig(), (5,), 2, 4)
    assert [type(one) for one in built.layers if isinstance(one, Linear | DelayedLinear)] == [DelayedLinear] * 2
