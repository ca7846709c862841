"""Training on circuits whose parts are off: gradients of the clean parameters, resumed bit for bit, and worth it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from leanspike import train
from leanspike.core.errors import ConfigError
from leanspike.core.records import with_settings
from leanspike.data import Dataset, TrainingData
from leanspike.nn import LIF, Linear, Network
from leanspike.train import MismatchConfig, Progress, RunConfig
from leanspike.train.mismatch import check_mismatch, mismatched

NOISE = [
    "train.mismatch.weight=0.2",
    "train.mismatch.gain=0.1",
    "train.mismatch.threshold=0.2",
    "train.mismatch.leak=0.2",
]


def state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def build(config: RunConfig, *settings: str) -> Network:
    torch.manual_seed(0)
    return train.build_network(with_settings(config, settings), (1, 8, 8), 10)


def test_the_clean_network_comes_back_bit_for_bit_even_after_a_failure(config: RunConfig) -> None:
    network = build(config)
    before = state(network)
    lent: dict[str, torch.Tensor] = {}

    def fail() -> None:
        with mismatched(network, MismatchConfig(0.3, 0.2, 0.2, 0.1), 5):
            lent.update(state(network))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    after = state(network)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    differing = {
        name for name in before if lent[name].shape != before[name].shape or not torch.equal(lent[name], before[name])
    }
    assert differing == set(before)


def test_draws_have_their_spread_and_are_a_function_of_the_seed(config: RunConfig) -> None:
    network = build(config, "model.hidden=[400]")
    layer = next(layer for layer in network.modules() if isinstance(layer, Linear))
    neurons = next(layer for layer in network.modules() if isinstance(layer, LIF))
    clean, beta = layer.weight.detach().clone(), float(neurons.beta)
    seen = []
    for seed in (1, 1, 2):
        with mismatched(network, MismatchConfig(weight=0.2, threshold=0.1, leak=0.3), seed):
            seen.append((torch.log(layer.weight.detach() / clean), neurons.threshold.clone(), neurons.beta.clone()))
    assert all(torch.equal(a, b) for a, b in zip(seen[0], seen[1], strict=True))
    assert not torch.equal(seen[0][0], seen[2][0])
    weight, threshold, leak = seen[0]
    assert float(weight.std()) == pytest.approx(0.2, rel=0.05)
    assert float(torch.log(threshold).std()) == pytest.approx(0.1, rel=0.15)
    assert float(torch.log(torch.log(leak) / math.log(beta)).std()) == pytest.approx(0.3, rel=0.15)
    with mismatched(network, MismatchConfig(gain=0.2), 3):
        ratio = torch.log(layer.weight.detach() / clean)
    assert float(ratio.std(0).max()) < 1e-3
    assert float(ratio[0].std()) == pytest.approx(0.2, rel=0.15)


def test_gradients_are_those_of_the_clean_parameters(config: RunConfig) -> None:
    """Against the derivative of the loss of the same circuit by each clean parameter, by finite differences."""
    learned = ("neuron.learn_threshold=true", "neuron.learn_beta=true", "neuron.per_channel=true")
    network = build(config, *learned).double()
    noise = MismatchConfig(0.2, 0.1, 0.2, 0.3)
    layer = next(layer for layer in network.modules() if isinstance(layer, Linear))
    neurons = next(layer for layer in network.modules() if isinstance(layer, LIF))

    def loss() -> torch.Tensor:
        bias = layer.bias
        assert bias is not None
        return (layer.weight**2).sum() + (bias**3).sum() + (neurons.threshold**2).sum() + (neurons.beta**2).sum()

    with mismatched(network, noise, 7):
        loss().backward()  # type: ignore[no-untyped-call]
    for parameter in (layer.weight, layer.bias, neurons.threshold, neurons.beta):
        assert parameter is not None
        assert parameter.grad is not None
        flat, at = parameter.detach().view(-1), 3
        values, step = [], 1e-6
        for sign in (1, -1):
            flat[at] += sign * step
            with mismatched(network, noise, 7):
                values.append(float(loss().detach()))
            flat[at] -= sign * step
        assert float(parameter.grad.view(-1)[at]) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


class _Cut(Progress):
    """Stops the process that trains, as a kill would."""

    def __init__(self, after: int) -> None:
        self.left = after

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


def test_a_run_that_was_cut_ends_in_the_same_weights(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    noisy = with_settings(config, NOISE)
    whole = train.fit(noisy, training, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train.fit(noisy, training, tmp_path / "cut", progress=_Cut(14), checkpoint_seconds=0.0)
    resumed = train.fit(noisy, training, tmp_path / "cut")
    ends = [list(result.network.state_dict().values()) for result in (whole, resumed)]
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))
    plain = train.fit(config, training)
    assert not torch.equal(next(plain.network.parameters()), next(whole.network.parameters()))


def test_pruned_synapses_stay_pruned(config: RunConfig) -> None:
    network = build(config)
    layer = next(layer for layer in network.modules() if isinstance(layer, Linear))
    layer.prune(torch.arange(layer.weight.numel()).view_as(layer.weight) % 2 == 0)
    with mismatched(network, MismatchConfig(weight=0.5), 1):
        assert bool((layer.weight == 0)[layer.mask == 0].all())


def test_what_cannot_be_perturbed_is_refused(config: RunConfig) -> None:
    noise = MismatchConfig(threshold=0.1)
    with pytest.raises(ConfigError, match=r"train.mismatch: each neuron needs a threshold.*per_channel=true"):
        check_mismatch(build(config, "neuron.learn_threshold=true"), noise)
    check_mismatch(build(config, "neuron.learn_beta=true"), noise)
    with pytest.raises(ConfigError, match="each neuron needs a beta"):
        check_mismatch(build(config, "neuron.learn_beta=true"), MismatchConfig(leak=0.1))
    with pytest.raises(ConfigError, match="no spiking neurons"):
        check_mismatch(nn.Linear(3, 2), noise)

    class Rounded(Linear):
        pass

    with pytest.raises(ConfigError, match="computes in integers"):
        check_mismatch(nn.Sequential(Rounded(3, 2)), noise)
    for key in ("weight", "gain", "threshold", "leak"):
        for value in ("-0.1", "1.5"):
            with pytest.raises(ConfigError, match=f"train.mismatch.{key}"):
                with_settings(config, [f"train.mismatch.{key}={value}"])


def test_it_buys_accuracy_back_on_circuits(config: RunConfig, training: TrainingData, digits: Dataset) -> None:
    settings = ["train.epochs=40", "train.loss=readout", "model.readout=membrane_mean", "train.schedule=cosine"]
    noise = MismatchConfig(weight=0.4, gain=0.3, threshold=0.3, leak=0.3)
    half = ["weight=0.2", "gain=0.15", "threshold=0.15", "leak=0.15"]
    found = []
    for extra in ([], [f"train.mismatch.{setting}" for setting in half]):
        run = with_settings(config, [*settings, *extra])
        network = train.fit(run, training).network
        right = []
        for circuit in range(10):
            with mismatched(network, noise, circuit):
                right.append(train.evaluate(network, digits.test(), run).accuracy)
        found.append(sum(right) / len(right))
    plain, trained = found
    assert trained > plain + 0.01
