"""States of few bits in every target: every packing, the widest potentials, and memory as the compiler sees it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from leanspike import ir
from leanspike.core.trace import mismatches
from leanspike.ir import Array, Codec, IntType, Program, State, Value
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.narrow import fitted
from leanspike.targets import base
from leanspike.targets.nir import warnings

NEURONS, STEPS = 23, 6
CODECS = [
    Codec(-1, 1, 5), Codec(-2, 0, 3), Codec(0, 2, 6), Codec(0, 1, 4), Codec(-1, 0, 4), Codec(-2, 1, 4), Codec(-1, 2, 4),
    Codec(-8, 7, 3), Codec(-3, 4, 3), Codec(0, 15, 2), Codec(-128, 127, 0), Codec(-100, 127, 1), Codec(0, 127, 0),
]  # fmt: skip
PER_BYTE = [5, 5, 5, 8, 8, 4, 4, 2, 2, 2, 1, 1, 1]


def program(codec: Codec | None, *, state: int = 16, refractory: int = 0, leak: int = 13, weight: int = 60) -> Program:
    """Twenty small integers a step into 23 neurons, and those into three integrators; all have the codec."""
    random, kind = np.random.default_rng(8), IntType(state, True)
    arrays = {
        "w1": Array(IntType.holding(-weight, weight), random.integers(-weight, weight + 1, (20, NEURONS))),
        "w2": Array(IntType(8, True), random.integers(-60, 61, (NEURONS, 3))),
        "m": Array(IntType(4, False), np.array([[leak]])),
        "t": Array(IntType(7, False), np.array([[40]])),
    }
    hold = (State("h", (NEURONS,), IntType(2, False)),) if refractory else ()
    held = "h" if refractory else None
    shift = 4 if leak > 1 else 0
    operations = (
        ir.Dense(Value("i1", (NEURONS,), SPIKE), "x", "w1"),
        ir.LIF(Value("s1", (NEURONS,), SPIKE), "i1", "v1", "m", shift, "t", None, "subtract", refractory, held),
        ir.Dense(Value("i2", (3,), SPIKE), "s1", "w2"),
        ir.Integrate(Value("u2", (3,), kind), "i2", "v2", "m", shift),
    )
    start = Value("x", (20,), IntType(3, True))
    source = ir.Input(start, Value("raw", (STEPS, 20), start.type), 3, ir.Sequence())
    states = (State("v1", (NEURONS,), kind, codec), *hold, State("v2", (3,), kind, codec))
    readout = ir.Readout("membrane_last", "u2")
    return ir.verify(fitted(Program("few-bits", STEPS, source, states, operations, readout, arrays)))


def raw(batch: int = 8) -> Ints:
    return np.random.default_rng(1).integers(-4, 4, (batch, STEPS, 20))


def agrees(made: Program, target: str, folder: Path) -> base.Artefact:
    artefact = base.emit(target, made, folder)
    expected, found = ir.run(made, raw(), record=True), base.run(artefact, raw(), record=True)
    assert not any(mismatches(expected, found).values())
    return artefact


@pytest.mark.parametrize("target", ["engine", "onnx", "tflite", "nir"])
@pytest.mark.parametrize("refractory", [0, 2])
def test_every_packing_is_the_reference(target: str, refractory: int, tmp_path: Path) -> None:
    for codec in CODECS if target == "engine" else CODECS[::3]:
        agrees(program(codec, refractory=refractory), target, tmp_path)


@pytest.mark.parametrize(("codec", "per_byte"), list(zip(CODECS, PER_BYTE, strict=True)), ids=str)
def test_c_keeps_packed_codes_and_states_their_bytes(codec: Codec, per_byte: int, tmp_path: Path) -> None:
    made = program(codec, refractory=2)
    artefact = agrees(made, "c", tmp_path)
    size = -(-NEURONS // per_byte)
    assert codec.per_byte == per_byte
    assert made.state["v1"].stored_bytes == size
    header = (tmp_path / "few_bits.h").read_text(encoding="utf-8")
    (told,) = re.findall(r"uint8_t state_v1\[(\d+)\]", header)
    assert int(told) == size
    whole = base.emit("c", program(None, refractory=2), tmp_path / "whole")
    saved = 2 * NEURONS - size + 2 * 3 - made.state["v2"].stored_bytes
    assert whole.facts["ram_bytes"] - artefact.facts["ram_bytes"] >= saved - 4 * 3


@pytest.mark.parametrize("target", ["engine", "c", "onnx", "tflite"])
@pytest.mark.parametrize("codec", [Codec(-2, 1, 29), Codec(-1, 1, 15), Codec(-128, 127, 23), Codec(-8, 7, 0)], ids=str)
def test_the_widest_potentials_are_rounded_without_leaving_32_bits(target: str, codec: Codec, tmp_path: Path) -> None:
    agrees(program(codec, state=31, leak=1, weight=1 << 22 if target != "tflite" else 60), target, tmp_path)


def test_nir_tells_what_its_graph_leaves_out() -> None:
    told = "\n".join(warnings(program(CODECS[0])))
    assert "s1, u2: NIR has no states of few bits" in told
    assert "few bits" not in "\n".join(warnings(program(None)))
