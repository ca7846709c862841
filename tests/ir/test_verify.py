"""Every rule broken alone, and several at once: all violations are found, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from small_programs import array, dense, every_operation, with_array, with_input, with_operation, with_state

from leanspike import ir
from leanspike.core.errors import ProgramError
from leanspike.ir import IntType, Program, State, Value
from leanspike.ir.verify import MOST_CHANNELS, MOST_CONSTANTS, MOST_ELEMENTS, MOST_OPERATIONS, MOST_STATES

SOUND = every_operation()
U4 = IntType(4, False)


def with_readout(**changes: object) -> Program:
    return replace(SOUND, readout=replace(SOUND.readout, **changes))


def without_array(name: str) -> Program:
    return replace(SOUND, arrays={key: value for key, value in SOUND.arrays.items() if key != name})


def series(encoding: ir.Encoding, shape: tuple[int, ...], result: tuple[int, ...], kind: str = "u1") -> Program:
    """Two neurons on an input of this encoding, T = 4."""
    found = dense(np.ones((result[0], 2), dtype=int))
    start = ir.Input(Value("x", result, IntType.parse(kind)), Value("raw", shape, U4), 15, encoding)
    return replace(found, input=start)


def many(count: int, shape: tuple[int, ...]) -> Program:
    """Reshapes in a row."""
    chain = [f"f{i}" for i in range(count)]
    ops = [ir.Reshape(Value(name, shape, U4), source) for name, source in zip(chain, ["x", *chain], strict=False)]
    start = with_input(SOUND, result=Value("x", shape, U4), raw=Value("raw", shape, U4), encoding=ir.Direct())
    readout = ir.Readout("count", "x")
    return replace(start, operations=tuple(ops), states=(), arrays={}, readout=readout)


ALONE: dict[str, Callable[[], Program]] = {
    "steps: 0 is no number of steps (take 1 to 65535)": lambda: replace(SOUND, steps=0),
    "steps: 65536 is no number": lambda: replace(with_array(SOUND, "b1", "i3", [[1, 2, 3]]), steps=65_536),
    f"there are {MOST_OPERATIONS + 1} (take 1 to": lambda: many(MOST_OPERATIONS + 1, (1,)),
    f"states: there are {MOST_STATES + 1}": lambda: replace(
        SOUND, states=tuple(State(f"v{i}", (1,), U4) for i in range(MOST_STATES + 1))
    ),
    "c1: shape [4, 0, 3]": lambda: with_operation(SOUND, "c1", shape=(4, 0, 3)),
    "q1: shape []": lambda: with_operation(SOUND, "q1", shape=()),
    "f1: shape [3, 1, 1, 1, 1, 1, 1, 1, 1] (1 to 8 axes": lambda: with_operation(SOUND, "f1", shape=(3, *[1] * 400)),
    f"raw: shape [{MOST_ELEMENTS + 1}]": lambda: with_input(SOUND, raw=Value("raw", (MOST_ELEMENTS + 1,), U4)),
    "w3: array of shape [0, 2] (give it": lambda: with_array(SOUND, "w3", "i4", np.zeros((0, 2), dtype=int)),
    "name: 'two words' (one word": lambda: replace(SOUND, name="two words"),
    "is no name (letters, digits": lambda: with_operation(SOUND, "u3", name="3u"),
    "__metadata__: is no name": lambda: with_array(SOUND, "__metadata__", "u1", [1]),
    "s1: is defined more than once": lambda: with_array(SOUND, "s1", "u1", [1]),
    "c1: reads s1, which nothing before it gives": lambda: with_operation(SOUND, "c1", source="s1"),
    "u3: uses state v2 (declare it, one for each": lambda: with_operation(SOUND, "u3", state="v2"),
    "s2: reads array t9, which is missing": lambda: with_operation(SOUND, "s2", threshold="t9"),
    "input: reads array nosuch, which is missing": lambda: with_input(SOUND, encoding=ir.Rate(7, "nosuch")),
    "readout: reads u9, which no operation gives": lambda: with_readout(source="u9"),
    "v9: is a state that no operation uses": lambda: replace(SOUND, states=(*SOUND.states, State("v9", (2,), U4))),
    "w9: is an array that nothing reads": lambda: with_array(SOUND, "w9", "u1", [1]),
    "elements of all values (33554432 at most": lambda: many(8, (MOST_ELEMENTS,)),
    "input: a sequence of 5 steps (the program has 4)": lambda: series(ir.Sequence(), (5, 3), (3,), "u4"),
    "input: delta of [2, 5] (a series [channels, 4])": lambda: series(ir.Delta(3, 7), (2, 5), (4,)),
    "input: delta threshold or start out of range (1": lambda: series(ir.Delta(0, 7), (2, 4), (4,)),
    "input: delta threshold or start out of range": lambda: series(ir.Delta(3, 16), (2, 4), (4,)),
    "input: a delta threshold that no change reaches": lambda: series(ir.Delta(16, 7), (2, 4), (4,)),
    "input: a table of shape [15] (one entry": lambda: with_array(SOUND, "table", "u16", np.arange(15)),
    "input: rate threshold 65536 (16-bit": lambda: with_array(SOUND, "table", "u17", [0] * 15 + [65_536]),
    "input: seed -1 (0 to 4294967295)": lambda: with_input(SOUND, encoding=ir.Rate(-1, "table")),
    "input: seed 4294967296": lambda: with_input(SOUND, encoding=ir.Rate(1 << 32, "table")),
    "input: gives u4[4, 4, 2], the encoding u1[4, 4, 2]": lambda: with_input(SOUND, result=Value("x", (4, 4, 2), U4)),
    "input: levels 16 (1 to 15": lambda: with_input(SOUND, levels=16),
    "i2: dense takes [in] and a weight [in, out], found [3] and [4, 2]": lambda: with_array(
        SOUND, "w3", "i4", np.ones((4, 2), dtype=int)
    ),
    "c1: conv2d takes [H, W, C] and a weight": lambda: with_array(SOUND, "w1", "i4", np.ones((3, 3, 1, 3), dtype=int)),
    "c1: conv2d needs a stride of 1 to 65535": lambda: with_operation(SOUND, "c1", stride=0),
    "padding below the kernel's size": lambda: with_operation(SOUND, "c1", padding=3),
    "c1: the image [4, 4, 2] is smaller than the kernel [5, 9]": lambda: with_operation(
        with_array(SOUND, "w1", "i4", np.ones((5, 9, 2, 3), dtype=int)), "c1", padding=0
    ),
    "p1: a pool of size 5 needs [H, W, C] at least as large": lambda: with_operation(SOUND, "p1", size=5),
    "a1: add takes equal shapes, found [4, 4, 3] and [4, 4, 2]": lambda: with_operation(SOUND, "a1", right="x"),
    "f1: declares [5] of [1, 1, 3] (reshape gives": lambda: with_operation(SOUND, "f1", shape=(5,)),
    "p1: declares [2, 3, 3] of [4, 4, 3] (max_pool gives [2, 2, 3])": lambda: with_operation(
        SOUND, "p1", shape=(2, 3, 3)
    ),
    "s1: its state has shape [48] (the value's own": lambda: with_state(SOUND, "v1", shape=(48,)),
    "s2: its potential is u12 (potentials are signed)": lambda: with_state(SOUND, "v2", type=IntType(12, False)),
    "s2: declares u2 (it gives u1)": lambda: with_operation(SOUND, "s2", type=IntType(2, False)),
    "u3: declares i13 (it gives i12)": lambda: with_operation(SOUND, "u3", type=IntType(13, True)),
    "s1: array t1 has shape [2, 3] ([1 or 3, 1 or 3])": lambda: with_array(SOUND, "t1", "u5", np.ones((2, 3), int)),
    "u3: leak by 13 to 13 >> 31 (shift 0 to 30": lambda: with_operation(SOUND, "u3", shift=31),
    "leak by 65536 to 65536 >> 4": lambda: with_operation(with_array(SOUND, "m3", "u17", [[65_536]]), "u3", leak="m3"),
    "s2: thresholds 0 to 0 (1 to 2047, what v can reach)": lambda: with_array(SOUND, "t2", "u3", [[0]]),
    "s2: thresholds 2048 to 2048": lambda: with_array(SOUND, "t2", "u12", [[2048]]),
    "s1: reset 'halve' (subtract or zero)": lambda: with_operation(SOUND, "s1", reset="halve"),
    "s2: a reset zero by 4 to 6": lambda: with_operation(SOUND, "s2", reset="zero"),
    "s2: a reset subtract by -1 to 3": lambda: with_array(SOUND, "r2", "i4", [[-1, 3]]),
    "s1: a refractory period and its counter go together": lambda: with_operation(SOUND, "s1", refractory=0),
    "s1: counter u2[4, 4, 3] (unsigned, up to 4": lambda: with_operation(SOUND, "s1", refractory=4),
    "readout: 'loudest' (one of count": lambda: with_readout(kind="loudest"),
    "readout: count of u3 (reads the scores of LIF neurons)": lambda: with_readout(kind="count"),
    "readout: membrane_last of s1 (reads the scores": lambda: with_readout(kind="membrane_last", source="s1"),
    "readout: early exit by 0 from step 2 (a margin": lambda: with_readout(exit=ir.Exit(0, 2)),
    "readout: early exit by 2147483648 from step 1": lambda: with_readout(exit=ir.Exit(1 << 31)),
    "readout: early exit by 1 from step 4": lambda: with_readout(exit=ir.Exit(1, 4)),
    "i2: gives -": lambda: with_operation(SOUND, "i2", type=IntType(2, True)),
    "i: a sum over some inputs takes 34 bits (fewer bits in weights)": lambda: dense(
        [[1, -1]] * 2, raw="i32", kind="i2"
    ),
    "u: leak(v) + I + b takes 33 bits, 32 are there (fewer": lambda: dense(
        [[1]], raw="i32", kind="i2", state="i32", leak=1
    ),
    "u: v m takes 36 bits, 32 are there": lambda: dense([[1]], state="i20", leak=65_535),
    "readout: the sum of 65535 potentials exceeds 32 bits": lambda: replace(
        dense([[100]], steps=65_535, leak=1), readout=ir.Readout("membrane_mean", "u")
    ),
    "s2: a reset leaves -2050, which i12 does not hold": lambda: with_array(SOUND, "r2", "u12", [[2055, 4]]),
}


def test_a_sound_program_breaks_no_rule() -> None:
    assert ir.violations(SOUND) == []
    assert ir.verify(SOUND) is SOUND


@pytest.mark.parametrize("told", ALONE)
def test_a_broken_rule_is_told_with_its_remedy(told: str) -> None:
    program = ALONE[told]()
    found = ir.violations(program)
    assert any(told in str(violation) for violation in found), list(map(str, found))
    assert all(violation.where and violation.what and violation.remedy for violation in found)
    with pytest.raises(ProgramError):
        ir.verify(program)


def test_every_violation_is_reported_at_once() -> None:
    program = with_operation(SOUND, "c1", stride=0)
    program = with_operation(program, "p1", size=9)
    program = with_array(program, "t2", "u3", [[0]])
    program = with_state(program, "v3", type=IntType(12, False))
    program = with_input(replace(program, readout=replace(program.readout, exit=ir.Exit(0))), levels=99)
    where = [violation.where for violation in ir.violations(program)]
    assert {"c1", "p1", "s2", "u3", "readout", "input"} <= set(where)
    with pytest.raises(ProgramError) as caught:
        ir.verify(program)
    for name in set(where):
        assert f"{name}: " in caught.value.line()
    assert "\n" not in caught.value.line()


def test_of_very_many_violations_the_first_are_told_and_the_rest_counted() -> None:
    states = tuple(State(f"v{'x' * 60}{i}", (1,), U4) for i in range(1000))
    with pytest.raises(ProgramError) as caught:
        ir.verify(replace(SOUND, states=(*SOUND.states, *states)))
    assert "and 980 more" in caught.value.line()
    assert len(caught.value.line()) < 10_000


def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    with pytest.raises(ProgramError) as caught:
        ir.verify(with_array(SOUND, "a\x1b[2Jb\ud800", "u1", [1]))
    assert "a\\x1b[2Jb\\ud800: is no name" in caught.value.line()
    assert caught.value.line().isprintable()


def test_constants_and_channels_are_bounded_all_together() -> None:
    wide = replace(array("i2", np.zeros((1, 1), dtype=int)))
    object.__setattr__(wide, "values", np.broadcast_to(np.int8(0), (1 << 14, 1 << 14)))
    program = dense(np.ones((2, 2), dtype=int))
    twice = replace(program, arrays={**program.arrays, "w": wide})
    assert any(f"constants that operations read ({MOST_CONSTANTS}" in str(found) for found in ir.violations(twice))
    size = MOST_CHANNELS + 1
    neurons = ir.Integrate(Value("u", (size,), IntType(20, True)), "x", "v", "m", 0)
    start = Value("x", (size,), IntType(8, False))
    flat = replace(
        program,
        input=ir.Input(start, replace(start, name="raw"), 255, ir.Direct()),
        operations=(neurons,),
        states=(State("v", (size,), IntType(20, True)),),
        arrays={"m": program.arrays["m"]},
    )
    (found,) = ir.violations(flat)
    assert "262145 channels of all neurons (262144 at most" in str(found)


def test_a_reset_amount_and_a_threshold_in_rows_and_columns_are_compared_without_their_product() -> None:
    size, steps = 1 << 13, 65_535
    program = dense(np.ones((1, 2), dtype=int), steps=steps)
    neurons = ir.LIF(Value("s", (size,), ir.inttype.SPIKE), "x", "v", "m", 0, "t", reset_by="r")
    start = Value("x", (size,), U4)
    program = replace(
        program,
        input=ir.Input(start, replace(start, name="raw"), 15, ir.Direct()),
        operations=(neurons,),
        states=(State("v", (size,), IntType(8, True)),),
        readout=ir.Readout("count", "s"),
        arrays={
            "m": array("u1", [[1]]),
            "t": array("u7", np.full((steps, 1), 3)),
            "r": array("u8", np.full((1, size), 131)),
        },
    )
    assert ir.violations(program) == []
    (found,) = ir.violations(with_array(program, "r", "u8", np.full((1, size), 132)))
    assert "a reset leaves -129" in str(found)
