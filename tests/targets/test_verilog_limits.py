"""What a core cannot hold is refused by name before anything is written; a missing simulator is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from verilog_cases import dense, samples

from leanspike import ir
from leanspike.core.errors import MissingTool, TargetError
from leanspike.ir import Array, IntType, Operation, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted
from leanspike.targets import base, verilog
from leanspike.targets.verilog import simulate

WIDE = IntType(32, True)


def network(*operations: Operation, arrays: dict[str, Array], bits: int = 8) -> Program:
    """Operations between an input ``x`` [4, 4, 4] of so many bits and ten integrators of ``i``."""
    every = {"m": Array(IntType(2, False), [[1]]), **arrays}
    raw = Value("raw", (4, 4, 4), IntType(bits, False))
    start = ir.Input(Value("x", raw.shape, raw.type), raw, raw.type.highest, ir.Direct())
    last = ir.Integrate(Value("u", (10,), WIDE), "i", "v", "m", 1)
    readout, states = ir.Readout("membrane_last", "u"), (ir.State("v", (10,), WIDE),)
    return ir.verify(fitted(Program("n", 2, start, states, (*operations, last), readout, every)))


def weight(*shape: int, high: int = 3, bits: int = 3) -> Array:
    return Array(IntType(bits, True), np.full(shape, high))


def test_a_sum_of_sums_with_no_neurons_between() -> None:
    program = network(
        ir.Reshape(Value("f", (64,), SPIKE), "x"),
        ir.Dense(Value("h", (8,), SPIKE), "f", "a"),
        ir.Dense(Value("i", (10,), SPIKE), "h", "b"),
        arrays={"a": weight(64, 8), "b": weight(8, 10)},
    )
    told = verilog.check(program)
    assert [violation.where for violation in told] == ["u"]
    assert "dense i reads h with no neurons between" in str(told[0])


def test_the_maximum_of_what_is_no_spike_and_wide_weights_together() -> None:
    program = network(
        ir.MaxPool(Value("p", (2, 2, 4), SPIKE), "x", 2),
        ir.Reshape(Value("f", (16,), SPIKE), "p"),
        ir.Dense(Value("i", (10,), SPIKE), "f", "a"),
        arrays={"a": weight(16, 10)},
    )
    assert "takes the maximum of what is no layer's spikes" in str(verilog.check(program)[0])
    few = np.zeros((64, 10), dtype=int)
    few[0] = 1 << 17
    wide = network(
        ir.Reshape(Value("f", (64,), SPIKE), "x"),
        ir.Dense(Value("i", (10,), SPIKE), "f", "a"),
        arrays={"a": Array(IntType(20, True), few)},
    )
    assert "weights of 19 bits" in str(verilog.check(wide)[0])


def test_every_refusal_at_once_and_nothing_written(tmp_path: Path) -> None:
    program = network(
        ir.Reshape(Value("t", (16, 4), SPIKE), "x"),
        ir.Matmul(Value("s", (1, 16, 16), SPIKE), "t", "t", "scores"),
        ir.Matmul(Value("y", (16, 4), SPIKE), "s", "t", "values"),
        ir.Reshape(Value("f", (64,), SPIKE), "y"),
        ir.Dense(Value("i", (10,), SPIKE), "f", "a"),
        arrays={"a": weight(64, 10, high=1, bits=2)},
        bits=1,
    )
    with pytest.raises(TargetError) as refused:
        base.emit("verilog", program, tmp_path / "core")
    assert "s: a matmul" in str(refused.value)
    assert "y: a matmul" in str(refused.value)
    assert not (tmp_path / "core").exists()


def test_a_layer_that_nothing_of_the_input_reaches() -> None:
    program = dense()
    extra = (
        ir.Delay(Value("d", (3,), SPIKE), "s3", "k"),
        ir.Scale(Value("i3", (3,), SPIKE), "d", "f"),
        ir.LIF(Value("s3", (3,), SPIKE), "i3", "v3", "m", 8, "t3"),
    )
    arrays = {**program.arrays, "f": Array(IntType(2, True), [1]), "t3": Array(IntType(2, False), [[1]])}
    states = (*program.states, ir.State("k", (3,), SPIKE), ir.State("v3", (3,), IntType(12, True)))
    alone = replace(program, operations=(*program.operations, *extra), arrays=arrays, states=states)
    assert [violation.where for violation in verilog.check(ir.verify(fitted(alone)))] == ["s3"]


def test_no_simulator_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    artefact = verilog.emit(dense(), tmp_path)
    monkeypatch.setattr(simulate.shutil, "which", lambda *_, **_more: None)
    with pytest.raises(MissingTool, match="no simulator of Verilog"):
        base.run(artefact, samples(artefact.program, 1))
    with pytest.raises(MissingTool, match="verilator needs verilator and make and c\\+\\+"):
        simulate.run(artefact, samples(artefact.program, 1), simulator="verilator")
