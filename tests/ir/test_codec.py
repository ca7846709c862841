"""Few-bit states: the rounding against Python's whole numbers, the meaning by hand, and every place that keeps them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small_programs import array, dense, every_operation, with_array, with_operation, with_state

from leanspike import ir
from leanspike.core.errors import ProgramError
from leanspike.core.trace import mismatches
from leanspike.ir import Codec, Program, Range, State, intmath
from leanspike.ir.inttype import SPIKE, IntType
from leanspike.ir.narrow import fitted, narrowed
from leanspike.measure.footprint import footprint

TERNARY = Codec(-1, 1, 4)
CODECS = (TERNARY, Codec(-8, 7, 0), Codec(-2, 1, 3), Codec(0, 3, 5), Codec(-128, 127, 2))


def few_bits() -> Program:
    """Every operation, each potential with its own codec."""
    program = every_operation()
    for name, codec in (("v1", TERNARY), ("v2", Codec(-2, 1, 1)), ("v3", Codec(-8, 7, 0))):
        program = with_state(program, name, codec=codec)
    return fitted(program)


def raw_of(program: Program, batch: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    shape = (batch, *program.input.raw.shape)
    return np.random.default_rng(5).integers(0, program.input.raw.type.highest + 1, shape)


@pytest.mark.parametrize("codec", CODECS, ids=str)
def test_stored_rounds_halves_up_and_clips(codec: Codec) -> None:
    values = [*range(-70, 71), -(1 << 27), (1 << 27) - 1]
    step = 1 << codec.shift
    codes = [max(codec.lowest, min(codec.highest, (2 * value + step) // (2 * step))) for value in values]
    assert intmath.encoded(np.array(values), codec).tolist() == codes
    assert intmath.stored(np.array(values), codec).tolist() == [code * step for code in codes]
    assert intmath.stored(torch.tensor(values), codec).tolist() == [code * step for code in codes]
    again = intmath.stored(np.array(values), codec)
    assert intmath.stored(again, codec).tolist() == again.tolist()


def test_without_a_codec_all_is_kept() -> None:
    values = np.array([-7, 0, 9])
    assert intmath.stored(values, None) is values


def test_integrators_give_the_unrounded_potential_and_carry_the_rounded_one() -> None:
    program = with_state(dense([[3]], raw="u4", leak=1), "v", codec=Codec(-2, 1, 3))
    trace = ir.run(program, np.array([[4]]), record=True)
    # 12 is stored as 1 << 3, 8 + 12 = 20 as well: the codes end at 1.
    assert trace.step_states["v"][:, 0, 0].tolist() == [8, 8, 8, 8]
    assert trace.scores.tolist() == [[20]]


def test_neurons_store_after_their_reset_and_held_ones_keep_what_they_stored() -> None:
    program = with_state(dense([[3]], raw="u4", leak=1), "v", codec=Codec(-8, 7, 2))
    lif = ir.LIF(ir.Value("u", (1,), SPIKE), "i", "v", "m", 0, "t", refractory=1, hold="h")
    states = (*program.states, State("h", (1,), IntType(1, False)))
    program = replace(program, operations=(program.operations[0], lif), states=states)
    program = with_array(replace(program, readout=ir.Readout("count", "u")), "t", "u4", [[10]])
    trace = ir.run(program, np.array([[5]]), record=True)
    # 15 - 10 = 5 is stored as 4; held; 4 + 15 - 10 = 9 is stored as 8; held.
    assert trace.step_states["v"][:, 0, 0].tolist() == [4, 4, 8, 8]
    assert trace.scores.tolist() == [[2]]


def test_the_fast_interpreter_agrees() -> None:
    program = few_bits()
    raw = raw_of(program, 40)
    expected = ir.run(program, raw)
    assert not any(mismatches(expected, ir.run_fast(program, raw)).values())
    assert any(mismatches(ir.run(every_operation(), raw), expected).values())


def test_intervals_are_those_of_the_codes_and_narrowing_keeps_the_meaning() -> None:
    program = few_bits()
    found = ir.ranges(program)
    for name in ("v1", "v2", "v3"):
        codec = program.state[name].codec
        assert codec is not None
        low, high = codec.lowest << codec.shift, codec.highest << codec.shift
        assert low <= found.states[name].lowest <= found.states[name].highest <= high
    narrow = ir.verify(fitted(narrowed(program)))
    assert narrow.state["v1"].type.bits < program.state["v1"].type.bits
    raw = raw_of(program, 40)
    assert not any(mismatches(ir.run(program, raw), ir.run(narrow, raw)).values())


def test_narrowing_leaves_room_for_every_code_and_for_what_a_reset_leaves() -> None:
    program = with_state(dense([[1]], raw="u1", leak=0), "v", codec=Codec(-1, 1, 6))
    assert narrowed(program).state["v"].type == IntType(8, True)
    assert ir.ranges(program).values["u"] == Range(0, 1)
    assert ir.ranges(program).states["v"] == Range(0, 0)
    arrays = {**program.arrays, "t": array("u1", [[1]]), "r": array("u9", [[300]])}
    lif = ir.LIF(ir.Value("u", (1,), SPIKE), "i", "v", "m", 0, "t", reset_by="r")
    operations = (program.operations[0], lif)
    program = replace(program, operations=operations, arrays=arrays, readout=ir.Readout("count", "u"))
    assert ir.ranges(program).carried["v"] == Range(-299, 0)
    assert narrowed(ir.verify(program)).state["v"].type == IntType(10, True)
    ir.verify(narrowed(program))


def test_an_interval_of_many_steps_is_the_codes_whole_range() -> None:
    program = with_state(dense([[1]], raw="u1", leak=1, steps=1000), "v", codec=Codec(-2, 1, 3))
    found = ir.ranges(program)
    assert found.states["v"] == Range(0, 0)
    wide = with_state(program, "v", codec=Codec(-128, 127, 0))
    assert ir.ranges(wide).states["v"] == Range(0, 127)


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        (Codec(1, 3, 0), "v: codes 1 to 3 (two codes or more between -128 and 127, one of them 0)"),
        (Codec(0, 0, 0), "v: codes 0 to 0 (two codes or more"),
        (Codec(1, -1, 0), "v: codes 1 to -1 (two codes or more"),
        (Codec(-129, 0, 0), "v: codes -129 to 0 (two codes or more"),
        (Codec(0, 128, 0), "v: codes 0 to 128 (two codes or more"),
        (Codec(-1, 1, -1), "v: a codec of shift -1 (0 to 30)"),
        (Codec(-1, 1, 9_999_999_999), "v: a codec of shift 9999999999 (0 to 30)"),
        (Codec(-1, 1, 19), "v: codes -1 to 1 << 19, which i20 does not hold (a wider state, or fewer codes)"),
    ],
    ids=str,
)
def test_a_codec_that_cannot_be_is_refused(codec: Codec, told: str) -> None:
    (found,) = ir.violations(with_state(dense([[1], [-2]]), "v", codec=codec))
    assert told in str(found)


def test_rounding_may_not_leave_32_bits_and_counters_have_no_codec() -> None:
    program = with_state(dense([[1], [-2]], state="i32"), "v", codec=Codec(-1, 0, 4))
    (found,) = ir.violations(program)
    assert str(found) == "v: rounding i32 by 4 leaves 32 bits (a narrower state)"
    program = with_state(with_state(few_bits(), "h1", codec=TERNARY), "v2", codec=Codec(0, 0, 31))
    told = [str(found) for found in ir.violations(with_operation(program, "s1", shift=31))]
    assert len(told) == 4
    assert "h1: is a counter with a codec (only potentials have one)" in told


def test_a_codec_stands_in_the_text_and_comes_back(tmp_path: Path) -> None:
    program = few_bits()
    text = ir.render(program)
    assert text.startswith("leanspike program 2\n")
    assert "\nstate v1 i12[4x4x3] lowest=-1 highest=1 shift=4\n" in text
    assert ir.parse(text, program.arrays) == program
    ir.save(program, tmp_path / "net.lsp")
    assert ir.load(tmp_path / "net.lsp") == program
    assert ir.content_hash(program) != ir.content_hash(every_operation())
    assert ir.render(every_operation()).startswith("leanspike program 1\n")
    with pytest.raises(ProgramError, match="no shift; settings are lowest, highest, shift"):
        ir.parse(text.replace("lowest=-1 highest=1 shift=4", "lowest=-1 highest=1"), program.arrays)


@pytest.mark.parametrize(
    ("codec", "size"), [(TERNARY, 3), (Codec(0, 1, 0), 2), (Codec(-2, 1, 3), 4), (Codec(-2, 4, 0), 7), (CODECS[4], 13)]
)
def test_memory_is_that_of_packed_codes(codec: Codec, size: int) -> None:
    assert State("v", (13,), IntType(20, True), codec).stored_bytes == size
    assert State("v", (13,), IntType(20, True)).stored_bytes == 33


def test_the_footprint_counts_codes() -> None:
    whole, few = footprint(every_operation()), footprint(few_bits())
    # 48 ternary codes in 10 bytes, 2 of 2 bits in one, 2 of 4 bits in one, in place of 72, 3 and 3.
    assert (whole.state_bytes, few.state_bytes) == (72 + 12 + 3 + 3 + 1, 10 + 12 + 1 + 1 + 1)
