"""Lean networks as programs: neurons that went are not there, connections that went are not stored, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from leanspike import compress, data, ir, train
from leanspike.compress import ActivationConfig, CompressConfig, MembraneBits, ThresholdConfig, WeightBits
from leanspike.compress.channels import Calibration, hidden_layers
from leanspike.compress.prune import PruneConfig, prune_connections, prune_neurons, sparsity_of
from leanspike.ir import raw_samples
from leanspike.ir.counts import synaptic_operations
from leanspike.lower.runs import lower_network
from leanspike.models import ModelConfig
from leanspike.nn import Network
from leanspike.train import RunConfig, TrainConfig, build_network


def network_of(model: ModelConfig) -> tuple[Network, RunConfig]:
    digits = data.load("digits")
    run = RunConfig(timesteps=4, model=model)
    torch.manual_seed(3)
    network = build_network(run, digits.shape, 10)
    with torch.no_grad():
        network.train()
        network(Calibration.of(network, run, digits.training_only()).x)
    return network.eval(), run


def program_of(network: Network, run: RunConfig) -> ir.Program:
    return lower_network(network, run, data.load("digits")).program


@pytest.mark.parametrize(
    "model",
    [ModelConfig(hidden=(24, 16)), ModelConfig(kind="convnet", channels=(8, 12), norm="batch")],
    ids=["dense", "convnet"],
)
def test_pruned_neurons_leave_the_program_and_their_operations_with_them(model: ModelConfig) -> None:
    network, run = network_of(model)
    before = program_of(network, run)
    prune_neurons(network, 0.5, PruneConfig(0.5, unit="neurons"))
    after = program_of(network, run)

    def channels(program: ir.Program) -> list[int]:
        return [op.result.shape[-1] for op in program.operations if isinstance(op, ir.LIF)]

    halves = [layer.channels // 2 for layer in hidden_layers(network)]
    assert all(found > half for found, half in zip(channels(before), halves, strict=True))
    assert all(found <= half for found, half in zip(channels(after), halves, strict=True))
    raw = raw_samples(before, data.load("digits").x_test[:50])
    done = [sum(int(n.sum()) for n in synaptic_operations(program, raw).values()) for program in (before, after)]
    assert done[1] < 0.7 * done[0]


def test_pruned_connections_are_not_stored_and_not_executed() -> None:
    network, run = network_of(ModelConfig(hidden=(64,)))
    before = program_of(network, run)
    prune_connections(network, 0.95, PruneConfig(0.95))
    after = program_of(network, run)
    assert any(array.form == "sparse" for array in after.arrays.values())
    raw = raw_samples(before, data.load("digits").x_test[:50])
    done = [sum(int(n.sum()) for n in synaptic_operations(program, raw).values()) for program in (before, after)]
    assert done[1] < 0.15 * done[0]


def test_everything_at_once_is_one_fine_tuning_and_one_program(tmp_path: Path) -> None:
    digits = data.load("digits")
    quick = TrainConfig(epochs=3, learning_rate=1e-2)
    run = RunConfig(timesteps=4, model=ModelConfig(kind="convnet", channels=(8, 12), norm="batch"), train=quick)
    train.fit(run, digits.training_only(), tmp_path / "run")
    start = compress.load(tmp_path / "run")
    config = CompressConfig(
        timesteps=3,
        weights=WeightBits(4),
        membrane=MembraneBits("ternary"),
        prune=PruneConfig(0.6, every=0.25, regrow="gradient"),
        threshold=ThresholdConfig(learn=True, per_channel=True, gamma=0.0),
        activation=ActivationConfig(pressure=0.2),
        train=TrainConfig(epochs=2, learning_rate=2e-3),
    )
    compress.compress(start.network, start.run, config, digits.training_only(), tmp_path / "lean")
    lean = compress.load(tmp_path / "lean")
    assert sparsity_of(lean.network) >= 0.59
    lowered = lower_network(lean.network, lean.run, digits)
    assert lowered.program.steps == 3
    raw = raw_samples(lowered.program, digits.x_test[:100])
    floats = train.evaluate(lean.network, digits.test(), lean.run).predictions[:100]
    assert (ir.run_fast(lowered.program, raw).predictions == floats).all()
