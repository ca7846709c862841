"""Masks and constraints in the training loop: pruned weights stay 0, and a killed run ends in the same bytes."""

from __future__ import annotations

import dataclasses
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_processes import PROCESSES, digest, kill_after

from leanspike import data, train
from leanspike.core.errors import CheckpointError
from leanspike.core.records import with_settings
from leanspike.data import TrainingData
from leanspike.nn import LIF, Conv2d, Flatten, Linear, Network, NeuronConfig, Output
from leanspike.nn.bounds import hold
from leanspike.train import Constraint, RunConfig, Together
from leanspike.train.checkpoint import load


def synapses(network: nn.Module) -> list[Linear]:
    return [layer for layer in network.modules() if isinstance(layer, Linear)]


class SmallestHalf(Constraint):
    """Prunes the smaller half of each layer when the first epoch is done, and counts the steps after."""

    settled_at = 1.0

    def facts(self) -> dict[str, Any]:
        return {"share": 0.5}

    def after_step(self, network: nn.Module, position: float) -> None:
        if position < 1.0:
            return
        steps = self.memory.setdefault("steps", torch.zeros(()))
        if not steps:
            for layer in synapses(network):
                layer.prune(layer.weight.abs() > layer.weight.abs().median())
        steps += 1


class Quiet(Constraint):
    """A term of the loss that wants silence."""

    sees_output = True

    def extra_loss(self, network: Network, output: Output) -> Tensor | None:
        assert network.training
        return 10 * torch.stack([spikes.rate() for spikes in output.hidden]).mean()


def test_zeroed_gradients_do_not_hold_a_weight_under_adam_but_the_mask_does() -> None:
    def two_steps(held: bool) -> Tensor:
        torch.manual_seed(0)
        layer = Linear(6, 4)
        adam = torch.optim.Adam(layer.parameters(), lr=0.1)
        mask = torch.rand(6, 4) < 0.5
        for pruned in (False, True):
            adam.zero_grad(set_to_none=True)
            layer(torch.rand(3, 5, 6)).square().sum().backward()
            if pruned:
                assert layer.weight.grad is not None
                layer.weight.grad[~mask] = 0
            if pruned and held:
                layer.prune(mask)
            elif pruned:
                with torch.no_grad():
                    layer.weight[~mask] = 0
            adam.step()
            if held:
                hold(layer)
        return layer.weight.detach()[~mask]

    zombies = two_steps(held=False)
    assert (zombies.abs() > 0.01).all(), "the fault that masks are for is gone: momentum moved no pruned weight"
    assert not two_steps(held=True).any()


@pytest.mark.parametrize(
    "setting",
    [
        "train.optimizer=adam",
        "train.optimizer=adamw train.weight_decay=0.1",
        "train.optimizer=sgd",
        "train.ema=0.9",
        "model.norm=batch",
        "model.kind=convnet model.channels=[4] train.epochs=2",
    ],
)
def test_pruned_weights_are_zero_after_training(config: RunConfig, training: TrainingData, setting: str) -> None:
    result = train.fit(with_settings(config, setting.split()), training, constraint=SmallestHalf())
    layers = synapses(result.network)
    assert layers
    for layer in layers:
        assert layer.mask is not None
        assert 0.45 < float(layer.mask.float().mean()) < 0.55
        assert not layer.weight[~layer.mask].any()
        assert layer.weight[layer.mask].all()
    assert result.best_epoch > 1


def test_a_network_with_masks_stays_pruned_in_further_training(config: RunConfig, training: TrainingData) -> None:
    pruned = train.fit(config, training, constraint=SmallestHalf()).network
    masks = [layer.mask.clone() for layer in synapses(pruned) if layer.mask is not None]
    further = train.fit(dataclasses.replace(config, seed=4), training, network=pruned.train()).network
    for layer, mask in zip(synapses(further), masks, strict=True):
        assert layer.mask is not None
        assert torch.equal(layer.mask, mask)
        assert not layer.weight[~mask].any()


def test_an_output_without_connections_loses_its_bias_and_is_silent() -> None:
    layer, neurons = Linear(5, 3), LIF(NeuronConfig(), 3)
    with torch.no_grad():
        layer.bias += 10.0  # type: ignore[misc]
    mask = torch.ones(5, 3, dtype=torch.bool)
    mask[:, 1] = False
    layer.prune(mask)
    spikes, _, _ = neurons(layer(torch.rand(4, 2, 5)))
    assert spikes.dense().sum((0, 1)).gt(0).tolist() == [True, False, True]


def test_masks_are_those_of_the_state_dict_that_is_loaded() -> None:
    plain, pruned = Linear(5, 3), Linear(5, 3)
    pruned.prune(torch.rand(5, 3) < 0.5)
    assert "mask" not in plain.state_dict()
    other = Linear(5, 3)
    other.load_state_dict(pruned.state_dict())
    assert other.mask is not None
    assert pruned.mask is not None
    assert torch.equal(other.mask, pruned.mask)
    other.load_state_dict(plain.state_dict())
    assert other.mask is None
    with pytest.raises(ValueError, match="bool"):
        other.prune(torch.ones(5, 3))


def test_a_stored_run_keeps_its_masks(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    result = train.fit(config, training, tmp_path, constraint=SmallestHalf())
    _, network = train.load_network(tmp_path)
    for layer, stored in zip(synapses(result.network), synapses(network), strict=True):
        assert layer.mask is not None
        assert stored.mask is not None
        assert torch.equal(layer.mask, stored.mask)


def test_an_extra_loss_is_learned_from_also_where_batches_are_cut(config: RunConfig, training: TrainingData) -> None:
    config = with_settings(config, ["encoder.kind=rate", "train.epochs=2"])
    plain, quiet = train.fit(config, training), train.fit(config, training, constraint=Quiet())
    assert sum(quiet.history[-1].rates) < sum(plain.history[-1].rates)


def test_constraints_together_keep_their_memories_apart() -> None:
    one, other = Constraint(), Constraint()
    one.memory, other.memory = {"a": torch.ones(1)}, {"a": torch.zeros(2)}
    kept = Together([one, other]).remembered()
    fresh = [Constraint(), Constraint()]
    Together(fresh).recall(kept)
    assert torch.equal(fresh[0].memory["a"], torch.ones(1))
    assert torch.equal(fresh[1].memory["a"], torch.zeros(2))


def test_a_run_is_not_resumed_under_another_constraint(
    config: RunConfig, training: TrainingData, tmp_path: Path
) -> None:
    train.fit(config, training, tmp_path)
    with pytest.raises(CheckpointError, match="share"):
        train.fit(config, training, tmp_path, constraint=SmallestHalf())


def _run(config: RunConfig, out: Path) -> None:
    torch.set_num_threads(1)
    training = data.load("digits").training_only()
    train.fit(config, training, out, constraint=Together([SmallestHalf(), Quiet()]), checkpoint_seconds=0.0)


def test_a_pruning_run_that_is_killed_and_resumed_gives_the_same_bytes(config: RunConfig, tmp_path: Path) -> None:
    config = with_settings(config, ["train.ema=0.9"])
    _run(config, tmp_path / "whole")
    draws, out, kills = random.Random(3), tmp_path / "killed", 0
    for _ in range(60):
        process = PROCESSES.Process(target=_run, args=(config, out))
        process.start()
        kill_after(process, out / "checkpoint.json", draws.randrange(6, 12), draws.uniform(0.0, 0.02))
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
    assert kills >= 2, "the run was not killed often enough to show anything"
    assert digest(out / "network.safetensors") == digest(tmp_path / "whole" / "network.safetensors")
    whole, resumed = load(tmp_path / "whole")[0], load(out)[0]
    assert whole is not None
    assert resumed is not None
    assert all(torch.equal(tensor, resumed.tensors[name]) for name, tensor in whole.tensors.items())


def test_a_pruned_connection_is_no_operation() -> None:
    torch.manual_seed(0)
    conv, dense = Conv2d(1, 4), Linear(4 * 36, 3)
    network = Network([conv, LIF(NeuronConfig(threshold=0.2), 4), Flatten(), dense, LIF(NeuronConfig(), 3)])
    x = torch.rand(1, 2, 1, 6, 6).expand(5, -1, -1, -1, -1)
    for layer in (conv, dense):
        layer.prune(torch.rand(layer.weight.shape) < 0.4)
    found, (spikes, _) = network.operations(x), network.trace(x)[0]
    assert conv.mask is not None
    assert dense.mask is not None
    taps = torch.nn.functional.conv2d(x[0].ne(0).float(), conv.mask.permute(3, 2, 0, 1).float(), padding=1)
    assert found.macs == pytest.approx(float(taps.sum()) / 2)
    reached = spikes.permute(0, 1, 3, 4, 2).flatten(2) @ dense.mask.float()
    assert found.acs == pytest.approx(float(reached.sum()) / 2)
