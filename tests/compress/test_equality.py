"""A quantised network equals its program to the last bit: scores, spikes and potentials."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from leanspike import ir, models
from leanspike.compress import (
    CompressConfig,
    MembraneBits,
    StageIntegers,
    WeightBits,
    integer_scores,
    integer_trace,
    quantised_stages,
)
from leanspike.compress.run import prepared
from leanspike.core.errors import LoweringError
from leanspike.data import TrainingData
from leanspike.encode import EncoderConfig
from leanspike.ir import intmath
from leanspike.lower import Encoded, LowerConfig, Lowered, lower, shrink
from leanspike.models import ModelConfig
from leanspike.nn import LIF, AvgPool2d, BatchNorm, Conv2d, Flatten, Linear, Network, NeuronConfig, SumPool2d
from leanspike.train import RunConfig, TrainConfig

STEPS = 5
SHAPES = {"mlp": (1, 7, 7), "convnet": (2, 8, 8)}
NEURON = NeuronConfig(beta=0.9, threshold=0.4, learn_beta=True, learn_threshold=True, per_channel=True)
WEIGHTS, MEMBRANES = (8, 4, 2, "ternary"), (0, 8, 4, 2, "ternary")


@pytest.fixture(autouse=True)
def _every_neuron_stays(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that neurons can be compared one by one; what compaction takes away is held to its scores."""
    if request.function is not test_a_compacted_program_has_the_networks_scores:
        monkeypatch.setattr(shrink, "compacted", lambda program: program)


def training_data(shape: tuple[int, ...]) -> TrainingData:
    random = np.random.default_rng(1)
    x = random.integers(0, 256, (64, *shape)).astype(np.uint8)
    return TrainingData("random", x, random.integers(0, 5, 64), tuple("abcde"), "images", "none", "drawn")


def network(kind: str, seed: int = 0, readout: str = "membrane_mean", norm: str = "none", **neuron: Any) -> Network:
    torch.manual_seed(seed)
    config = ModelConfig(kind=kind, hidden=(40, 24), channels=(6, 9), readout=readout, norm=norm, dropout=0.1)
    made = models.build(config, replace(NEURON, **neuron), SHAPES[kind], 5, STEPS)
    for layer in made.modules():
        if isinstance(layer, LIF):
            layer.beta.data.uniform_(0.6, 1.0)
            layer.threshold.data.uniform_(0.2, 0.6)
        elif isinstance(layer, Linear | Conv2d):
            layer.weight.data.mul_(2.0)
        elif isinstance(layer, BatchNorm):
            layer.norm.running_mean.uniform_(-0.2, 0.2)
            layer.norm.running_var.uniform_(0.1, 0.4)
            layer.norm.weight.data.uniform_(-1, 1)
            layer.norm.bias.data.uniform_(-0.3, 0.3)
    return made


def lean(made: Network, weights: WeightBits, membrane: MembraneBits, kind: str, encoder: str) -> Network:
    run = RunConfig(timesteps=STEPS, encoder=EncoderConfig(kind=encoder), train=TrainConfig())
    config = CompressConfig(weights=weights, membrane=membrane)
    return prepared(made, config, run, training_data(SHAPES[kind]))


def lowered(quantised: Network, kind: str, encoder: str) -> Lowered:
    return lower(quantised, Encoded(EncoderConfig(kind=encoder), SHAPES[kind], STEPS, seed=3))


def check_equal(quantised: Network, program: ir.Program, samples: int = 24, potentials: bool = True) -> float:
    """Everything that the reference records equals the network's; the share of neurons and steps that fired."""
    random = np.random.default_rng(5)
    raw = random.integers(0, 256, (samples, *program.input.raw.shape)).astype(program.input.raw.type.dtype)
    trace = ir.run(program, raw, record=True)
    encoded = ir.encodings.encode(program, raw).astype(np.float32)
    direct = program.input.result.type.bits > 1
    x = torch.from_numpy(encoded / np.float32(255) if direct else encoded)
    x = x.permute(0, 1, 4, 2, 3) if x.dim() == 5 else x
    assert np.array_equal(integer_scores(quantised, x), trace.scores)
    fired = []
    neurons = [op for op in program.operations if isinstance(op, ir.LIF | ir.Integrate)]
    traced, stages = integer_trace(quantised, x), quantised_stages(quantised)
    for op, (spikes, u), own in zip(neurons, traced, stages, strict=True):
        if u.ndim == 5:
            spikes, u = np.moveaxis(spikes, 2, -1), np.moveaxis(u, 2, -1)
        if isinstance(op, ir.LIF):
            assert np.array_equal(spikes, trace.step_spikes[op.result.name]), op.result.name
            fired.append(spikes.mean())
        if potentials and not (isinstance(op, ir.LIF) and op.refractory):
            assert np.array_equal(carried(op, own, spikes.astype(bool), u), trace.step_states[op.state]), op.state
    return float(np.mean(fired))


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(("weights", "membrane"), [(8, 0), (4, 8), ("ternary", 4)])
@pytest.mark.parametrize(("kind", "encoder"), [("mlp", "direct"), ("mlp", "rate"), ("convnet", "rate")])
def test_thresholds_that_adapt(kind: str, encoder: str, weights: Any, membrane: Any, reset: str) -> None:
    made = network(kind, readout="count", reset=reset, adapt_strength=0.3, adapt_decay=0.8)
    quantised = lean(made, WeightBits(weights), MembraneBits(membrane), kind, encoder)
    program = lowered(quantised, kind, encoder).program
    assert all(op.adapt is not None for op in program.spiking)
    assert check_equal(quantised, program, potentials=False) > 0.02


def carried(op: Any, own: StageIntegers, spikes: Any, u: Any) -> Any:
    """What a program keeps of potentials before reset."""
    if own.threshold is None:
        return u
    amount = own.threshold if own.amount is None else own.amount
    return intmath.stored(intmath.reset(u, spikes, amount, op.reset), own.codec)


@pytest.mark.parametrize("encoder", ["direct", "rate"])
@pytest.mark.parametrize(("weights", "membrane"), list(itertools.product(WEIGHTS, MEMBRANES)))
@pytest.mark.parametrize("kind", ["mlp", "convnet"])
def test_every_width_equals_its_program(kind: str, weights: Any, membrane: Any, encoder: str) -> None:
    quantised = lean(network(kind), WeightBits(weights), MembraneBits(membrane), kind, encoder)
    program = lowered(quantised, kind, encoder).program
    assert check_equal(quantised, program) > 0.02


@pytest.mark.parametrize("readout", ["count", "first_spike", "membrane_last", "membrane_max"])
@pytest.mark.parametrize(("reset", "refractory"), [("subtract", 0), ("zero", 0), ("subtract", 2), ("zero", 1)])
def test_every_readout_and_reset(readout: str, reset: Any, refractory: int) -> None:
    made = network("mlp", readout=readout, reset=reset, refractory=refractory)
    quantised = lean(made, WeightBits(4), MembraneBits("ternary"), "mlp", "direct")
    assert check_equal(quantised, lowered(quantised, "mlp", "direct").program) > 0.02


@pytest.mark.parametrize("encoder", ["latency", "direct"])
@pytest.mark.parametrize(("kind", "norm"), [("mlp", "batch"), ("convnet", "tdbn")])
def test_folded_norms_sawb_and_a_scale_a_layer(kind: str, norm: str, encoder: str) -> None:
    for weights in (WeightBits(4, "sawb"), WeightBits(2, "sawb"), WeightBits(8, per_channel=False)):
        quantised = lean(network(kind, norm=norm).eval(), weights, MembraneBits(4), kind, encoder)
        assert check_equal(quantised, lowered(quantised, kind, encoder).program) > 0.02


@pytest.mark.parametrize("weights", [0, 16])
def test_weights_of_16_bits_and_sums_that_float32_cannot_hold(weights: Any) -> None:
    quantised = lean(network("mlp"), WeightBits(weights), MembraneBits(8), "mlp", "direct")
    assert max(np.abs(stage.weight).sum(0).max() for stage in quantised_stages(quantised)) * 255 > 1 << 24
    assert check_equal(quantised, lowered(quantised, "mlp", "direct").program) > 0.02


def test_resets_by_an_own_amount_pools_that_add_and_strides() -> None:
    torch.manual_seed(0)
    own = LIF(NEURON, 12, torch.rand(12))
    layers = [Conv2d(2, 6, 3, 1, 2), LIF(NEURON, 6), SumPool2d(2), Flatten(), Linear(24, 12), own, Linear(12, 5)]
    made = Network([*layers, LIF(NEURON, 5)])
    made.layers[0].weight.data.mul_(3)
    quantised = lean(made, WeightBits(4), MembraneBits(2), "convnet", "direct")
    assert check_equal(quantised, lowered(quantised, "convnet", "direct").program) > 0.02


def test_binary_images_of_one_step_are_raw_integers_too() -> None:
    quantised = lean(network("mlp"), WeightBits(4), MembraneBits(), "mlp", "direct")
    program = lower(quantised, Encoded(EncoderConfig(), SHAPES["mlp"], 1)).program
    raw = np.random.default_rng(0).integers(0, 2, (6, *program.input.raw.shape)) * 255
    scores = integer_scores(quantised, torch.from_numpy(raw / 255).float().permute(0, 3, 1, 2)[None])
    assert np.array_equal(scores, ir.run(program, raw).scores)


def test_what_lowering_refuses() -> None:
    quantised = lean(network("mlp"), WeightBits(4), MembraneBits(2), "mlp", "direct")
    where = Encoded(EncoderConfig(), SHAPES["mlp"], STEPS)
    for key, value in (("weight_bits", 6), ("leak_bits", 12), ("input_bits", 4)):
        with pytest.raises(LoweringError, match=f"lower.{key}: a quantised network brings its own widths"):
            lower(quantised, where, LowerConfig(**{key: value}))
    with pytest.raises(LoweringError, match="lower it with the encoder"):
        lower(quantised, replace(where, encoder=EncoderConfig(gain=0.5)))


def test_a_network_that_is_not_its_program_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    quantised = lean(network("mlp"), WeightBits(4), MembraneBits(2), "mlp", "direct")
    real = intmath.fire
    monkeypatch.setattr(
        intmath, "fire", lambda u, theta: real(u, theta) if isinstance(u, np.ndarray) else u > theta + 9
    )
    with pytest.raises(LoweringError, match="not the quantised network's"):
        lowered(quantised, "mlp", "direct")


def test_a_compacted_program_has_the_networks_scores() -> None:
    quantised = lean(network("mlp", norm="batch").eval(), WeightBits(4, "sawb"), MembraneBits(4), "mlp", "direct")
    program = lowered(quantised, "mlp", "direct").program
    assert sum(program.values[op.result.name].shape[0] for op in program.spiking) < 40 + 24
    raw = np.random.default_rng(5).integers(0, 256, (24, *program.input.raw.shape))
    x = torch.from_numpy(raw / 255).float().permute(0, 3, 1, 2).expand(STEPS, -1, -1, -1, -1)
    assert np.array_equal(integer_scores(quantised, x), ir.run(program, raw).scores)


def test_average_pools_are_sums_in_the_program_and_pass_gradients() -> None:
    torch.manual_seed(0)
    layers = [Conv2d(2, 6), LIF(NEURON, 6), AvgPool2d(2), Flatten(), Linear(96, 5), LIF(NEURON, 5)]
    layers[0].weight.data.mul_(3)
    quantised = lean(Network(layers), WeightBits(4), MembraneBits(2), "convnet", "direct")
    assert check_equal(quantised, lowered(quantised, "convnet", "direct").program) > 0.02
    x = torch.randint(0, 256, (1, 8, *SHAPES["convnet"])).float().div(255).expand(STEPS, -1, -1, -1, -1)
    output = quantised.train()(x)
    assert output.spikes is not None
    output.spikes.sum().backward()
    assert float(quantised.layers[0].weight.grad.abs().max()) > 0
