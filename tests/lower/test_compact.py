"""Compaction: what no score can tell goes, rows and columns, and every score stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from leanspike import ir
from leanspike.core.errors import LoweringError
from leanspike.ir import LIF, Array, IntType, Program, State, Value
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.narrow import fitted
from leanspike.lower import shrink
from leanspike.lower.compact import compacted
from leanspike.targets.conformance import Case, cases

I8, POTENTIAL = IntType(8, True), IntType(20, True)


def lif(name: str, source: str, shape: tuple[int, ...]) -> LIF:
    return LIF(Value(name, shape, SPIKE), source, f"v{name}", "m", 4, f"t{name}", f"b{name}")


def convnet(random: np.random.Generator) -> Program:
    """6 x 6 bytes, 8 channels, a pool, 12 neurons, 4 classes; every weight at random, thresholds a channel."""
    shapes = {"w1": (3, 3, 1, 8), "w2": (72, 12), "w3": (12, 4)}
    arrays = {
        name: Array(I8, random.integers(1, 60, shape) * random.choice([-1, 1], shape)) for name, shape in shapes.items()
    }
    for name, channels in (("s1", 8), ("s2", 12)):
        arrays[f"t{name}"] = Array(I8, random.integers(20, 100, (1, channels)))
        arrays[f"b{name}"] = Array(I8, random.integers(-20, 20, (3, channels)))
    arrays["m"] = Array(IntType(4, False), np.array([[13]]))
    operations = (
        ir.Conv2d(Value("c1", (6, 6, 8), SPIKE), "x", "w1", padding=1),
        lif("s1", "c1", (6, 6, 8)),
        ir.MaxPool(Value("p1", (3, 3, 8), SPIKE), "s1"),
        ir.Reshape(Value("f1", (72,), SPIKE), "p1"),
        ir.Dense(Value("i2", (12,), SPIKE), "f1", "w2"),
        lif("s2", "i2", (12,)),
        ir.Dense(Value("i3", (4,), SPIKE), "s2", "w3"),
        ir.Integrate(Value("u3", (4,), POTENTIAL), "i3", "v3", "m", 4),
    )
    states = (State("vs1", (6, 6, 8), POTENTIAL), State("vs2", (12,), POTENTIAL), State("v3", (4,), POTENTIAL))
    start = Value("x", (6, 6, 1), IntType(8, False))
    source = ir.Input(start, replace(start, name="raw"), 255, ir.Direct())
    program = Program("conv", 3, source, states, operations, ir.Readout("membrane_mean", "u3"), arrays)
    return ir.verify(fitted(program))


def with_values(program: Program, **changes: Ints) -> Program:
    arrays = {name: Array(program.arrays[name].type, values) for name, values in changes.items()}
    return ir.verify(fitted(replace(program, arrays={**program.arrays, **arrays})))


def raw(program: Program, batch: int = 12) -> Ints:
    return np.random.default_rng(0).integers(0, 256, (batch, *program.input.raw.shape))


def same_scores(before: Program, after: Program) -> None:
    ir.verify(fitted(after))
    samples = raw(before)
    expected, found = ir.run(before, samples), ir.run(after, samples)
    assert np.array_equal(expected.scores, found.scores)
    assert len(np.unique(expected.scores, axis=0)) > 1


def test_a_program_without_idle_neurons_stays() -> None:
    program = convnet(np.random.default_rng(0))
    assert compacted(program) == program


def test_channels_and_neurons_that_nothing_reads_go_with_rows_and_columns() -> None:
    program = convnet(np.random.default_rng(1))
    w2, w3 = program.array("w2"), program.array("w3")
    w2.reshape(3, 3, 8, 12)[:, :, [2, 5]] = 0
    w3[[0, 7, 11]] = 0
    program = with_values(program, w2=w2, w3=w3)
    after = compacted(program)
    assert after.arrays["w1"].values.shape == (3, 3, 1, 6)
    assert after.arrays["w2"].values.shape == (54, 9)
    assert after.arrays["w3"].values.shape == (9, 4)
    assert after.arrays["ts1"].values.shape == (1, 6)
    assert after.arrays["bs2"].values.shape == (3, 9)
    assert [state.shape for state in after.states] == [(6, 6, 6), (9,), (4,)]
    assert [op.result.shape for op in after.operations][:4] == [(6, 6, 6), (6, 6, 6), (3, 3, 6), (54,)]
    kept = np.delete(np.arange(8), [2, 5])
    assert np.array_equal(after.array("w1"), program.array("w1")[..., kept])
    same_scores(program, after)


def test_neurons_that_cannot_fire_go_and_those_that_their_bias_fires_stay() -> None:
    program = convnet(np.random.default_rng(2))
    w2, bias = program.array("w2"), program.array("bs2")
    w2[:, [1, 4, 9]] = 0
    bias[:, 1], bias[:, 4], bias[:, 9] = 0, 100, [127, -128, 0]
    threshold = program.array("ts2")
    threshold[:, [1, 4, 9]] = 5, 120, 127
    program = with_values(program, w2=w2, bs2=bias, ts2=threshold)
    after = compacted(program)
    # 4 reaches 100 + 100 13/16 = 181; 9 its threshold at once.
    assert after.arrays["w2"].values.shape == (72, 11)
    assert after.arrays["ts2"].values.tolist() == np.delete(threshold, 1, 1).tolist()
    same_scores(program, after)


def test_what_goes_frees_what_stands_before_and_behind_it() -> None:
    program = convnet(np.random.default_rng(3))
    w1, w2, bias = program.array("w1"), program.array("w2"), program.array("bs2")
    w2.reshape(9, 8, 12)[:, 3, np.arange(12) != 6] = 0
    w3 = program.array("w3")
    w3[6] = 0
    w1[..., 0] = 0
    bias1 = program.array("bs1")
    bias1[:, 0] = -1
    w2.reshape(9, 8, 12)[:, 1:, 2] = 0
    bias[:, 2] = 0
    program = with_values(program, w1=w1, w2=w2, w3=w3, bs1=bias1, bs2=bias)
    after = compacted(program)
    # Channel 3 is read by neuron 6 only, which nothing reads; neuron 2 reads channel 0 only, which never fires.
    assert after.arrays["w1"].values.shape == (3, 3, 1, 6)
    assert after.arrays["w2"].values.shape == (54, 10)
    same_scores(program, after)


def test_one_neuron_of_a_layer_stays() -> None:
    program = convnet(np.random.default_rng(4))
    program = with_values(program, w3=np.zeros((12, 4), dtype=np.int64))
    after = compacted(program)
    assert after.arrays["w2"].values.shape == (72, 1)
    assert after.arrays["w3"].values.shape == (1, 4)
    assert ir.verify(fitted(after))


def test_a_shared_weight_and_a_delayed_value_stay() -> None:
    program = convnet(np.random.default_rng(5))
    program = with_values(program, w3=np.zeros((12, 4), dtype=np.int64))
    again = ir.Dense(Value("i4", (4,), SPIKE), "s2", "w3")
    both = ir.Add(Value("a3", (4,), SPIKE), "i3", "i4")
    last = replace(program.operations[-1], source="a3")
    shared = fitted(replace(program, operations=(*program.operations[:-1], again, both, last)))
    assert compacted(ir.verify(shared)) == shared
    delay = ir.Delay(Value("d2", (12,), SPIKE), "s2", "h2")
    states = (*program.states, State("h2", (12,), SPIKE))
    delayed = fitted(replace(program, operations=(*program.operations, delay), states=states))
    assert compacted(ir.verify(delayed)).arrays["w2"].values.shape[1] == 12


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_random_programs_keep_every_score(case: Case) -> None:
    small, steps = shrink.shrunk(case.program, case.raw)
    assert [step.step for step in steps] == ["compact", "narrow", "store"]
    expected = ir.run(case.program, case.raw, case.numbers)
    found = ir.run(small, case.raw, case.numbers)
    assert np.array_equal(expected.scores, found.scores)
    assert np.array_equal(expected.steps, found.steps)


def test_a_compaction_that_changes_a_score_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    program = convnet(np.random.default_rng(6))
    w3 = program.array("w3")
    w3 += 1
    monkeypatch.setattr(shrink, "compacted", lambda _: with_values(program, w3=w3))
    with pytest.raises(LoweringError, match="step compact: the scores changed"):
        shrink.shrunk(program, raw(program))


def test_pruned_weights_are_stored_sparse_and_told() -> None:
    program = convnet(np.random.default_rng(7))
    w2 = program.array("w2")
    w2[np.random.default_rng(0).random(w2.shape) < 0.9] = 0
    w2[:, 5] = 0
    bias = program.array("bs2")
    bias[:, 5] = 0
    small, (compact, _, store) = shrink.shrunk(with_values(program, w2=w2, bs2=bias), raw(program))
    assert compact.seen.startswith("1 of 12 neurons of s2 removed; the same scores on 12")
    assert [small.arrays[name].form for name in ("w1", "w2", "w3")] == ["dense", "sparse", "dense"]
    assert store.seen == f"w2 {small.arrays['w2'].stored_bits // 8} bytes sparse in place of {72 * 11}"
