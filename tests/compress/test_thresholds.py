"""Learnable thresholds: the published gradients, the coupled loss, and no threshold that collapses or runs away."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from leanspike import compress, data, train
from leanspike.compress import CompressConfig, ThresholdConfig
from leanspike.compress.thresholds import Coupling, learn_thresholds
from leanspike.core.errors import ConfigError
from leanspike.core.records import with_settings
from leanspike.data import TrainingData
from leanspike.models import ModelConfig
from leanspike.nn import LIF, Network, NeuronConfig, Output
from leanspike.nn.bounds import hold
from leanspike.train import RunConfig, TrainConfig


class _Published(torch.autograd.Function):
    """The spike with two arguments: x = u - V, and V once more for the extra path."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, _threshold: Tensor, gamma: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gamma = gamma
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        arriving = grad * (ctx.gamma - x.abs()).clamp(min=0) / ctx.gamma**2
        return arriving, -(arriving * torch.sigmoid(x) * (x >= 0)).sum().view(1), None


def published(current: Tensor, threshold: Tensor, tau: float, gamma: float, sigmoid: bool) -> Tensor:
    """The neuron of LT-SNN's repository: reset to zero, nothing detached."""
    u, spikes = torch.zeros_like(current[0]), []
    for step in current:
        u = u * tau + step
        spike = _Published.apply(u - threshold, threshold if sigmoid else threshold.detach(), gamma)
        u = (1 - spike) * u
        spikes.append(spike)
    return torch.stack(spikes)


@pytest.mark.parametrize("sigmoid", [True, False])
@pytest.mark.parametrize("gamma", [1.0, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_the_published_ones(sigmoid: bool, gamma: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    current = torch.rand(6, 5, 7, dtype=dtype).mul_(1.2).requires_grad_()
    weight = torch.randn(6, 5, 7, dtype=dtype)
    neurons = LIF(NeuronConfig(beta=0.5, threshold=0.8, reset="zero", detach_reset=False), 7)
    learn_thresholds(Network([neurons]), ThresholdConfig(True, path="sigmoid" if sigmoid else "plain", gamma=gamma))
    neurons.to(dtype)
    spikes, _, _ = neurons(current)
    ours = torch.autograd.grad((spikes.dense() * weight).sum(), [current, neurons.threshold])
    threshold = torch.tensor([0.8], dtype=dtype, requires_grad=True)
    theirs = published(current, threshold, 0.5, gamma, sigmoid)
    assert torch.equal(spikes.dense(), theirs)
    expected = torch.autograd.grad((theirs * weight).sum(), [current, threshold])
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_sigmoid_path_adds_to_the_plain_one() -> None:
    found = []
    for path in ("plain", "sigmoid"):
        torch.manual_seed(1)
        neurons = LIF(NeuronConfig(), 4)
        learn_thresholds(Network([neurons]), with_settings(ThresholdConfig(True), [f"path={path}"]))
        neurons(torch.rand(5, 3, 4))[0].dense().sum().backward()
        assert neurons.threshold.grad is not None
        found.append(float(neurons.threshold.grad))
    assert found[1] < found[0] < 0


@pytest.fixture(scope="module")
def training() -> TrainingData:
    return data.load("digits").training_only()


@pytest.fixture(scope="module")
def run() -> RunConfig:
    quick = TrainConfig(epochs=6, learning_rate=5e-3, label_smoothing=0.0)
    return RunConfig(timesteps=4, model=ModelConfig(hidden=(32,)), train=quick)


@pytest.fixture(scope="module")
def trained(run: RunConfig, training: TrainingData) -> Network:
    network = train.fit(run, training).network
    assert isinstance(network, Network)
    return network


def thresholds_after(
    network: Network, run: RunConfig, training: TrainingData, span: float, target: float
) -> tuple[float, float]:
    """The threshold and the accuracy after a firing-rate penalty has pulled at the thresholds alone."""
    settings = ["train.epochs=8", "train.validation=0.0", "train.schedule=none", "train.learning_rate=0.1"]
    pull = ["train.rate_penalty=1000.0", f"train.target_rates=[{target}]"]
    learning = learn_thresholds(copy.deepcopy(network).train(), ThresholdConfig(True, span=span))
    for name, parameter in learning.named_parameters():
        parameter.requires_grad_(name.endswith("threshold"))
    run = with_settings(run, settings + pull)
    train.fit(run, training, network=learning)
    (neurons,) = (layer for layer in learning.modules() if isinstance(layer, LIF))
    accuracy = train.evaluate(learning, data.load("digits").test(), run).accuracy
    return float(neurons.threshold.detach()), accuracy


@pytest.mark.parametrize("target", [0.9, 0.0], ids=["collapse", "run-away"])
def test_the_naive_rule_collapses_or_runs_away_and_ours_does_not(
    trained: Network, run: RunConfig, training: TrainingData, target: float
) -> None:
    naive, lost = thresholds_after(trained, run, training, span=1e9, target=target)
    ours, kept = thresholds_after(trained, run, training, span=2.0, target=target)
    assert naive < 0.15 if target else naive > 2.5
    assert 0.5 <= ours <= 2.0
    assert kept > 0.7
    assert kept > lost + 0.02
    if target:
        assert lost < 0.4


def test_a_threshold_at_its_bound_comes_back() -> None:
    neurons = LIF(NeuronConfig(), 3)
    learn_thresholds(Network([neurons]), ThresholdConfig(True, span=2.0))
    optimizer = torch.optim.SGD([neurons.threshold], lr=100.0)
    for sign in (1.0, -1.0):
        optimizer.zero_grad()
        (sign * neurons(torch.full((4, 2, 3), 0.6))[0].dense().sum()).backward()
        optimizer.step()
        hold(neurons)
        assert float(neurons.threshold.detach()) == (2.0 if sign > 0 else 0.5)


def test_loss_and_average_are_those_of_the_page(trained: Network) -> None:
    config = ThresholdConfig(True, coupling=0.2)
    network = learn_thresholds(copy.deepcopy(trained), config)
    coupling, potential, labels = Coupling(config, network), torch.randn(4, 6, 10), torch.arange(6)
    (neurons,) = (layer for layer in network.modules() if isinstance(layer, LIF))
    with torch.no_grad():
        neurons.threshold.fill_(1.5)
    coupling.after_step(network, 0.1)
    coupling.after_step(network, 0.2)
    phi = 0.9 * (0.9 * 1.0 + 0.1 * 1.5) + 0.1 * 1.5
    assert float(coupling.memory["phi"]) == pytest.approx(phi)
    extra = coupling.extra_loss(network, Output(None, potential, ()))
    entropy = torch.stack([cross_entropy(step, labels) for step in potential]).mean()
    published_loss = 0.8 * entropy + 0.2 * (potential - phi).square().mean()
    torch.testing.assert_close(0.8 * (entropy + extra), published_loss)


@pytest.mark.parametrize("setting", ["path=plain", "path=sigmoid", "per_channel=true", "coupling=0.05"])
def test_a_compression_learns_thresholds_and_is_loaded_again(
    run: RunConfig, training: TrainingData, tmp_path: Path, setting: str
) -> None:
    train.fit(run, training, tmp_path / "run")
    start = compress.load(tmp_path / "run")
    threshold = with_settings(ThresholdConfig(True), [setting])
    config = CompressConfig(threshold=threshold, train=with_settings(run, ["train.epochs=2"]).train)
    made = compress.compress(start.network, start.run, config, training, tmp_path / "a")
    assert made.run.train.loss == ("tet" if threshold.coupling else "readout")
    found = compress.load(tmp_path / "a").network
    (learned,) = (layer.threshold for layer in found.modules() if isinstance(layer, LIF))
    assert len(learned) == (32 if threshold.per_channel else 1)
    assert (learned != 1.0).any()
    there = made.network.state_dict()
    assert all(torch.equal(tensor, there[name]) for name, tensor in found.state_dict().items())


@pytest.mark.parametrize("setting", ["span=0.5", "gamma=-1.0", "coupling=1.0", "temporal=1.0", "coupling=0.1"])
def test_settings_out_of_range_are_refused_by_name(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"threshold.{setting.split('=')[0]}"):
        with_settings(ThresholdConfig(), [setting])
