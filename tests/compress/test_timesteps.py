"""Fewer timesteps: trained at T, fine-tuned to fewer, lowered with them; a compressed run can exit early."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from leanspike import compress, data, train
from leanspike.compress import CompressConfig, PruneConfig, WeightBits
from leanspike.core.records import with_settings
from leanspike.ir import raw_samples, run_fast
from leanspike.lower import LowerConfig
from leanspike.lower.runs import lower_network
from leanspike.models import ModelConfig
from leanspike.nn import LIF, Network, NeuronConfig
from leanspike.train import RunConfig, TrainConfig


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("base") / "run"
    quick = TrainConfig(epochs=10, learning_rate=5e-3)
    model = ModelConfig(hidden=(32,), readout="count")
    neuron = NeuronConfig(threshold=2.0)
    train.fit(RunConfig(timesteps=8, neuron=neuron, model=model, train=quick), data.load("digits").training_only(), out)
    return out


def accuracy(network: Network, run: RunConfig) -> float:
    return train.evaluate(network, data.load("digits").test(), run).accuracy


def test_fine_tuning_to_fewer_steps_regains_what_cutting_them_off_costs(base: Path, tmp_path: Path) -> None:
    start, digits = compress.load(base), data.load("digits")
    cut_off = accuracy(start.network, replace(start.run, timesteps=3))
    config = CompressConfig(timesteps=3, train=with_settings(start.run, ["train.epochs=6"]).train)
    compress.compress(start.network, start.run, config, digits.training_only(), tmp_path / "short")
    short = compress.load(tmp_path / "short")
    assert short.run.timesteps == 3
    assert accuracy(short.network, short.run) > cut_off + 0.03
    assert accuracy(short.network, short.run) > accuracy(start.network, start.run) - 0.06
    program = lower_network(short.network, short.run, digits).program
    assert program.steps == 3


@pytest.mark.parametrize("bits", [0, 4])
def test_a_compressed_run_exits_early_where_its_scores_lie_apart(base: Path, bits: int) -> None:
    start, digits = compress.load(base), data.load("digits")
    settings = [f"bits={bits}"]
    config = CompressConfig(
        timesteps=6,
        weights=with_settings(WeightBits(), settings),
        prune=PruneConfig(0.5, every=0.5),
        train=with_settings(start.run, ["train.epochs=2"]).train,
    )
    lean = compress.compress(start.network, start.run, config, digits.training_only())
    program = lower_network(lean.network, lean.run, digits, LowerConfig(exit_margin=2)).program
    raw = raw_samples(program, digits.test().x)
    trace = run_fast(program, raw)
    assert trace.steps.max() <= 6
    assert trace.steps.min() < 6
    full = run_fast(lower_network(lean.network, lean.run, digits).program, raw)
    assert (trace.predictions == full.predictions).mean() > 0.9


def test_norms_through_time_serve_fewer_steps(tmp_path: Path) -> None:
    training = data.load("digits").training_only()
    model = ModelConfig(hidden=(16,), norm="bntt")
    run = RunConfig(timesteps=5, model=model, train=TrainConfig(epochs=2, learning_rate=5e-3))
    train.fit(run, training, tmp_path / "run")
    start = compress.load(tmp_path / "run")
    config = CompressConfig(timesteps=3, train=run.train)
    compress.compress(start.network, start.run, config, training, tmp_path / "short")
    found = compress.load(tmp_path / "short")
    spikes = found.network.trace(torch.rand(3, 2, 64))[0][0]
    assert spikes.shape[0] == 3
    assert any(isinstance(layer, LIF) for layer in found.network.layers)
