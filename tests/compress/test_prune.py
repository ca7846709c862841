"""Dynamic pruning: what goes, when, and that it is gone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from leanspike import compress, data, nn, train
from leanspike.compress import CompressConfig
from leanspike.compress.channels import Activities, Calibration, hidden_layers, mask_of, synapses
from leanspike.compress.prune import PruneConfig, Pruning, prune_connections, prune_neurons, sparsity_of
from leanspike.core.errors import ConfigError
from leanspike.core.records import with_settings
from leanspike.data import TrainingData
from leanspike.models import ModelConfig
from leanspike.nn import LIF, Conv2d, Flatten, Linear, MaxPool2d, Network, NeuronConfig
from leanspike.train import RunConfig, TrainConfig


@pytest.fixture(scope="module")
def training() -> TrainingData:
    return data.load("digits").training_only()


@pytest.fixture
def run() -> RunConfig:
    quick = TrainConfig(epochs=4, learning_rate=5e-3)
    return RunConfig(timesteps=3, model=ModelConfig(hidden=(24, 16)), train=quick)


@pytest.fixture
def network(run: RunConfig, training: TrainingData) -> Network:
    torch.manual_seed(1)
    return train.build_network(run, training.shape, 10)


def convnet() -> Network:
    torch.manual_seed(2)
    neuron = NeuronConfig(threshold=0.3)
    layers = [
        Conv2d(1, 4), LIF(neuron, 4), MaxPool2d(2), Conv2d(4, 6), LIF(neuron, 6), MaxPool2d(2), Flatten(),
        Linear(6 * 4, 10), LIF(neuron, 10),
    ]  # fmt: skip
    return Network(layers)


def fit(
    network: Network, run: RunConfig, training: TrainingData, config: PruneConfig, out: Path | None = None
) -> Network:
    calibration = Calibration.of(network, run, training, 64)
    constraint = Pruning(config, network, run.train.epochs, calibration, run.seed)
    trained = train.fit(run, training, out, network=network, constraint=constraint).network
    assert isinstance(trained, Network)
    return trained


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("by", ["magnitude", "activity"])
@pytest.mark.parametrize("schedule", ["cubic", "rounds"])
def test_training_ends_at_the_sparsity_asked_for(
    network: Network, run: RunConfig, training: TrainingData, scope: str, by: str, schedule: str
) -> None:
    settings = ["sparsity=0.8", f"scope={scope}", f"by={by}", f"schedule={schedule}", "every=0.5"]
    pruned = fit(network, run, training, with_settings(PruneConfig(), settings))
    assert sparsity_of(pruned) == pytest.approx(0.8, abs=4e-3)
    for _, layer in synapses(pruned):
        assert not layer.weight[~mask_of(layer)].any()
    shares = [float(mask_of(layer).float().mean()) for _, layer in synapses(pruned)]
    assert (max(shares) - min(shares) < 0.03) == (scope == "layer")


def test_the_smallest_weights_go(network: Network) -> None:
    weights = [layer.weight.detach().clone() for _, layer in synapses(network)]
    prune_connections(network, 0.7, PruneConfig(0.7, scope="global"))
    kept = torch.cat([w[mask_of(layer)].abs() for w, (_, layer) in zip(weights, synapses(network), strict=True)])
    gone = torch.cat([w[~mask_of(layer)].abs() for w, (_, layer) in zip(weights, synapses(network), strict=True)])
    assert float(kept.min()) >= float(gone.max())


def test_connections_of_inputs_that_are_never_active_go_first(network: Network, training: TrainingData) -> None:
    run = RunConfig(timesteps=3)
    inputs = Calibration.of(network, run, training).activities(network).inputs
    first, layer = synapses(network)[0]
    silent = inputs[first] == 0
    assert silent.any(), "digits have pixels that are always 0"
    config = PruneConfig(0.5, by="activity")
    prune_connections(network, 0.5, config, Activities(inputs, {}))
    assert not mask_of(layer)[silent].any()


def test_the_output_layer_has_its_own_target_and_the_sum_holds(network: Network) -> None:
    prune_connections(network, 0.9, PruneConfig(0.9, output_sparsity=0.25))
    assert sparsity_of(network) == pytest.approx(0.9, abs=2e-3)
    output = synapses(network)[-1][1]
    assert float((~mask_of(output)).float().mean()) == pytest.approx(0.25, abs=0.01)


def test_no_layer_vanishes_under_a_global_ranking(network: Network) -> None:
    with torch.no_grad():
        synapses(network)[1][1].weight *= 1e-6
    prune_connections(network, 0.95, PruneConfig(0.95, scope="global"))
    assert mask_of(synapses(network)[1][1]).sum() == 16


def test_the_cubic_schedule_is_the_published_one(network: Network) -> None:
    pruning = Pruning(PruneConfig(0.9, every=1.0, until=1.0), network, 10)
    for update in range(11):
        assert pruning.target(update) == pytest.approx(0.9 - 0.9 * (1 - update / 10) ** 3)


def test_rounds_take_the_same_share_each_time(network: Network) -> None:
    pruning = Pruning(PruneConfig(0.875, schedule="rounds", every=2.0, until=0.6), network, 10)
    assert [round(pruning.target(update), 6) for update in range(4)] == [0.0, 0.5, 0.75, 0.875]
    seen: list[float] = []
    for step in range(1, 21):
        pruning.after_step(network, step / 2)
        seen.append(sparsity_of(network))
    changes = [step for step in range(1, 20) if seen[step] != seen[step - 1]]
    assert [(step + 1) / 2 for step in changes] == [2.0, 4.0, 6.0]


def test_a_second_compression_starts_where_the_first_ended(network: Network) -> None:
    prune_connections(network, 0.5, PruneConfig(0.5))
    before = [mask_of(layer).clone() for _, layer in synapses(network)]
    pruning = Pruning(PruneConfig(0.75, schedule="rounds"), network, 2)
    assert pruning.start == pytest.approx(0.5, abs=1e-3)
    pruning.after_step(network, 2.0)
    assert sparsity_of(network) == pytest.approx(0.75, abs=2e-3)
    for (_, layer), mask in zip(synapses(network), before, strict=True):
        assert not (mask_of(layer) & ~mask).any(), "a connection came back without re-growth"
    with pytest.raises(ConfigError, match="already"):
        Pruning(PruneConfig(0.3), network, 2)


def _outgoing(layer: Linear | Conv2d, channel: int, channels: int) -> Tensor:
    if isinstance(layer, Conv2d):
        return layer.weight[:, :, channel]
    return layer.weight[torch.arange(layer.in_features) % channels == channel]


@pytest.mark.parametrize("by", ["magnitude", "activity"])
def test_a_neuron_goes_with_its_column_and_its_rows_in_the_next_layer(by: str) -> None:
    network = convnet()
    x = (torch.rand(3, 8, 1, 8, 8) < 0.5).float()
    activities = Calibration(x).activities(network) if by == "activity" else None
    names = {id(module): name for name, module in network.named_modules()}
    prune_neurons(network, 0.5, PruneConfig(0.5, unit="neurons"), activities)
    assert sparsity_of(network, "neurons") == pytest.approx(0.5)
    for layer in hidden_layers(network):
        assert isinstance(layer.after, Linear | Conv2d)
        alive = layer.before.weight.flatten(0, -2).any(0)
        assert int(alive.sum()) == layer.channels // 2
        for channel in range(layer.channels):
            assert bool(_outgoing(layer.after, channel, layer.channels).any()) == bool(alive[channel])
        if activities is not None:
            rates = activities.rates[names[id(layer.neurons)]]
            assert float(rates[alive].sum()) >= float(rates[~alive].sum())
    for spikes, _ in network.trace(x)[:-1]:
        assert int(spikes.flatten(3).sum((0, 1, 3)).gt(0).sum()) <= spikes.shape[2] // 2


def test_pruned_neurons_could_be_cut_out_without_a_change() -> None:
    network = convnet()
    prune_neurons(network, 0.5, PruneConfig(0.5, unit="neurons"))
    x = (torch.rand(3, 8, 1, 8, 8) < 0.5).float()
    first, second = hidden_layers(network)
    a, b = (layer.before.weight.flatten(0, -2).any(0) for layer in (first, second))
    neuron = NeuronConfig(threshold=0.3)
    small = Network([
        Conv2d(1, 2), LIF(neuron, 2), MaxPool2d(2), Conv2d(2, 3), LIF(neuron, 3), MaxPool2d(2), Flatten(),
        Linear(3 * 4, 10), LIF(neuron, 10),
    ])  # fmt: skip
    rows = b.repeat(4)
    with torch.no_grad():
        for (_, lean), weight, bias in zip(
            synapses(small),
            (first.before.weight[..., a], second.before.weight[:, :, a][..., b], second.after.weight[rows]),
            (first.before.bias[a], second.before.bias[b], second.after.bias),  # type: ignore[index]
            strict=True,
        ):
            lean.weight.copy_(weight)
            lean.bias.copy_(bias)  # type: ignore[union-attr,arg-type]
    assert torch.equal(network(x).potential, small(x).potential)


@pytest.mark.parametrize("regrow", ["gradient", "random"])
def test_connections_grow_again_and_the_sparsity_holds(
    network: Network, run: RunConfig, training: TrainingData, regrow: str
) -> None:
    prune_connections(network, 0.8, PruneConfig(0.8))
    before = [mask_of(layer).clone() for _, layer in synapses(network)]
    config = with_settings(PruneConfig(0.8, every=0.5), [f"regrow={regrow}"])
    grown = fit(network, run, training, config)
    assert sparsity_of(grown) == pytest.approx(0.8, abs=2e-3)
    for (_, layer), mask in zip(synapses(grown)[:2], before, strict=False):
        new = mask_of(layer) & ~mask
        assert new.any()
        assert layer.weight[new].any(), "what grew has not learned"


def test_growth_goes_where_the_gradient_is_largest(network: Network) -> None:
    config = PruneConfig(0.5, regrow="gradient")
    prune_connections(network, 0.5, config)
    before = [mask_of(layer).clone() for _, layer in synapses(network)]
    for _, layer in synapses(network):
        layer.weight.grad = torch.randn(layer.weight.shape)
    prune_connections(network, 0.5, config, None, 0.2)
    for (_, layer), mask in zip(synapses(network), before, strict=True):
        assert layer.weight.grad is not None
        slope, new = layer.weight.grad.abs(), mask_of(layer) & ~mask
        assert int(new.sum()) == int(0.2 * int(mask.sum()))
        assert float(slope[new].min()) >= float(slope[~mask & ~new].max())
        assert not layer.weight[new].any()


def test_a_pruned_run_that_is_cut_off_ends_in_the_same_weights(
    run: RunConfig, training: TrainingData, tmp_path: Path
) -> None:
    class Cut(Pruning):
        def after_step(self, network: torch.nn.Module, position: float) -> None:
            super().after_step(network, position)
            if position >= 2.4:
                raise KeyboardInterrupt

    config = PruneConfig(0.8, regrow="random", every=0.3)

    def constraint(kind: type[Pruning]) -> tuple[Network, Pruning]:
        torch.manual_seed(1)
        network = train.build_network(run, training.shape, 10)
        return network, kind(config, network, run.train.epochs, None, run.seed)

    whole_network, pruning = constraint(Pruning)
    whole = train.fit(run, training, network=whole_network, constraint=pruning).network
    network, cut = constraint(Cut)
    with pytest.raises(KeyboardInterrupt):
        train.fit(run, training, tmp_path, network=network, constraint=cut, checkpoint_seconds=0.0)
    network, pruning = constraint(Pruning)
    resumed = train.fit(run, training, tmp_path, network=network, constraint=pruning).network
    there = whole.state_dict()
    assert all(torch.equal(tensor, there[name]) for name, tensor in resumed.state_dict().items())


@pytest.mark.parametrize(
    ("setting", "key"),
    [
        ("sparsity=1.0", "prune.sparsity"),
        ("output_sparsity=1.0", "prune.output_sparsity"),
        ("every=0.0", "prune.every"),
        ("until=1.5", "prune.until"),
        ("regrow_share=1.0", "prune.regrow_share"),
        ("regrow=gradient unit=neurons", "prune.regrow"),
        ("output_sparsity=0.1 unit=neurons", "prune.output_sparsity"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(setting: str, key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        with_settings(PruneConfig(), setting.split())


def test_neurons_of_branching_layers_are_refused() -> None:
    class Branch(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Linear(4, 4)

        def forward(self, x: nn.Spikes) -> Tensor:
            current = self.inner(x)
            assert isinstance(current, Tensor)
            return current

    network = Network([Branch(), LIF(NeuronConfig(), 4)])
    with pytest.raises(ConfigError, match="branches"):
        Pruning(PruneConfig(0.5, unit="neurons"), network, 1)
    Pruning(dataclasses.replace(PruneConfig(), sparsity=0.5), network, 1)


def test_a_compression_prunes_and_a_further_one_goes_on_from_there(
    run: RunConfig, training: TrainingData, tmp_path: Path
) -> None:
    train.fit(run, training, tmp_path / "run")
    start = compress.load(tmp_path / "run")
    config = CompressConfig(prune=PruneConfig(0.6, every=0.5), train=run.train)
    compress.compress(start.network, start.run, config, training, tmp_path / "a")
    first = compress.load(tmp_path / "a")
    assert sparsity_of(first.network) == pytest.approx(0.6, abs=4e-3)
    more = CompressConfig(prune=PruneConfig(0.8, by="activity", every=0.5), train=run.train)
    compress.compress(first.network, first.run, more, training, tmp_path / "b", lineage=first.lineage)
    second = compress.load(tmp_path / "b")
    assert sparsity_of(second.network) == pytest.approx(0.8, abs=4e-3)
    for (_, layer), (_, before) in zip(synapses(second.network), synapses(first.network), strict=True):
        assert not (mask_of(layer) & ~mask_of(before)).any()
