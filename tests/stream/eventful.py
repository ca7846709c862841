"""A small program on frames of events, and events for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike import ir
from leanspike.engine import EVENT
from leanspike.ir.narrow import fitted

WIDTH, HEIGHT, STEPS = 5, 4, 3
ONE = ir.IntType(1, False)


def program(*, exit_: ir.Exit | None = None, stepwise: bool = False) -> ir.Program:
    """20 x 2 inputs, 30 leaking neurons, 4 classes; ``stepwise``: thresholds of each step."""
    random, shape = np.random.default_rng(1), (HEIGHT, WIDTH, 2)
    arrays = {
        "w1": ir.Array(ir.IntType(8, True), random.integers(-90, 120, (WIDTH * HEIGHT * 2, 30))),
        "w2": ir.Array(ir.IntType(8, True), random.integers(-127, 128, (30, 4))),
        "m": ir.Array(ir.IntType(8, False), np.array([[230]])),
        "theta": ir.Array(ir.IntType(9, False), np.full((STEPS if stepwise else 1, 30), 200)),
    }
    operations = (
        ir.Reshape(ir.Value("f", (WIDTH * HEIGHT * 2,), ONE), "x"),
        ir.Dense(ir.Value("i1", (30,), ONE), "f", "w1"),
        ir.LIF(ir.Value("s1", (30,), ONE), "i1", "v1", "m", 8, "theta"),
        ir.Dense(ir.Value("i2", (4,), ONE), "s1", "w2"),
        ir.Integrate(ir.Value("y", (4,), ir.IntType(20, True)), "i2", "v2", "m", 8),
    )
    states = (ir.State("v1", (30,), ir.IntType(24, True)), ir.State("v2", (4,), ir.IntType(20, True)))
    start = ir.Input(ir.Value("x", shape, ONE), ir.Value("raw", (STEPS, *shape), ONE), 1, ir.Sequence())
    readout = ir.Readout("membrane_mean", "y", exit_)
    return fitted(ir.Program("eventful", STEPS, start, states, operations, readout, arrays))


def series() -> ir.Program:
    """One channel of 8 bits a step, as a sequence."""
    random, byte = np.random.default_rng(2), ir.IntType(8, False)
    arrays = {
        "w1": ir.Array(ir.IntType(8, True), random.integers(-90, 120, (1, 30))),
        **{name: array for name, array in program().arrays.items() if name != "w1"},
    }
    found = program()
    operations = (replace(found.operations[1], source="x"), *found.operations[2:])
    start = ir.Input(ir.Value("x", (1,), byte), ir.Value("raw", (STEPS, 1), byte), 255, ir.Sequence())
    return fitted(replace(found, name="series", input=start, operations=operations, arrays=arrays))


def events(count: int, until: int, seed: int = 0) -> npt.NDArray[np.void]:
    """Events at random, in the order of time."""
    random, found = np.random.default_rng(seed), np.zeros(count, dtype=EVENT)
    found["t"] = np.sort(random.integers(0, until, count))
    found["x"], found["y"] = random.integers(0, WIDTH, count), random.integers(0, HEIGHT, count)
    found["on"] = random.integers(0, 2, count)
    return found


def columns(found: npt.NDArray[np.void]) -> dict[str, Any]:
    """The same as a recording's columns."""
    return {"t": found["t"], "x": found["x"], "y": found["y"], "p": found["on"]}


def expected(found: npt.NDArray[np.void], ticks: int, windows: int, of: ir.Program) -> ir.reference.Trace:
    """What the reference decides of every window as a sample of its own."""
    frames = np.zeros((windows * STEPS, HEIGHT, WIDTH, 2), dtype=np.uint8)
    frames[found["t"] // ticks, found["y"], found["x"], found["on"]] = 1
    return ir.run(of, frames.reshape(windows, STEPS, HEIGHT, WIDTH, 2))
