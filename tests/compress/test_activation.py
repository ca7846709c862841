"""Sparse activation: fewer operations, silent channels that are closed, and the penalty as on its page."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from leanspike import compress, data, train
from leanspike.compress import ActivationConfig, CompressConfig
from leanspike.compress.activation import SparseActivation, close_silent
from leanspike.compress.channels import Calibration, hidden_layers, mask_of, synapses
from leanspike.core.errors import ConfigError
from leanspike.core.records import with_settings
from leanspike.data import TrainingData
from leanspike.models import ModelConfig
from leanspike.nn import LIF, Conv2d, Flatten, Linear, MaxPool2d, Network, NeuronConfig
from leanspike.train import RunConfig, TrainConfig


@pytest.fixture(scope="module")
def training() -> TrainingData:
    return data.load("digits").training_only()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, training: TrainingData) -> Path:
    out = tmp_path_factory.mktemp("base") / "run"
    quick = TrainConfig(epochs=6, learning_rate=1e-2)
    model = ModelConfig(kind="convnet", channels=(8, 16), norm="batch")
    train.fit(RunConfig(timesteps=3, model=model, train=quick), training, out)
    return out


def convnet() -> Network:
    torch.manual_seed(2)
    neuron = NeuronConfig(threshold=0.3)
    layers = [
        Conv2d(1, 4), LIF(neuron, 4), MaxPool2d(2), Conv2d(4, 6), LIF(neuron, 6), MaxPool2d(2), Flatten(),
        Linear(6 * 4, 10), LIF(neuron, 10),
    ]  # fmt: skip
    return Network(layers)


def test_pressure_lowers_operations_and_closes_channels_for_little_accuracy(
    base: Path, training: TrainingData, tmp_path: Path
) -> None:
    start, test = compress.load(base), data.load("digits").test()
    x = torch.from_numpy(test.x).expand(3, *test.x.shape).clone()
    before, accuracy = start.network.operations(x).acs, train.evaluate(start.network, test, start.run).accuracy
    training_config = with_settings(start.run, ["train.epochs=8", "train.learning_rate=5e-3"]).train
    config = CompressConfig(activation=ActivationConfig(pressure=2.0, close_below=0.01), train=training_config)
    compress.compress(start.network, start.run, config, training, tmp_path / "lean")
    lean = compress.load(tmp_path / "lean")
    for layer in hidden_layers(lean.network):
        closed = ~mask_of(layer.before).flatten(0, -2).any(0)
        assert not layer.before.weight[..., closed].any()
        assert not layer.outgoing(layer.after.weight)[:, closed].any()
    assert any(not mask_of(layer.before).all() for layer in hidden_layers(lean.network))
    assert lean.network.operations(x).acs < before / 2
    assert train.evaluate(lean.network, test, lean.run).accuracy > accuracy - 0.06


def test_channels_that_fire_less_than_asked_are_closed_and_the_most_active_one_stays() -> None:
    network, x = convnet(), (torch.rand(3, 8, 1, 8, 8) < 0.5).float()
    calibration = Calibration(x)
    names = {id(module): name for name, module in network.named_modules()}
    rates = calibration.activities(network).rates
    layer = hidden_layers(network)[0]
    rate = rates[names[id(layer.neurons)]]
    middle = float(rate.sort().values[1:3].mean())
    closed = close_silent(network, calibration, middle)
    assert torch.equal(mask_of(layer.before).flatten(0, -2).any(0), rate >= middle)
    assert closed >= 2
    close_silent(network, calibration, 0.999)
    for hidden in hidden_layers(network):
        assert int(mask_of(hidden.before).flatten(0, -2).any(0).sum()) == 1
    assert close_silent(network, calibration, 0.999) == 0


def test_closing_channels_that_never_fire_changes_nothing() -> None:
    network, x = convnet(), (torch.rand(3, 8, 1, 8, 8) < 0.5).float()
    first = synapses(network)[0][1]
    assert first.bias is not None
    with torch.no_grad():
        first.bias[2] = -100.0
    before = network(x).potential
    assert close_silent(network, Calibration(x), 0.0) >= 1
    assert not mask_of(first)[..., 2].any()
    assert torch.equal(network(x).potential, before)


def test_the_penalty_is_the_one_of_the_page_and_gradients_reach_every_hidden_layer() -> None:
    network, x = convnet(), (torch.rand(3, 8, 1, 8, 8) < 0.5).float()
    constraint = SparseActivation(ActivationConfig(pressure=0.7), network, 2, Calibration(x))
    output = network(x)
    penalty = constraint.extra_loss(network, output)
    first, second = (spikes.dense() for spikes in output.hidden[:2])
    weights = (4 * 8 * 8 * 9 * 6, 6 * 4 * 4 * 10)
    means = [(spikes.mean((0, 1, 3, 4)) + 1e-3).sqrt().mean() for spikes in (first, second)]
    expected = 0.7 * sum(w * mean for w, mean in zip(weights, means, strict=True)) / sum(weights)
    torch.testing.assert_close(penalty, torch.as_tensor(expected))
    penalty.backward()
    for layer in hidden_layers(network):
        assert layer.before.weight.grad is not None
        assert layer.before.weight.grad.any()


def test_the_penalty_is_heavier_for_many_quiet_channels_than_for_few_loud_ones() -> None:
    network = convnet()
    constraint = SparseActivation(ActivationConfig(pressure=1.0), network, 1, Calibration(torch.zeros(1, 1, 1, 8, 8)))
    spread, gathered = torch.zeros(4, 1, 4, 8, 8), torch.zeros(4, 1, 4, 8, 8)
    spread[0], gathered[:, :, 0] = 1.0, 1.0
    found = []
    for spikes in (spread, gathered):
        output = network((torch.rand(4, 1, 1, 8, 8) < 0.5).float())
        hidden = (type(output.hidden[0]).of(spikes),)
        found.append(float(constraint.extra_loss(network, type(output)(None, output.potential.detach(), hidden))))
    assert spread.sum() == gathered.sum()
    assert found[0] > 1.5 * found[1]


@pytest.mark.parametrize(
    "setting", ["pressure=-1.0", "power=0.0", "power=2.0", "close_below=1.0", "every=0.0", "until=0.0"]
)
def test_settings_out_of_range_are_refused_by_name(setting: str) -> None:
    with pytest.raises(ConfigError, match=f"activation.{setting.split('=')[0]}"):
        with_settings(ActivationConfig(), [setting])
