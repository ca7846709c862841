"""Sparse weights in the targets: C stores what the program says, and only connections that there are are executed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leanspike import ir
from leanspike.core.trace import mismatches
from leanspike.engine import Engine, library
from leanspike.ir import Array, IntType, Program, State, Value
from leanspike.ir.counts import synaptic_operations
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.narrow import fitted
from leanspike.ir.program import Form
from leanspike.targets import base

WIDE = 600


def program(bits: int, share: float, form: Form = "sparse", *, steps: int = 4) -> Program:
    """An image of bytes into a convolution, its spikes into 600 neurons, those into five; a share of the weights."""
    random, kind = np.random.default_rng(3), IntType(bits, True)

    def weights(*shape: int) -> Array:
        values = random.integers(kind.lowest, kind.highest + 1, shape)
        return Array(kind, values * (random.random(shape) < share), form)

    arrays = {"w1": weights(3, 3, 2, 40), "w2": weights(360, WIDE), "w3": weights(WIDE, 5)}
    arrays |= {"m": Array(IntType(4, False), np.array([[13]])), "t": Array(IntType(7, False), np.array([[3]]))}
    potential = IntType(20, True)

    def fire(name: str, source: str, shape: tuple[int, ...]) -> ir.LIF:
        return ir.LIF(Value(name, shape, SPIKE), source, f"v{name}", "m", 4, "t")

    operations = (
        ir.Conv2d(Value("c", (3, 3, 40), SPIKE), "x", "w1", stride=2, padding=1),
        fire("s1", "c", (3, 3, 40)),
        ir.Reshape(Value("f", (360,), SPIKE), "s1"),
        ir.Dense(Value("d", (WIDE,), SPIKE), "f", "w2"),
        fire("s2", "d", (WIDE,)),
        ir.Dense(Value("e", (5,), SPIKE), "s2", "w3"),
        ir.Integrate(Value("u", (5,), potential), "e", "vu", "m", 4),
    )
    states = tuple(State(f"v{op.result.name}", op.result.shape, potential) for op in operations if "state" in vars(op))
    start = Value("x", (6, 5, 2), IntType(8, False))
    source = ir.Input(start, replace(start, name="raw"), 255, ir.Direct())
    readout = ir.Readout("membrane_mean", "u")
    return ir.verify(fitted(Program("sparse", steps, source, states, operations, readout, arrays)))


def raw(batch: int = 6) -> Ints:
    random = np.random.default_rng(1)
    return random.integers(0, 256, (batch, 6, 5, 2)) * random.integers(0, 2, (batch, 6, 5, 2))


@pytest.mark.parametrize("target", ["engine", "c", "onnx", "tflite", "nir"])
@pytest.mark.parametrize(("bits", "share"), [(2, 0.02), (4, 0.1), (8, 0.5), (8, 0.0)])
def test_every_target_is_the_reference(target: str, bits: int, share: float, tmp_path: Path) -> None:
    made = program(bits, share)
    artefact = base.emit(target, made, tmp_path)
    expected, found = ir.run(made, raw(), record=True), base.run(artefact, raw(), record=True)
    assert not any(mismatches(expected, found).values())


@pytest.mark.parametrize("share", [0.01, 0.1, 0.6])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 8])
def test_c_stores_the_bytes_that_the_program_states(bits: int, share: float, tmp_path: Path) -> None:
    made = program(bits, share)
    artefact = base.emit("c", made, tmp_path)
    weights = [made.arrays[name] for name in ("w1", "w2", "w3")]
    assert artefact.facts["const_bytes"] == sum(array.stored_bits for array in weights) / 8
    declared = re.findall(r"static const uint(\d+)_t \w+\[(\d+)\]", (tmp_path / "sparse.c").read_text(encoding="utf-8"))
    assert sum(int(width) * int(count) for width, count in declared) == sum(array.stored_bits for array in weights)


@pytest.mark.parametrize("level", ["plain", "avx2", "avx512"])
def test_the_engine_executes_connections_that_there_are(level: str) -> None:
    if level not in library.levels():
        pytest.skip(f"this processor does not run {level}")
    made, whole = program(4, 0.1), program(4, 0.1, "dense")
    trace, counts = Engine(made, level=level).run_counted(raw())
    assert not any(mismatches(ir.run(made, raw()), trace).values())
    defined, all_ = synaptic_operations(made, raw()), synaptic_operations(whole, raw())
    for name, count in counts.synaptic.items():
        assert np.array_equal(count, defined[name])
        assert 0 < count.sum() < 0.25 * all_[name].sum()


def test_weights_of_zero_are_no_connections(tmp_path: Path) -> None:
    made = program(4, 0.0)
    _, counts = Engine(made).run_counted(raw())
    assert counts.acs == counts.macs == 0.0
    assert base.emit("c", made, tmp_path).facts["const_bytes"] == 2 * sum(rows + 1 for rows in (18, 360, WIDE)) + 3
