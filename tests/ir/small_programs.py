"""A program with every operation, and what changes one part of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike import ir
from leanspike.ir import Array, IntType, Program, State, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted

WEIGHT, POTENTIAL = IntType(4, True), IntType(12, True)


def array(kind: str, values: npt.ArrayLike) -> Array:
    return Array(IntType.parse(kind), np.asarray(values))


def every_operation() -> Program:
    """4 x 4 images by rate, convolutions added, pools, attention, a recurrent edge, two resets, a hold, an exit."""
    random = np.random.default_rng(3)
    shapes = {"w1": (3, 3, 2, 3), "w2": (3, 3, 2, 3), "w3": (3, 2), "w4": (2, 2)}
    arrays = {name: Array(WEIGHT, random.integers(-7, 8, shape)) for name, shape in shapes.items()}
    arrays |= {
        "table": array("u16", np.arange(16) * 4369),
        "m1": array("u4", [[13]]),
        "t1": array("u5", [[20, 18, 25]]),
        "b1": array("i3", [[1, -2, 3], [0, 1, 0], [-4, 2, 1]]),
        "t2": array("u3", [[5]]),
        "r2": array("u3", [[4, 6]]),
        "g": array("i3", [-3, 2]),
    }
    operations = (
        ir.Conv2d(Value("c1", (4, 4, 3), SPIKE), "x", "w1", padding=1),
        ir.Conv2d(Value("c2", (4, 4, 3), SPIKE), "x", "w2", padding=1),
        ir.Add(Value("a1", (4, 4, 3), SPIKE), "c1", "c2"),
        ir.LIF(Value("s1", (4, 4, 3), SPIKE), "a1", "v1", "m1", 4, "t1", "b1", "zero", 2, "h1"),
        ir.MaxPool(Value("p1", (2, 2, 3), SPIKE), "s1"),
        ir.Reshape(Value("k1", (4, 3), SPIKE), "p1"),
        ir.Matmul(Value("g1", (3, 4, 4), SPIKE), "k1", "k1", "scores", 3),
        ir.Matmul(Value("g2", (4, 3), SPIKE), "g1", "k1", "values", 3),
        ir.Reshape(Value("g3", (2, 2, 3), SPIKE), "g2"),
        ir.SumPool(Value("q1", (1, 1, 3), SPIKE), "g3"),
        ir.Reshape(Value("f1", (3,), SPIKE), "q1"),
        ir.Dense(Value("i2", (2,), SPIKE), "f1", "w3"),
        ir.Delay(Value("d2", (2,), SPIKE), "s2", "z2"),
        ir.Scale(Value("e2", (2,), SPIKE), "d2", "g"),
        ir.Add(Value("a2", (2,), SPIKE), "i2", "e2"),
        ir.LIF(Value("s2", (2,), SPIKE), "a2", "v2", "m1", 4, "t2", reset_by="r2"),
        ir.Dense(Value("i3", (2,), SPIKE), "s2", "w4"),
        ir.Integrate(Value("u3", (2,), POTENTIAL), "i3", "v3", "m1", 4),
    )
    states = (
        State("v1", (4, 4, 3), POTENTIAL),
        State("h1", (4, 4, 3), IntType(2, False)),
        State("z2", (2,), SPIKE),
        State("v2", (2,), POTENTIAL),
        State("v3", (2,), POTENTIAL),
    )
    raw = Value("raw", (4, 4, 2), IntType(4, False))
    start = ir.Input(Value("x", (4, 4, 2), SPIKE), raw, 15, ir.Rate(7, "table"))
    readout = ir.Readout("membrane_max", "u3", ir.Exit(20, 2))
    return fitted(Program("every-operation", 3, start, states, operations, readout, arrays))


def with_operation(program: Program, result_name: str, /, **changes: Any) -> Program:
    """The operation that gives ``result_name`` with other fields; ``name``, ``shape`` and ``type`` are its result's."""

    def change(op: ir.Operation) -> ir.Operation:
        if op.result.name != result_name:
            return op
        own = {key: value for key, value in changes.items() if key not in ("name", "shape", "type")}
        result = {key: value for key, value in changes.items() if key in ("name", "shape", "type")}
        return replace(op, result=replace(op.result, **result), **own)

    return replace(program, operations=tuple(map(change, program.operations)))


def with_array(program: Program, name: str, kind: str, values: npt.ArrayLike) -> Program:
    return replace(program, arrays={**program.arrays, name: array(kind, values)})


def with_state(program: Program, name: str, **changes: Any) -> Program:
    states = (replace(state, **changes) if state.name == name else state for state in program.states)
    return replace(program, states=tuple(states))


def with_input(program: Program, **changes: Any) -> Program:
    return replace(program, input=replace(program.input, **changes))


def dense(
    weight: npt.ArrayLike, *, raw: str = "u8", kind: str = "i8", steps: int = 4, state: str = "i20", leak: int = 0
) -> Program:
    """A direct input, one dense operation and integrators, types as they are given."""
    values = np.asarray(weight)
    start = Value("x", (len(values),), IntType.parse(raw))
    source = ir.Input(start, replace(start, name="raw"), start.type.highest, ir.Direct())
    width, potential = (values.shape[1],), IntType.parse(state)
    operations = (
        ir.Dense(Value("i", width, SPIKE), "x", "w"),
        ir.Integrate(Value("u", width, potential), "i", "v", "m", 0),
    )
    arrays = {"w": array(kind, values), "m": array("u16", [[leak]])}
    readout = ir.Readout("membrane_last", "u")
    return fitted(Program("dense", steps, source, (State("v", width, potential),), operations, readout, arrays))
