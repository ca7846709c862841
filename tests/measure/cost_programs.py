"""Small programs that the tests of costs share."""

from __future__ import annotations

from typing import Any

import numpy as np

from leanspike import ir
from leanspike.ir import Array, Codec, IntType, Program, State, Value, verify
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted

U8, I8, I16, I20, SPIKES = IntType(8, False), IntType(8, True), IntType(16, True), IntType(20, True), SPIKE


def pixels(leak: int = 900, reset: str = "subtract", steps: int = 2) -> Program:
    """Three pixels, two neurons, two classes, direct coding."""
    x = Value("x", (3,), U8)
    arrays = {
        "w1": Array(I8, np.array([[3, 5], [-2, 4], [1, 1]])),
        "w2": Array(I8, np.array([[1, -1], [2, 3]])),
        "leak": Array(IntType(11, False), np.array([[leak]])),
        "theta": Array(I16, np.array([[200, 300]])),
        "bias": Array(I16, np.array([[1, 2]])),
    }
    operations = (
        ir.Dense(Value("h", (2,), I20), "x", "w1"),
        ir.LIF(Value("s", (2,), SPIKE), "h", "v", "leak", 10, "theta", bias="bias", reset=reset),  # type: ignore[arg-type]
        ir.Dense(Value("o", (2,), I16), "s", "w2"),
        ir.Integrate(Value("y", (2,), I16), "o", "u", "leak", 10),
    )
    states = (State("v", (2,), I20), State("u", (2,), I16))
    start = ir.Input(x, Value("raw", (3,), U8), 255, ir.Direct())
    return verify(Program("small", steps, start, states, operations, ir.Readout("membrane_last", "y"), arrays))


def spikes(*, held: bool, early: bool = False) -> Program:
    """20 rate-coded inputs, sparse and dense weights, a coded state, a hold or own resets, leaks and biases."""
    random = np.random.default_rng(5)
    thin = random.integers(-2, 2, (20, 30)) * (random.random((20, 30)) < 0.1)
    arrays = {
        "table": Array(IntType(16, False), np.arange(16) * 4369),
        "w1": Array(IntType(2, True), thin, "sparse"),
        "w2": Array(IntType(4, True), random.integers(-7, 8, (30, 3))),
        "m1": Array(IntType(10, False), random.integers(600, 1000, (1, 30))),
        "m2": Array(IntType(11, False), np.array([[1024]])),
        "t1": Array(IntType(4, False), random.integers(1, 4, (1, 30))),
        "r1": Array(IntType(4, False), random.integers(1, 4, (1, 30))),
        "b1": Array(IntType(3, True), random.integers(-1, 3, (4, 30))),
        "b2": Array(IntType(3, True), np.array([[1], [0], [2], [1]])),
    }
    first = ir.LIF(Value("s", (30,), SPIKE), "h", "v", "m1", 10, "t1", "b1", reset_by="r1")
    if held:
        first = ir.LIF(Value("s", (30,), SPIKE), "h", "v", "m1", 10, "t1", "b1", "zero", 2, "hold")
        del arrays["r1"]
    operations = (
        ir.Dense(Value("h", (30,), I8), "x", "w1"),
        first,
        ir.Dense(Value("o", (3,), I16), "s", "w2"),
        ir.Integrate(Value("y", (3,), I16), "o", "u", "m2", 10, "b2"),
    )
    codec = Codec(-1, 1, 1)
    states: tuple[State, ...] = (State("v", (30,), I8, codec), State("u", (3,), I16))
    if held:
        states += (State("hold", (30,), IntType(2, False)),)
    start = ir.Input(Value("x", (20,), SPIKE), Value("raw", (20,), IntType(4, False)), 15, ir.Rate(3, "table"))
    readout = ir.Readout("membrane_last", "y", ir.Exit(6, 2) if early else None)
    return verify(fitted(Program("spikes", 4, start, states, operations, readout, arrays)))


def image(form: str = "dense") -> Program:
    """A 6 x 6 image by rate, a strided convolution with padding, a pool, a dense layer that spikes."""
    random = np.random.default_rng(6)
    kernel = random.integers(-2, 3, (3, 3, 2, 4)) * (random.random((3, 3, 2, 4)) < 0.6)
    arrays = {
        "table": Array(IntType(16, False), np.arange(16) * 4369),
        "w1": Array(IntType(3, True), kernel, form),  # type: ignore[arg-type]
        "w2": Array(IntType(3, True), random.integers(-3, 4, (4, 3))),
        "m": Array(IntType(10, False), np.array([[900]])),
        "t1": Array(IntType(4, False), np.array([[2, 1, 3, 2]])),
        "t2": Array(IntType(4, False), np.array([[2]])),
    }
    operations = (
        ir.Conv2d(Value("h", (3, 3, 4), I16), "x", "w1", stride=2, padding=1),
        ir.LIF(Value("s", (3, 3, 4), SPIKE), "h", "v", "m", 10, "t1"),
        ir.MaxPool(Value("p", (1, 1, 4), SPIKE), "s"),
        ir.Reshape(Value("f", (4,), SPIKE), "p"),
        ir.Dense(Value("o", (3,), I16), "f", "w2"),
        ir.LIF(Value("y", (3,), SPIKE), "o", "u", "m", 10, "t2"),
    )
    states = (State("v", (3, 3, 4), I16), State("u", (3,), I16))
    shape = Value("raw", (6, 6, 2), IntType(4, False))
    start = ir.Input(Value("x", (6, 6, 2), SPIKE), shape, 15, ir.Rate(9, "table"))
    return verify(fitted(Program("image", 3, start, states, operations, ir.Readout("count", "y"), arrays)))


def samples(program: Program, count: int, seed: int = 0) -> Any:
    """Raw samples, half of their values 0."""
    raw, random = program.input.raw, np.random.default_rng(seed)
    values = random.integers(0, raw.type.highest + 1, (count, *raw.shape))
    return (values * (random.random(values.shape) < 0.5)).astype(raw.type.dtype)
