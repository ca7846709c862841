"""What Loihi's rules refuse or approximate is named, measured, and placed on cores; files are whole or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from edge_networks import convnet, images, mlp
from test_loihi_mapping import exact_program, samples

from leanspike import ir, targets
from leanspike.cli import main
from leanspike.core.errors import TargetError
from leanspike.ir import LIF, Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted
from leanspike.targets import loihi
from leanspike.targets.loihi import cores, file, neurons
from leanspike.targets.loihi.limits import refusals

TRAINED = Path(__file__).parent / "trained"


def names(program: Program) -> dict[str, str]:
    """What is approximated, by name, and where."""
    return {found.name: found.where for found in loihi.mapped(program).approximations}


def with_neurons(program: Program, leak: int, shift: int, **settings: Any) -> Program:
    """All LIF neurons with another leak and other settings."""
    arrays = dict(program.arrays) | {"m": Array(IntType(17, False), [[leak]])}
    operations = tuple(
        replace(op, shift=shift, leak="m", **settings) if isinstance(op, LIF) else op for op in program.operations
    )
    return ir.verify(fitted(replace(program, arrays=arrays, operations=operations)))


def with_array(program: Program, name: str, kind: IntType, values: Any) -> Program:
    """One array changed."""
    return ir.verify(fitted(replace(program, arrays=dict(program.arrays) | {name: Array(kind, values)})))


def test_every_difference_of_a_network_has_its_name() -> None:
    plain = mlp("rate")
    assert names(plain).keys() >= {"reset", "leak rounding"}
    zero = with_neurons(plain, 243, 8, reset="zero")
    assert names(zero).keys() == {"leak rounding"}
    assert not names(with_neurons(plain, 1, 0, reset="zero"))
    assert names(one_layer(1500, [9])).keys() == {"voltage range", "current range"}
    assert not names(one_layer(800, [9]))
    low = with_array(one_layer(800, [9]), "w", IntType(8, True), np.full((800, 1), -101))
    assert names(low).keys() == {"voltage range"}
    assert "leak granularity" in names(with_neurons(plain, 30001, 15, reset="zero"))
    assert "leak of 0" in names(with_neurons(plain, 0, 8, reset="zero"))
    direct = names(with_neurons(mlp("direct"), 1, 0, reset="zero"))
    assert direct["input"] == direct["threshold"] == "s1"
    coded = replace(zero, states=tuple(replace(state, codec=ir.Codec(-8, 7, 6)) for state in zero.states))
    assert "few-bit state" in names(ir.verify(coded))
    narrow = replace(zero, states=tuple(replace(state, type=IntType(12, True)) for state in zero.states))
    assert "saturation" in names(narrow)


def test_wide_weights_and_biases_are_rounded_and_say_so() -> None:
    zero = with_neurons(mlp("rate"), 1, 0, reset="zero")
    assert "weights" not in names(zero)
    assert names(with_array(zero, "w2", IntType(12, True), zero.array("w2") * 8 + 1))["weights"] == "s2"
    assert "weights" not in names(with_array(zero, "w2", IntType(12, True), zero.array("w2") * 8))
    assert "bias" not in names(with_array(zero, "b1", IntType(14, True), [[4095] * 400]))
    assert names(with_array(zero, "b1", IntType(14, True), [[4097] * 400]))["bias"] == "s1"


def test_a_bias_that_would_fire_before_the_input_comes_is_told() -> None:
    program = exact_program(2)
    name = next(op.bias for op in program.operations if isinstance(op, LIF) and op.bias)
    assert "start" not in names(program)
    low = with_array(program, name, IntType(12, True), np.full_like(program.array(name), -1000))
    assert "start" in names(low)


def test_half_a_unit_of_bias_makes_up_for_a_leak_that_rounds_and_only_for_that() -> None:
    for leak, half in ((243, 32), (256, 0)):
        program = with_neurons(mlp("rate"), leak, 8, reset="zero")
        of = loihi.mapped(program).layers[0].compartments
        np.testing.assert_array_equal(of.bias << of.bias_exponent, program.array("b1")[0] * 64 - half)


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_a_start_makes_up_for_every_bias_and_leak(depth: int) -> None:
    random = np.random.default_rng(depth)
    decay, bias = random.integers(0, 2000, 500), random.integers(-9999, 9999, 500)
    voltage = neurons.starting(decay, bias, depth)
    for _ in range(depth):
        voltage = np.sign(voltage) * (np.abs(voltage) * (4096 - decay) // 4096) + bias
    assert not voltage.any()


def test_every_bias_of_13_bits_is_exact_and_greater_ones_are_near() -> None:
    values = np.array([0, 1, -1, 4095, -4095, 4096, 4098, 524_160, -524_160, 5000, 10**7])
    mantissa, exponent = neurons.bias_of(values)
    held = mantissa << exponent
    np.testing.assert_array_equal(held[:9], values[:9])
    assert abs(held[9] - 5000) <= 1
    assert held[10] == 524_160
    assert (np.abs(mantissa) <= 4095).all()


def one_layer(inputs: int, thresholds: list[int]) -> Program:
    """Spikes to neurons with these thresholds, weights of 101."""
    wide = len(thresholds)
    arrays = {
        "w": Array(IntType(8, True), np.full((inputs, wide), 101, dtype=np.int8)),
        "one": Array(IntType(1, False), [[1]]),
        "t": Array(IntType(12, False), [thresholds]),
        "table": Array(IntType(16, False), [0, 65535]),
    }
    operations = (
        ir.Dense(Value("i", (wide,), SPIKE), "x", "w"),
        LIF(Value("s", (wide,), SPIKE), "i", "v", "one", 0, "t", None, "zero"),
    )
    start = ir.Input(Value("x", (inputs,), SPIKE), Value("raw", (inputs,), SPIKE), 1, ir.Rate(1, "table"))
    states = (ir.State("v", (wide,), IntType(24, True)),)
    return ir.verify(fitted(Program("one", 2, start, states, operations, ir.Readout("count", "s"), arrays)))


def refusal(program: Program) -> str:
    """All violations."""
    return "; ".join(map(str, loihi.check(program)))


def test_what_no_compartment_does_is_refused_with_a_remedy(tmp_path: Path) -> None:
    program = with_neurons(mlp("rate"), 1, 0, reset="zero")
    first, second, *rest = program.operations
    steps = with_array(program, "b1", IntType(9, True), np.zeros((program.steps, 400), dtype=int))
    assert "s1: parameters that vary by the step" in refusal(steps)
    hold = (*program.states, ir.State("h", (400,), IntType(2, False)))
    late = (first, replace(second, refractory=2, hold="h"), *rest)
    assert "s1: a refractory period" in refusal(replace(program, states=hold, operations=late))
    growing = with_neurons(mlp("rate"), 3, 1, reset="zero")
    assert "s1: a leak above 1" in refusal(growing)
    states = tuple(replace(state, type=IntType(22, True)) for state in program.states)
    high = with_array(replace(program, states=states), "t1", IntType(20, False), [[150_000]])
    assert "s1: a threshold of 150,000: 17 bits hold 131,072" in refusal(high)
    biased = with_array(program, "b1", IntType(15, True), [[9000]])
    assert "s1: a bias of 9,000: mantissa and exponent hold 8,190" in refusal(biased)
    large = np.full((400, 10), 1) + (1 << 18) * np.eye(400, 10, dtype=int)
    wide = with_array(replace(program, states=states), "w2", IntType(20, True), large)
    assert "s2: weights of up to 262,145, which no exponent reaches" in refusal(wide)
    with pytest.raises(TargetError, match="a leak above 1"):
        targets.emit("loihi", growing, tmp_path)
    assert not list(tmp_path.iterdir())


def test_operations_and_paths_that_do_not_map_are_refused() -> None:
    program = with_neurons(mlp("rate"), 1, 0, reset="zero")
    first, second, *rest = program.operations

    def between(op: ir.Operation, **arrays: Array) -> str:
        operations = (first, op, replace(second, source=op.result.name), *rest)
        return refusal(fitted(replace(program, arrays=dict(program.arrays) | arrays, operations=operations)))

    scaled = ir.Scale(Value("scaled", (400,), IntType(20, True)), "i1", "f")
    assert "scaled: a scale" in between(scaled, f=Array(IntType(3, True), [2]))
    twice = ir.Dense(Value("twice", (400,), IntType(24, True)), "i1", "w3")
    told = between(twice, w3=Array(IntType(2, True), np.eye(400, dtype=int)))
    assert "s1: what leads from x to it is more than sum pools and then one synapse" in told
    kind, direct = IntType(8, False), mlp("direct")
    raw = Value("raw", (direct.steps, 784), kind)
    start = ir.Input(Value("x", (784,), kind), raw, 255, ir.Sequence())
    told = refusal(replace(direct, input=start))
    assert "s1: multi-bit input that changes from step to step (sequence)" in told


def test_a_network_larger_than_a_chip_is_refused_before_it_is_unrolled() -> None:
    operations = (
        ir.Conv2d(Value("i", (64, 64, 64), SPIKE), "x", "w", padding=1),
        LIF(Value("s", (64, 64, 64), SPIKE), "i", "v", "one", 0, "t", None, "zero"),
        ir.Reshape(Value("f", (64 * 64 * 64,), SPIKE), "s"),
        ir.Dense(Value("o", (2,), SPIKE), "f", "w2"),
        replace(one_layer(1, [9, 9]).operations[1], result=Value("out", (2,), SPIKE), source="o", state="v2"),
    )
    arrays = {
        "w": Array(IntType(8, True), np.full((3, 3, 32, 64), 101, dtype=np.int8)),
        "w2": Array(IntType(2, True), np.eye(64 * 64 * 64, 2, dtype=np.int8)),
    }
    start = ir.Input(Value("x", (64, 64, 32), SPIKE), Value("raw", (64, 64, 32), SPIKE), 1, ir.Rate(1, "table"))
    states = (ir.State("v", (64, 64, 64), IntType(24, True)), ir.State("v2", (2,), IntType(24, True)))
    base = one_layer(1, [9, 9])
    arrays = {**base.arrays, **arrays, "t": Array(IntType(4, False), [[9]])}
    large = Program("large", 2, start, states, operations, ir.Readout("count", "out"), arrays)
    (found,) = refusals(ir.verify(fitted(large)))
    assert str(found).startswith(f"chip: {(3 * 64 - 2) ** 2 * 32 * 64 + 2:,} synapses take ")
    assert "weights.bits" in str(found)


def test_axons_take_whole_words_in_groups_of_64() -> None:
    assert cores.axon_bits(np.array([0, 1, 6, 7, 64, 65]), 8, 0, 0).tolist() == [0, 64, 64, 128, 576, 640]
    assert cores.axon_bits(np.array([64]), 8, 10, 6).tolist() == [1600]


def test_a_placement_fills_cores_up_to_every_limit() -> None:
    placement = loihi.placed(loihi.mapped(with_neurons(mlp("rate"), 1, 0, reset="zero")))
    first, second = placement.table
    assert not placement.violations
    assert (first.compartments, second.compartments) == (400, 10)
    assert second.cores == 1
    assert second.in_axons == 400
    assert first.out_axons == 400
    for layer, found in placement.cores.items():
        whole = sorted(number for core in found for number in core.compartments)
        assert whole == list(range(400 if layer == "s1" else 10))
        for core in found:
            assert len(core.compartments) <= 1024
            assert core.synapse_bits <= 128 * 1024 * 8
            assert max(core.in_axons, core.out_axons) <= 4096


def test_many_thresholds_take_more_cores_and_one_takes_few() -> None:
    many = with_neurons(mlp("rate"), 1, 0, reset="zero")
    one = with_array(many, "t1", IntType(12, False), [[1000]])
    rows = [loihi.placed(loihi.mapped(program)).table[0] for program in (many, one)]
    assert len(np.unique(many.array("t1"))) > 8 * rows[1].cores
    assert rows[0].cores > 4 * rows[1].cores
    assert rows[0].fullest == "thresholds 100%"
    assert rows[1].cores == 3


def test_a_neuron_with_more_axons_than_a_core_and_a_network_with_more_cores_than_a_chip_are_told() -> None:
    wide = refusal(one_layer(5000, [9, 9]))
    assert wide.startswith("s: one compartment takes 5,000 in-axons, a core has 4,096 (fewer synapses a neuron")
    many = refusal(one_layer(9, list(range(1, 1101))))
    assert "chip: needs 138 neurocores, a chip has 128; s alone needs 138 (one threshold a layer" in many


def test_files_give_the_mapping_back_and_are_the_same_twice(tmp_path: Path) -> None:
    program = exact_program(1)
    first = targets.emit("loihi", program, tmp_path / "a")
    targets.emit("loihi", program, tmp_path / "b")
    for name in first.files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    mapping, again = loihi.mapped(program), file.read(tmp_path / "a", program)
    assert again.approximations == mapping.approximations
    for mine, theirs in zip(mapping.layers, again.layers, strict=True):
        assert (mine.shift, mine.depth, mine.host) == (theirs.shift, theirs.depth, theirs.host)
        for key in ("decay", "threshold", "bias", "bias_exponent", "start"):
            np.testing.assert_array_equal(getattr(mine.compartments, key), getattr(theirs.compartments, key))
    for mine_, theirs_ in zip(mapping.connections, again.connections, strict=True):
        np.testing.assert_array_equal(mine_.weights, theirs_.weights)
        assert (mine_.source, mine_.exponent, mine_.shape) == (theirs_.source, theirs_.exponent, theirs_.shape)
    told = json.loads((tmp_path / "a" / first.files[0]).read_text())
    assert told["note"].startswith("simulated: no chip was used")
    assert "Exact" in (tmp_path / "a" / first.files[2]).read_text()


def test_damaged_and_foreign_files_are_refused_in_one_line(tmp_path: Path) -> None:
    artefact = targets.emit("loihi", exact_program(1), tmp_path)
    raw = samples(artefact.program, 1)
    for name in artefact.files[:2]:
        path = tmp_path / name
        held = path.read_bytes()
        for damaged in (b"", held[: len(held) // 2], held[:50] + bytes([held[50] ^ 1]) + held[51:]):
            path.write_bytes(damaged)
            with pytest.raises(TargetError) as caught:
                targets.run(artefact, raw)
            assert "\n" not in str(caught.value)
        path.unlink()
        with pytest.raises(TargetError, match="cannot be read"):
            targets.run(artefact, raw)
        path.write_bytes(held)
    other = replace(artefact, program=exact_program(3))
    with pytest.raises(TargetError, match="another program"):
        targets.run(other, samples(other.program, 1))


def test_a_trained_network_is_measured_on_real_samples() -> None:
    program = ir.load(TRAINED / "mnist-mlp-t5.lsp")
    with np.load(TRAINED / "mnist-test-samples.npz") as held:
        arrays = [held[key] for key in held.files]
    raw = next(ir.raw_samples(program, array) for array in arrays if array.ndim >= 3)[:40]
    numbers, labels = np.arange(len(raw)), ir.run_fast(program, raw).predictions
    found = loihi.agreement(loihi.mapped(program), raw, numbers, labels)
    assert not found.exact
    assert found.samples == len(raw)
    assert found.accuracy_program == 1.0
    assert found.accuracy_simulated == 1 - found.decisions_differing / len(raw)
    (layer,) = found.layers
    assert 0 < layer.differing < 0.05 * layer.places
    assert layer.spikes_program > layer.spikes_simulated
    assert [row.rule for row in found.rules] == ["reset", "simulated"]
    assert found.rules[1].spikes_differing == layer.differing
    assert found.rules[1].spikes_added < found.rules[0].spikes_added


def test_an_exact_mapping_is_measured_as_equal_and_a_convolution_as_near() -> None:
    program = exact_program(4)
    found = loihi.agreement(loihi.mapped(program), samples(program), np.arange(4))
    assert found.exact
    assert (found.share, found.decisions_differing, found.accuracy_program) == (0, 0, None)
    near = with_neurons(convnet("rate", 3), 250, 8, reset="zero")
    found = loihi.agreement(loihi.mapped(near), images(near, 3), np.arange(3))
    assert 0 < found.share < 0.01


def test_the_command_line_tells_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = with_neurons(mlp("rate", 2), 243, 8, reset="zero")
    ir.save(program, tmp_path / "net.lsp")
    assert main(["emit", str(tmp_path / "net.lsp"), "--target", "loihi", "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    assert "warning: s1: leak rounding" in told
    assert "neurocores: " in told
    assert (tmp_path / "out" / "mlp.loihi.npz").is_file()


def test_a_mapping_that_is_called_exact_and_differs_is_exit_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = {
        "w": Array(IntType(4, True), np.random.default_rng(0).integers(-2, 8, (64, 10))),
        "one": Array(IntType(1, False), [[1]]),
        "t": Array(IntType(6, False), [[40]]),
        "table": Array(IntType(16, False), np.minimum(np.arange(32), 16) * 4095),
    }
    operations = (
        ir.Reshape(Value("f", (64,), SPIKE), "x"),
        ir.Dense(Value("i", (10,), SPIKE), "f", "w"),
        LIF(Value("s", (10,), SPIKE), "i", "v", "one", 0, "t", None, "zero"),
    )
    raw = Value("raw", (8, 8, 1), IntType(5, False))
    start = ir.Input(Value("x", (8, 8, 1), SPIKE), raw, 16, ir.Rate(1, "table"))
    states = (ir.State("v", (10,), IntType(20, True)),)
    program = Program("digits", 4, start, states, operations, ir.Readout("count", "s"), arrays)
    ir.save(ir.verify(fitted(program)), tmp_path / "net.lsp")
    words = ["check", str(tmp_path / "net.lsp"), "--target", "loihi", "--data", "digits", "--samples", "20"]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "agrees on 20 samples" in told
    assert "simulated (no chip)" in told
    monkeypatch.setattr(neurons, "threshold_of", lambda theta, _: theta)
    assert main([*words, "--json"]) == 1
    (row,) = json.loads(capsys.readouterr().out)["targets"]
    assert row["approximations"] == []
    assert row["agreement"]["layers"][0]["differing"] > 0
