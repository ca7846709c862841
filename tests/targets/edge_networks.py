"""Networks of real size with random weights, and the packages that edge targets need."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from leanspike import ir
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed

BYTE, WEIGHT, POTENTIAL = IntType(8, False), IntType(8, True), IntType(24, True)
THRESHOLD, DRAW = IntType(24, False), IntType(16, False)


def need(*packages: str) -> None:
    """Skip by name where a package is missing; fail in CI."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        message = f"needs {', '.join(missing)} (pip install 'leanspike[test]')"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message, allow_module_level=True)


def _input(kind: str, shape: tuple[int, ...], arrays: dict[str, Array]) -> ir.Input:
    raw = Value("raw", shape, BYTE)
    if kind == "direct":
        return ir.Input(Value("x", shape, BYTE), raw, 255, ir.Direct())
    arrays["table"] = Array(DRAW, np.arange(256) * 257)
    return ir.Input(Value("x", shape, SPIKE), raw, 255, ir.Rate(7, "table"))


def mlp(kind: str = "rate", steps: int = 8, exit_: ir.Exit | None = None) -> Program:
    """784-400-10, int8 weights, spikes counted."""
    random = np.random.default_rng(0)
    gain = 100 if kind == "direct" else 1
    arrays = {
        "w1": Array(WEIGHT, random.normal(0, 30, (784, 400)).round().clip(-127, 127).astype(int)),
        "w2": Array(WEIGHT, random.normal(0, 30, (400, 10)).round().clip(-127, 127).astype(int)),
        "m": Array(BYTE, [[243]]),
        "t1": Array(THRESHOLD, gain * random.integers(900, 1500, (1, 400))),
        "t2": Array(THRESHOLD, [[900]]),
        "b1": Array(IntType(12, True), random.integers(-300, 300, (1, 400))),
    }
    operations = (
        ir.Dense(Value("i1", (400,), SPIKE), "x", "w1"),
        ir.LIF(Value("s1", (400,), SPIKE), "i1", "v1", "m", 8, "t1", "b1"),
        ir.Dense(Value("i2", (10,), SPIKE), "s1", "w2"),
        ir.LIF(Value("s2", (10,), SPIKE), "i2", "v2", "m", 8, "t2"),
    )
    states = (ir.State("v1", (400,), POTENTIAL), ir.State("v2", (10,), POTENTIAL))
    start = _input(kind, (784,), arrays)
    program = Program("mlp", steps, start, states, operations, ir.Readout("count", "s2", exit_), arrays)
    return ir.verify(narrowed(fitted(program)))


def convnet(kind: str = "direct", steps: int = 4) -> Program:
    """28 x 28: two padded 3 x 3 convolutions of 8 and 16 channels, a maximum and a sum pool, ten integrators."""
    random = np.random.default_rng(1)
    arrays = {"m": Array(BYTE, [[200]])}
    start, states, operations = _input(kind, (28, 28, 1), arrays), [], []
    source, side, channels = "x", 28, 1
    for i, (out, pool) in enumerate(((8, ir.MaxPool), (16, ir.SumPool))):
        gain = 100 if kind == "direct" and i == 0 else 1
        arrays[f"w{i}"] = Array(WEIGHT, random.integers(-60, 80, (3, 3, channels, out)))
        arrays[f"t{i}"] = Array(THRESHOLD, gain * random.integers(100, 400, (1, out)))
        shape = (side, side, out)
        states.append(ir.State(f"v{i}", shape, POTENTIAL))
        operations.append(ir.Conv2d(Value(f"c{i}", shape, SPIKE), source, f"w{i}", 1, 1))
        operations.append(ir.LIF(Value(f"s{i}", shape, SPIKE), f"c{i}", f"v{i}", "m", 8, f"t{i}"))
        side, channels, source = side // 2, out, f"p{i}"
        operations.append(pool(Value(source, (side, side, out), SPIKE), f"s{i}", 2))
    size = side * side * channels
    arrays["w"] = Array(WEIGHT, random.integers(-100, 101, (size, 10)))
    states.append(ir.State("v", (10,), POTENTIAL))
    operations.append(ir.Reshape(Value("flat", (size,), SPIKE), source))
    operations.append(ir.Dense(Value("i", (10,), SPIKE), "flat", "w"))
    operations.append(ir.Integrate(Value("y", (10,), POTENTIAL), "i", "v", "m", 8))
    readout = ir.Readout("membrane_mean", "y")
    program = Program("convnet", steps, start, tuple(states), tuple(operations), readout, arrays)
    return ir.verify(narrowed(fitted(program)))


def images(program: Program, count: int) -> npt.NDArray[Any]:
    """Raw images of which four fifths are black."""
    random = np.random.default_rng(2)
    shape = (count, *program.input.raw.shape)
    pixels: npt.NDArray[Any] = (random.integers(0, 256, shape) * (random.random(shape) < 0.2)).astype(np.uint8)
    return pixels


def at_the_ends(weight_type: str, raw_type: str, shift: int) -> tuple[Program, npt.NDArray[Any]]:
    """Inputs and weights at the ends of their types, leaks by 1 / 2^shift, almost 1 and 1; and samples for it."""
    weight, kind = IntType.parse(weight_type), IntType.parse(raw_type)
    arrays = {
        "w": Array(weight, np.array([[weight.lowest, weight.highest, weight.lowest]] * 64)),
        "m": Array(IntType(9, False), [[1, (1 << shift) - 1, 1 << shift]]),
    }
    start = ir.Input(Value("x", (64,), kind), Value("raw", (64,), kind), kind.highest, ir.Direct())
    dense = ir.Dense(Value("i", (3,), SPIKE), "x", "w")
    integrate = ir.Integrate(Value("y", (3,), POTENTIAL), "i", "v", "m", shift)
    states, readout = (ir.State("v", (3,), POTENTIAL),), ir.Readout("membrane_last", "y")
    program = ir.verify(fitted(Program("ends", 5, start, states, (dense, integrate), readout, arrays)))
    raw: npt.NDArray[Any] = np.array([kind.lowest, kind.highest, 0])[:, None].repeat(64, 1).astype(kind.dtype)
    return program, raw
