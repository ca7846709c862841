"""The text form: a golden file, the way back, and every malformed line named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from small_programs import dense, every_operation, with_input

from leanspike import ir
from leanspike.core.errors import ProgramError
from leanspike.ir import IntType, Program, Value
from leanspike.ir.ops import OPERATIONS
from leanspike.ir.text import Declared, declared

GOLDEN = (Path(__file__).parents[1] / "golden" / "every-operation.txt").read_text(encoding="utf-8")
SMALL = """leanspike program 1
name dense
steps 4
raw u8[2] levels=255
x: u8[2] = direct
i: i10[1] = dense x weight=w
state v i20[1]
u: i20[1] = integrate i state=v leak=m shift=0
readout membrane_last u
array m u16[1x1]
array w i8[2x1]
"""


def small() -> Program:
    return dense([[1], [-2]])


def test_the_golden_text_is_what_render_gives() -> None:
    assert ir.render(every_operation()) == GOLDEN
    assert ir.render(small()) == SMALL


def test_the_golden_text_names_every_operation() -> None:
    for keyword in OPERATIONS:
        assert f" = {keyword} " in GOLDEN


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        (ir.Direct(), "x: u8[2] = direct"),
        (ir.Sequence(), "x: u8[2] = sequence"),
        (ir.Rate(4294967295, "m"), "x: u8[2] = rate seed=4294967295 table=m"),
        (ir.Latency("m"), "x: u8[2] = latency table=m"),
        (ir.Delta(3, -7), "x: u8[2] = delta threshold=3 start=-7"),
    ],
    ids=lambda value: getattr(value, "keyword", ""),
)
def test_parse_is_the_inverse_of_render(encoding: ir.Encoding, line: str) -> None:
    for program in (small(), every_operation()):
        assert ir.parse(ir.render(program), program.arrays) == program
    program = with_input(small(), encoding=encoding)
    assert line in ir.render(program).splitlines()
    assert ir.parse(ir.render(program), program.arrays) == program


def test_an_exit_and_a_reset_by_come_back() -> None:
    program = replace(small(), readout=ir.Readout("membrane_max", "u", ir.Exit(7, 3)))
    assert "readout membrane_max u margin=7 earliest=3" in ir.render(program)
    assert ir.parse(ir.render(program), program.arrays) == program


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("steps many", "line 3: 'many' is no integer"),
        ("steps 12345678901", "is no integer"),
        ("steps ٣", "is no integer"),
        ("raw u8[2]", "no levels; settings are levels"),
        ("raw u8[2] depth=3", "'depth' is no setting; settings are levels"),
        ("raw u8[2] levels", "is no setting, or a second one"),
        ("raw levels=255", "is not TYPE[SHAPE] levels=N"),
        ("x: u8[2] = direct gain=2", "'gain' is no setting; settings are none"),
        ("x: u8[2] = direct w", "is no setting"),
        ("x: u8[2] = rate seed=3", "no table; settings are seed, table"),
        ("x: u8[2] = morse", "'morse' is no operation; there are direct, rate"),
        ("x: u8[2]", "'' is no operation"),
        ("x: u40[2] = direct", "line 5: u40 is no type: i1 to i32 and u1 to u31 are"),
        ("x: u32[2] = direct", "u32 is no type"),
        ("x: u8[] = direct", "'u8[]' is no type and shape such as i8[784x400]"),
        ("x: u8[1x1x1x1x1x1x1x1x1] = direct", "is no type and shape"),
        ("x: u8[9999999999] = direct", "is no type and shape"),
        ("x: u8[²] = direct", "is no type and shape"),
        ("x: = u8[2] = direct", "is no type and shape"),
        ("i: i10[1] = dense weight=w", "is not dense of source with its settings"),
        ("i: i10[1] = dense x w", "'w' is no setting"),
        ("i: i10[1] = dense x weight=w weight=w", "'weight=w' is no setting, or a second one"),
        ("i: i10[1] = dense x", "line 6: no weight; settings are weight"),
        ("i: i10[1] = dense x weight=w source=x", "'source' is no setting"),
        ("i: i10[1] = add x", "is not add of left and right with its settings"),
        ("i: i10[1] = conv2d x weight=w stride=two", "'two' is no integer"),
        ("i: i10[1] = lif x state=v leak=m shift=0", "no threshold; settings are state, leak"),
        ("state v", "is not NAME TYPE[SHAPE]"),
        ("state v i20[1] 3", "'3' is no setting"),
        ("state v i20", "'i20' is no type and shape"),
        ("readout membrane_last", "is not KIND VALUE, or with margin=N earliest=N"),
        ("readout membrane_last u margin=x", "'x' is no integer"),
        ("readout membrane_last u earliest=1", "no margin; settings are margin, earliest"),
        ("array w", "is not NAME TYPE[SHAPE]"),
        ("array w i8", "is no type and shape"),
        ("array m u16[1x1]", "a second array m"),
        ("leanspike program 1", "is no line of a program"),
        ("", "'' is no line of a program"),
        ("\x1b[2J", "is no line of a program"),
    ],
)
def test_a_malformed_line_is_named(line: str, told: str) -> None:
    lines = SMALL.splitlines()
    keyword = line.split(" ")[0]
    number = next((i for i, other in enumerate(lines) if i and other.split(" ")[0] == keyword), 7)
    lines[number] = line
    if line == "array m u16[1x1]":
        lines.append(line)
        number = len(lines) - 1
    with pytest.raises(ProgramError) as caught:
        ir.parse("\n".join(lines) + "\n", small().arrays)
    assert f"program text, line {number + 1}: " in caught.value.line()
    assert told in caught.value.line()
    assert caught.value.line().isprintable()


@pytest.mark.parametrize("line", [line for line in SMALL.splitlines() if not line.startswith(("i:", "state", "u:"))])
def test_a_line_that_is_missing_or_there_twice_is_told(line: str) -> None:
    with pytest.raises(ProgramError):
        ir.verify(ir.parse(SMALL.replace(line + "\n", ""), small().arrays))
    if not line.startswith("leanspike"):
        with pytest.raises(ProgramError) as caught:
            ir.parse(SMALL + line + "\n", small().arrays)
        assert "line 12: a second " in caught.value.line()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ProgramError, match="has no line for readout, steps"):
        ir.parse(SMALL.replace("steps 4\n", "").replace("readout membrane_last u\n", ""), small().arrays)


@pytest.mark.parametrize("first", ["", "leanspike program 4", "leanspike program 1 ", "#!/bin/sh"])
def test_another_version_or_another_text_is_refused(first: str) -> None:
    with pytest.raises(ProgramError, match="this leanspike reads 'leanspike program 3' and older"):
        ir.parse(SMALL.replace("leanspike program 1", first), small().arrays)


def test_a_text_longer_than_any_program_is_refused() -> None:
    with pytest.raises(ProgramError, match="more than any program"):
        ir.parse(SMALL + "array w i8[2x1]\n" * 100_000, small().arrays)


def test_arrays_that_do_not_fit_the_text_are_refused() -> None:
    program = small()
    for arrays in (
        {"m": program.arrays["m"]},
        {**program.arrays, "w": ir.Array(IntType(7, True), [[1], [2]])},
        {**program.arrays, "w": ir.Array(IntType(8, True), [[1, 2]])},
    ):
        with pytest.raises(ProgramError, match=r"array w is missing or not i8\[2x1\]"):
            ir.parse(SMALL, arrays)


def test_declared_names_the_arrays() -> None:
    assert declared(SMALL) == {"m": Declared(IntType(16, False), (1, 1)), "w": Declared(IntType(8, True), (2, 1))}


def test_types_are_parsed_and_bounded() -> None:
    for text in ("i1", "i32", "u1", "u31"):
        assert str(IntType.parse(text)) == text
    for text in ("i0", "i33", "u32", "u0", "s8", "i8 ", "i08", "i-1", "", "i٣"):
        with pytest.raises(ValueError, match="is no type"):
            IntType.parse(text)
    assert [str(IntType.holding(*bounds)) for bounds in ((0, 0), (0, 1), (-1, 0), (-1, 1), (-128, 127), (0, 256))] == [
        "u1", "u1", "i1", "i2", "i8", "u9",
    ]  # fmt: skip
    assert IntType.holding(0, 5, signed=True) == IntType(4, True)
    with pytest.raises(ValueError, match="is no type"):
        IntType.holding(0, 1 << 31)
    assert Value("x", (1,), IntType(3, True)).type.holds(-4, 3)
    assert not IntType(3, True).holds(-4, 4)
