"""Small programs for tests of the core, and the tools that they need."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from leanspike import ir
from leanspike.core.errors import MissingTool
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed
from leanspike.ir.program import Codec, Form
from leanspike.targets.verilog import simulate

BYTE, FEW, POTENTIAL = IntType(8, False), IntType(4, True), IntType(20, True)


def need(*simulators: simulate.Simulator) -> None:
    """Skip by name where a simulator is missing; fail on CI."""
    for simulator in simulators:
        try:
            simulate.need(simulator)
        except MissingTool as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(error.line())


def lint(folder: Path, files: tuple[str, ...], *flags: str) -> str:
    """What Verilator -Wall has to say about a core's sources."""
    sources = [name for name in files if name.endswith(".v") and not name.endswith("_tb.v")]
    command = ["verilator", "--lint-only", "-Wall", *flags, "--top-module", "leanspike_core", *sources]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stderr


def dense(*, form: Form = "dense", exit_: ir.Exit | None = None, encoding: str = "direct", steps: int = 4) -> Program:
    """20-19-5: refractory neurons with codes for potentials, then integrators; with one of the encodings."""
    random = np.random.default_rng(3)
    first = random.integers(-7, 8, (20, 19)) * (random.random((20, 19)) < 0.4)
    arrays = {
        "w1": Array(FEW, first, form),
        "w2": Array(FEW, random.integers(-7, 8, (19, 5))),
        "m": Array(BYTE, [[230]]),
        "t": Array(IntType(11, False), random.integers(*((5, 15) if encoding == "rate" else (40, 300)), (1, 19))),
        "b": Array(IntType(6, True), random.integers(-20, 20, (1, 5))),
    }
    raw = Value("raw", (20,), BYTE)
    start = ir.Input(Value("x", (20,), BYTE), raw, 255, ir.Direct())
    if encoding == "rate":
        arrays["table"] = Array(IntType(16, False), np.arange(256) * 257)
        start = ir.Input(Value("x", (20,), SPIKE), raw, 255, ir.Rate(7, "table"))
    if encoding == "sequence":
        start = ir.Input(Value("x", (20,), BYTE), Value("raw", (steps, 20), BYTE), 255, ir.Sequence())
    operations = (
        ir.Dense(Value("hidden.i", (19,), SPIKE), "x", "w1"),
        ir.LIF(Value("hidden.s", (19,), SPIKE), "hidden.i", "v1", "m", 8, "t", refractory=1, hold="h1"),
        ir.Dense(Value("i2", (5,), SPIKE), "hidden.s", "w2"),
        ir.Integrate(Value("u2", (5,), POTENTIAL), "i2", "v2", "m", 8, "b"),
    )
    states = (
        ir.State("v1", (19,), POTENTIAL, Codec(-8, 7, 4)),
        ir.State("h1", (19,), IntType(1, False)),
        ir.State("v2", (5,), POTENTIAL),
    )
    readout = ir.Readout("membrane_mean", "u2", exit_)
    return ir.verify(narrowed(fitted(Program("dense", steps, start, states, operations, readout, arrays))))


def image(pool: type[ir.MaxPool | ir.SumPool] = ir.MaxPool, stride: int = 1) -> Program:
    """7 x 7 x 2 through a convolution, a pool with a rest, a sparse convolution back onto itself, and spike counts."""
    random = np.random.default_rng(4)
    side = (7 + 2 - 3) // stride + 1
    after, size = side // 2, (side // 2) ** 2 * 3
    arrays = {
        "w1": Array(FEW, random.integers(-7, 8, (3, 3, 2, 3))),
        "w2": Array(FEW, random.integers(-7, 8, (size, 4)) * (random.random((size, 4)) < 0.3), "sparse"),
        "back": Array(FEW, random.integers(-7, 8, (4, 4))),
        "m": Array(BYTE, [[230]]),
        "t1": Array(IntType(11, False), random.integers(300, 900, (3, 3))),
        "t2": Array(IntType(6, False), [[9]]),
    }
    start = ir.Input(Value("x", (7, 7, 2), BYTE), Value("raw", (7, 7, 2), BYTE), 255, ir.Direct())
    operations = (
        ir.Conv2d(Value("i1", (side, side, 3), SPIKE), "x", "w1", stride, 1),
        ir.LIF(Value("s1", (side, side, 3), SPIKE), "i1", "v1", "m", 8, "t1", reset="zero"),
        pool(Value("p1", (after, after, 3), SPIKE), "s1", 2),
        ir.Reshape(Value("f1", (size,), SPIKE), "p1"),
        ir.Dense(Value("i2", (4,), SPIKE), "f1", "w2"),
        ir.Delay(Value("d2", (4,), SPIKE), "s2", "last"),
        ir.Dense(Value("r2", (4,), SPIKE), "d2", "back"),
        ir.Add(Value("a2", (4,), SPIKE), "i2", "r2"),
        ir.LIF(Value("s2", (4,), SPIKE), "a2", "v2", "m", 8, "t2"),
    )
    states = (
        ir.State("v1", (side, side, 3), POTENTIAL),
        ir.State("last", (4,), SPIKE),
        ir.State("v2", (4,), POTENTIAL),
    )
    program = Program("image", 3, start, states, operations, ir.Readout("count", "s2"), arrays)
    return ir.verify(narrowed(fitted(program)))


def samples(program: Program, count: int, share: float = 0.4) -> npt.NDArray[np.uint8]:
    """Raw samples of which a share is not 0."""
    random = np.random.default_rng(5)
    shape = (count, *program.input.raw.shape)
    found: npt.NDArray[np.uint8] = (random.integers(1, 256, shape) * (random.random(shape) < share)).astype(np.uint8)
    return found
