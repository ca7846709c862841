"""Networks of every kind become programs by steps that check themselves; what a program cannot express is one line."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from leanspike import ir, models
from leanspike.core.errors import ConfigError, LoweringError, ProgramError
from leanspike.core.trace import mismatches
from leanspike.encode import EncoderConfig
from leanspike.lower import Encoded, LowerConfig, Lowered, lower
from leanspike.models import ModelConfig
from leanspike.nn import (
    LIF,
    BatchNorm,
    BatchNormThroughTime,
    Conv2d,
    Dropout,
    Flatten,
    LeakyIntegrator,
    Linear,
    MaxPool2d,
    Network,
    NeuronConfig,
    SumPool2d,
)

STEPS = 5
READOUTS = ("count", "first_spike", "membrane_last", "membrane_max", "membrane_mean")
NEURON = NeuronConfig(beta=0.9, threshold=0.3, learn_beta=True, learn_threshold=True, per_channel=True)
NAMES = ("read", "fold norms", "quantise", "assemble", "compact", "narrow", "store")


def stirred(network: Network, seed: int = 0) -> Network:
    """Norm statistics, leaks and thresholds as training could have left them."""
    random = torch.Generator().manual_seed(seed)

    def uniform(tensor: torch.Tensor, low: float, high: float) -> None:
        tensor.data.uniform_(low, high, generator=random)

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            uniform(module.running_mean, -0.2, 0.2)
            uniform(module.running_var, 0.05, 0.3)
            uniform(module.weight, -1.0, 1.0)
            uniform(module.bias, -0.3, 0.3)
        elif isinstance(module, BatchNormThroughTime):
            uniform(module.running_mean, -0.2, 0.2)
            uniform(module.running_var, 0.05, 0.1)
            uniform(module.weight, 0.5, 1.0)
            module.weight.data[:, ::3] *= -1
        elif isinstance(module, LIF | LeakyIntegrator):
            if isinstance(module.beta, torch.nn.Parameter):
                uniform(module.beta, 0.6, 1.05)
            if isinstance(module.threshold, torch.nn.Parameter):
                uniform(module.threshold, 0.1, 0.5)
    return network.eval()


def built(kind: str, norm: str, readout: str, shape: tuple[int, ...], **neuron: Any) -> Network:
    torch.manual_seed(1)
    config = ModelConfig(kind=kind, hidden=(24, 16), channels=(6, 8), norm=norm, readout=readout, dropout=0.2)
    return stirred(models.build(config, replace(NEURON, **neuron), shape, 5, STEPS))


def encoded(kind: str, shape: tuple[int, ...], **other: Any) -> Encoded:
    return Encoded(EncoderConfig(kind=kind), shape, STEPS, seed=5, **other)


def activity(found: Lowered) -> float:
    raw = np.random.default_rng(0).integers(0, 256, (8, *found.program.input.raw.shape))
    return float(np.mean([count.sum() for count in ir.run_fast(found.program, raw).spikes.values()] or [0]))


CASES = [
    *itertools.product(["mlp"], ["none", "batch", "tdbn", "bntt"], READOUTS, ["direct", "rate", "latency"]),
    *itertools.product(["convnet"], ["none", "batch", "tdbn", "bntt"], ["count", "membrane_mean"], ["direct", "rate"]),
]


@pytest.mark.parametrize(("kind", "norm", "readout", "encoder"), CASES)
def test_a_network_of_every_kind_becomes_a_program(kind: str, norm: str, readout: str, encoder: str) -> None:
    shape = (2, 8, 8) if kind == "convnet" else (1, 6, 6)
    found = lower(built(kind, norm, readout, shape), encoded(encoder, shape), name="of-every-kind")
    assert tuple(step.step for step in found.steps) == NAMES
    assert ir.violations(found.program) == []
    assert found.program.readout.kind == readout
    assert activity(found) > 0
    assert "scores of 100%" in found.steps[1].seen
    assert "scores equal those of the integer stages" in found.steps[3].seen


@pytest.mark.parametrize(("reset", "refractory"), [("subtract", 1), ("zero", 0), ("zero", 2)])
@pytest.mark.parametrize("norm", ["none", "batch"])
def test_resets_and_refractory_periods(norm: str, reset: str, refractory: int) -> None:
    network = built("mlp", norm, "count", (1, 6, 6), reset=reset, refractory=refractory)
    program = lower(network, encoded("direct", (1, 6, 6))).program
    for op in program.spiking:
        assert (op.reset, op.refractory, op.hold is not None) == (reset, refractory, refractory > 0)


@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize(
    ("kind", "strength", "decay"), [("mlp", 0.4, 0.9), ("recurrent", 0.2, 0.98), ("mlp", 4.0, 0.0)]
)
def test_thresholds_that_adapt(kind: str, strength: float, decay: float, reset: str) -> None:
    settings = {"reset": reset, "refractory": 1, "adapt_strength": strength, "adapt_decay": decay}
    found = lower(built(kind, "batch", "count", (36,), **settings), encoded("direct", (36,)))
    adapting = [op for op in found.program.spiking if op.adapt is not None]
    assert len(adapting) == len(found.program.spiking)
    assert activity(found) > 0.02
    raw = np.random.default_rng(0).integers(0, 256, (8, 36))
    trace = ir.run(found.program, raw, record=True)
    assert all(trace.step_states[op.adapt].max() > 0 for op in adapting if op.adapt)
    jumps = {op.adapt_jump for op in adapting}
    doubled = {name: replace(array, type=ir.IntType(31, False), values=2 * array.values.astype(np.int64))
               for name, array in found.program.arrays.items() if name in jumps}  # fmt: skip
    quieter = ir.run(replace(found.program, arrays=dict(found.program.arrays) | doubled), raw)
    before, after = (sum(s.sum() for s in one.spikes.values()) for one in (trace, quieter))
    assert after < before or not decay


def test_learned_leaks_and_thresholds_of_each_channel() -> None:
    network = built("mlp", "none", "count", (1, 6, 6))
    found = lower(network, encoded("direct", (1, 6, 6)))
    for i, layer in enumerate(module for module in network.layers if isinstance(module, LIF)):
        multiplier = found.program.array(f"m{i + 1}")
        beta, threshold = layer.parameters_for((layer.channels,))
        assert multiplier.shape == (1, layer.channels)
        assert np.array_equal(multiplier[0], np.rint(beta.detach().numpy() * 1024))
        assert found.program.array(f"t{i + 1}").shape == (1, layer.channels)
        assert (beta <= 1).all()
        assert (threshold > 0).all()


def test_a_delta_series_of_floats() -> None:
    torch.manual_seed(0)
    network = stirred(Network([Linear(6, 12), LIF(NEURON, 12), Linear(12, 3), LIF(NEURON, 3)]))
    series = Encoded(EncoderConfig(kind="delta", threshold=0.1), (3, 20), 20, exact_bytes=False)
    program = lower(network, series).program
    assert program.input.encoding == ir.Delta(3277, 16_384)
    assert program.input.raw.type.bits == 15


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_of_2_to_8_bits(bits: int) -> None:
    found = lower(built("mlp", "batch", "count", (1, 6, 6)), encoded("direct", (1, 6, 6)), LowerConfig(bits))
    most = 2 ** (bits - 1) - 1
    for i in (1, 2, 3):
        array = found.program.arrays[f"w{i}"]
        assert array.type.bits == bits
        assert np.abs(array.values).max() == most
    assert f"{bits}-bit weights" in found.steps[2].seen


@pytest.mark.parametrize("leak_bits", [4, 10, 15])
def test_leaks_of_4_to_15_bits(leak_bits: int) -> None:
    config = LowerConfig(leak_bits=leak_bits)
    program = lower(built("mlp", "none", "membrane_mean", (1, 6, 6)), encoded("direct", (1, 6, 6)), config).program
    assert {op.shift for op in program.operations if isinstance(op, ir.LIF | ir.Integrate)} == {leak_bits}
    assert all(state.type.bits <= 32 - leak_bits for state in program.states)


def test_an_early_exit_is_the_programs_own() -> None:
    network = built("mlp", "none", "count", (1, 6, 6))
    found = lower(network, encoded("direct", (1, 6, 6)), LowerConfig(exit_margin=2))
    assert found.program.readout.exit == ir.Exit(2)
    raw = np.random.default_rng(0).integers(0, 256, (50, 6, 6, 1))
    assert ir.run_fast(found.program, raw).steps.min() < STEPS


def test_more_bits_come_closer_to_the_floats() -> None:
    network = built("mlp", "batch", "membrane_mean", (1, 6, 6))
    raw = np.random.default_rng(2).integers(0, 256, (200, 6, 6, 1))
    x = torch.from_numpy(raw / 255).float().permute(0, 3, 1, 2).expand(STEPS, -1, -1, -1, -1)
    with torch.no_grad():
        floats = network(x).potential.mean(0).numpy() * STEPS
    errors = []
    for bits in (3, 5, 8):
        found = lower(network, encoded("direct", (1, 6, 6)), LowerConfig(bits))
        scores = ir.run_fast(found.program, raw).scores * found.score_unit
        errors.append(float(np.abs(scores - floats).mean() / np.abs(floats).mean()))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.1


def test_batch_norm_through_time_is_folded_with_a_row_a_step() -> None:
    network = built("mlp", "bntt", "count", (1, 6, 6))
    program = lower(network, encoded("direct", (1, 6, 6))).program
    for name in ("m1", "b1", "t1"):
        assert program.array(name).shape == (STEPS, 24)
    assert program.array("t1").min() >= 1


@pytest.mark.parametrize(
    ("changed", "told"), [(-1.0, "scales of both signs, or 0"), (0.0, "scales of both signs, or 0")]
)
def test_scales_of_both_signs_are_refused_with_the_stages_name(changed: float, told: str) -> None:
    network = built("mlp", "bntt", "count", (1, 6, 6))
    norm = [module for module in network.layers if isinstance(module, BatchNormThroughTime)][1]
    norm.weight.data[2, 4] *= changed
    with pytest.raises(LoweringError) as caught:
        lower(network, encoded("direct", (1, 6, 6)))
    assert caught.value.line().startswith("stage 2: batch norm through time has " + told)
    assert "train it with norm = batch or tdbn" in caught.value.line()


def test_batch_norm_through_time_is_refused_where_it_cannot_be_folded() -> None:
    held = built("mlp", "bntt", "count", (1, 6, 6), refractory=1)
    with pytest.raises(LoweringError, match=r"stage 1: .*refractory or integrating"):
        lower(held, encoded("direct", (1, 6, 6)))
    short = built("mlp", "bntt", "count", (1, 6, 6))
    seven = replace(encoded("direct", (1, 6, 6)), timesteps=7)
    with pytest.raises(LoweringError, match="stage 1: batch norm through time knows 5 steps, not 7; lower with fewer"):
        lower(short, seven)


def network_of(*layers: torch.nn.Module, readout: str = "count") -> Network:
    torch.manual_seed(0)
    return Network(layers, readout).eval()  # type: ignore[arg-type]


PLAIN = NeuronConfig(threshold=0.3)
IMAGE = (1, 6, 6)


def refused(network: Network, shape: tuple[int, ...] = (36,)) -> str:
    with pytest.raises(LoweringError) as caught:
        lower(network, encoded("direct", shape))
    assert "\n" not in caught.value.line()
    return caught.value.line()


def test_what_a_program_cannot_express_is_refused_in_one_line() -> None:
    order = "a stage is pools, one synapse, at most one norm, neurons, in this order"
    two = network_of(Linear(36, 8), Linear(8, 4), LIF(PLAIN, 4))
    assert refused(two) == f"layer 1: cannot stand here: Linear; {order}"
    alone = network_of(LIF(PLAIN, 36))
    assert refused(alone) == "layer 0: cannot stand here: LIF; neurons need a synapse before them"
    early = network_of(BatchNorm(36), Linear(36, 4), LIF(PLAIN, 4))
    assert refused(early) == f"layer 0: cannot stand here: BatchNorm; {order}"
    norms = network_of(Linear(36, 4), BatchNorm(4), BatchNorm(4), LIF(PLAIN, 4))
    assert refused(norms) == f"layer 2: cannot stand here: BatchNorm; {order}"
    late = network_of(Conv2d(1, 2), MaxPool2d(2), LIF(PLAIN, 2))
    assert "layer 1: cannot stand here: MaxPool2d" in refused(late, IMAGE)
    membrane = network_of(Linear(36, 4), LIF(PLAIN, 4), readout="membrane_last")
    assert refused(membrane).startswith("the readout membrane_last does not suit the last layer; membrane readouts")
    count = network_of(Linear(36, 4), LeakyIntegrator(PLAIN, 4), readout="count")
    assert "the readout count does not suit" in refused(count)
    middle = network_of(Linear(36, 8), LeakyIntegrator(PLAIN, 8), Linear(8, 4), LIF(PLAIN, 4))
    assert refused(middle).startswith("stage 1: neurons that never fire (LeakyIntegrator) stand before another stage")


def test_weights_that_are_not_finite_are_refused() -> None:
    for value in (float("nan"), float("inf")):
        network = network_of(Linear(36, 4), LIF(PLAIN, 4))
        network.layers[0].weight.data[3, 2] = value
        assert refused(network) == (
            "stage 1: its weight holds values that are not finite; train it again: training diverged"
        )


def test_dropout_and_pools_stand_in_a_program() -> None:
    layers = (
        Conv2d(1, 4), LIF(PLAIN, 4), MaxPool2d(2), Dropout(0.5),
        Conv2d(4, 6), BatchNorm(6), LIF(PLAIN, 6), SumPool2d(3), Flatten(), Dropout(0.5), Linear(6, 3), LIF(PLAIN, 3),
    )  # fmt: skip
    program = lower(stirred(network_of(*layers)), encoded("direct", IMAGE)).program
    kinds = [op.keyword for op in program.operations]
    assert kinds == ["conv2d", "lif", "max_pool", "conv2d", "lif", "sum_pool", "reshape", "dense", "lif"]


def test_a_leak_of_nothing_and_a_dead_channel() -> None:
    network = network_of(Linear(36, 4), LIF(replace(PLAIN, beta=0.0), 4))
    network.layers[0].weight.data[:, 1] = 0
    program = lower(network, encoded("direct", (36,))).program
    assert program.array("m1").tolist() == [[0]]
    assert not program.array("w1")[:, 1].any()


def test_a_bias_beyond_all_weights_takes_a_coarser_scale() -> None:
    network = network_of(Linear(36, 4), LIF(PLAIN, 4))
    assert network.layers[0].bias is not None
    network.layers[0].bias.data[0] = 1e9
    program = lower(network, encoded("direct", (36,))).program
    assert ir.violations(program) == []
    raw = np.random.default_rng(0).integers(0, 256, (20, 36))
    assert (ir.run(program, raw, record=True).step_spikes["s1"][:, :, 0] == 1).all()


def test_the_network_is_left_as_it_was() -> None:
    network = built("mlp", "batch", "count", (1, 6, 6)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    lower(network, encoded("direct", (1, 6, 6)))
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_the_same_network_gives_the_same_program() -> None:
    hashes = set()
    for _ in range(2):
        found = lower(built("convnet", "batch", "membrane_mean", (2, 8, 8)), encoded("rate", (2, 8, 8)))
        hashes.add(ir.content_hash(found.program))
    assert len(hashes) == 1


def tampered(monkeypatch: pytest.MonkeyPatch, function: str, change: Any) -> str:
    module = sys.modules[f"leanspike.lower.{'shrink' if function == 'narrowed' else 'lower'}"]
    original = getattr(module, function)
    monkeypatch.setattr(module, function, lambda *args: change(original(*args)))
    with pytest.raises((LoweringError, ProgramError)) as caught:
        lower(built("mlp", "batch", "membrane_mean", (1, 6, 6)), encoded("direct", (1, 6, 6)))
    return caught.value.line()


def test_a_step_that_changes_what_it_must_not_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(change: Any) -> Any:
        return lambda draft: replace(draft, stages=(change(draft.stages[0]), *draft.stages[1:]))

    with monkeypatch.context() as patch:
        told = tampered(patch, "read", first(lambda stage: replace(stage, weight=stage.weight[::-1])))
        assert told.startswith("step read: scores of ")
    with monkeypatch.context() as patch:
        told = tampered(patch, "fold_norms", first(lambda stage: replace(stage, bias=stage.bias + 0.01)))
        assert told.startswith("step fold norms: scores of ")
    with monkeypatch.context() as patch:
        swapped = lambda stages: (replace(stages[0], weight=stages[0].weight + 1), *stages[1:])  # noqa: E731
        assert "step quantise, stage 1: a weight is more than half a step off" in tampered(patch, "quantised", swapped)
    with monkeypatch.context() as patch:

        def other_leak(program: ir.Program) -> ir.Program:
            leak = program.arrays["m1"]
            return replace(program, arrays={**program.arrays, "m1": ir.Array(leak.type, leak.values // 2)})

        assert tampered(patch, "assembled", other_leak).startswith("step assemble: scores of ")
    with monkeypatch.context() as patch:

        def too_narrow(program: ir.Program) -> ir.Program:
            kind = ir.IntType(6, True)
            states = tuple(replace(s, type=kind) if s.name == "v3" else s for s in program.states)
            last = program.operations[-1]
            operations = (*program.operations[:-1], replace(last, result=replace(last.result, type=kind)))
            return replace(program, states=states, operations=operations)

        assert tampered(patch, "narrowed", too_narrow).startswith("step narrow: narrower states changed")


def test_narrow_states_keep_the_trace() -> None:
    found = lower(built("mlp", "batch", "count", (1, 6, 6)), encoded("direct", (1, 6, 6)))
    wide = tuple(replace(s, type=ir.IntType(22, True)) if s.type.signed else s for s in found.program.states)
    raw = np.random.default_rng(0).integers(0, 256, (100, 6, 6, 1))
    again = ir.run_fast(replace(found.program, states=wide), raw)
    assert not any(mismatches(ir.run_fast(found.program, raw), again).values())
    assert [state.type.bits < 22 for state in found.program.states] == [False, True, True]


@pytest.mark.parametrize(
    ("setting", "value"),
    [("weight_bits", 1), ("weight_bits", 9), ("leak_bits", 3), ("leak_bits", 16), ("input_bits", 0), ("input_bits", 13),
     ("exit_margin", -1)],
)  # fmt: skip
def test_settings_out_of_range_are_refused(setting: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"lower.{setting}: {value} is not a possible value"):
        LowerConfig(**{setting: value})


def test_codecs_of_the_integer_stages_come_into_the_program_and_its_check(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["leanspike.lower.lower"]
    codecs = itertools.cycle([ir.Codec(-1, 1, 6), ir.Codec(-8, 7, 4)])

    def few_bits(*given: Any) -> tuple[Any, ...]:
        return tuple(replace(stage, codec=next(codecs)) for stage in quantised(*given))

    quantised = module.quantised  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "quantised", few_bits)
    network = built("mlp", "none", "membrane_last", (1, 6, 6))
    program = lower(network, encoded("direct", (1, 6, 6))).program
    kept = [state.codec for state in program.states]
    assert kept == [ir.Codec(-1, 1, 6), ir.Codec(-8, 7, 4), ir.Codec(-1, 1, 6)]
