"""Sparse weights: entries by hand and back, the smaller width, text, file, rules and memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_programs import dense, every_operation

from leanspike import ir
from leanspike.core.errors import ProgramError
from leanspike.core.trace import mismatches
from leanspike.ir import Array, IntType, Program
from leanspike.ir.sparse import Entry, sparse, sparse_bits
from leanspike.measure.footprint import footprint

I2, I4, I8 = IntType(2, True), IntType(4, True), IntType(8, True)


def formed(program: Program, *names: str) -> Program:
    arrays = {name: replace(array, form="sparse") for name, array in program.arrays.items() if name in names}
    return replace(program, arrays={**program.arrays, **arrays})


def test_entries_by_hand() -> None:
    values = np.zeros((3, 40), dtype=np.int8)
    values[0, 0], values[0, 3], values[2, 20] = -8, 7, 1
    found = sparse(values, I4)
    # (w + 8) 16 + gap; 20 zeros are 15, the place of an entry of weight 0, and 4.
    assert found.entries.tolist() == [0, 15 * 16 + 2, 8 * 16 + 15, 9 * 16 + 4]
    assert found.starts.tolist() == [0, 2, 2, 4]
    assert found.entry == Entry(8, 4, -8)
    assert found.bits == sparse_bits(values, I4) == 4 * 8 + 4 * 16


def test_wide_entries_where_gaps_are_long() -> None:
    values = np.zeros((1, 3000), dtype=np.int8)
    values[0, [999, 1999, 2999]] = 1
    found = sparse(values, I2)
    # Entries of 8 bits skip 64 columns at most: 16 an input; those of 16 bits skip 2^14.
    assert (found.entry, len(found.entries)) == (Entry(16, 14, -2), 3)
    assert np.array_equal(found.unpacked(values.shape), values)


def test_many_entries_take_wide_places() -> None:
    found = sparse(np.ones((300, 300), dtype=np.int8), I2)
    assert found.start_bits == 32
    assert found.bits == 300 * 300 * 8 + 301 * 32


@pytest.mark.parametrize("kind", [I2, IntType(3, True), I4, IntType(7, True), I8, IntType(8, False), IntType(1, False)])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 1.0])
def test_unpacked_entries_are_the_array(kind: IntType, share: float) -> None:
    random = np.random.default_rng(0)
    for shape in ((7, 700), (3, 2, 4, 50), (5, 1)):
        values = random.integers(kind.lowest, kind.highest + 1, shape) * (random.random(shape) < share)
        found = sparse(values, kind)
        assert np.array_equal(found.unpacked(shape), values)
        assert found.bits == sparse_bits(values, kind) == Array(kind, values, "sparse").stored_bits
        assert found.entries.size == 0 or 0 <= found.entries.min() <= found.entries.max() < 1 << found.entry.bits


def test_the_form_changes_no_meaning_but_the_work_and_the_memory() -> None:
    whole = every_operation()
    program = formed(whole, "w1", "w4")
    raw = np.random.default_rng(2).integers(0, 16, (30, 4, 4, 2))
    assert not any(mismatches(ir.run(whole, raw), ir.run(program, raw)).values())
    zeros = {name: int((whole.arrays[name].values == 0).sum()) for name in ("w1", "w4")}
    assert zeros["w1"] > 1
    before, after = footprint(whole), footprint(program)
    assert before.synapses - after.synapses >= zeros["w4"]
    assert after.array_bytes - before.array_bytes == sum(
        -(-sparse_bits(whole.arrays[name].values, I4) // 8) - -(-whole.arrays[name].stored_bits // 8) for name in zeros
    )


def test_the_form_stands_in_the_text_and_comes_back(tmp_path: Path) -> None:
    whole, program = every_operation(), formed(every_operation(), "w1")
    text = ir.render(program)
    assert text.startswith("leanspike program 2\n")
    assert "\narray w1 i4[3x3x2x3] form=sparse\n" in text
    assert ir.parse(text, program.arrays) == program
    ir.save(program, tmp_path / "net.lsp")
    assert ir.load(tmp_path / "net.lsp") == program != whole
    assert ir.content_hash(program) != ir.content_hash(whole)
    with pytest.raises(ProgramError, match=r"array w1 is missing or not sparse i4\[3x3x2x3\]"):
        ir.parse(text, whole.arrays)
    with pytest.raises(ProgramError, match="'thin' is no form; there are dense, sparse"):
        ir.parse(text.replace("form=sparse", "form=thin"), program.arrays)


def test_only_narrow_weights_are_stored_sparse() -> None:
    told = [str(found) for found in ir.violations(formed(every_operation(), "w1", "t1", "table"))]
    remedy = "only weights of 8 bits or fewer are; store it dense"
    assert sorted(told) == [
        f"t1: u5 of no synapse is stored sparse ({remedy})",
        f"table: u16 of no synapse is stored sparse ({remedy})",
    ]
    (found,) = ir.violations(formed(dense([[300], [1]], kind="i10"), "w"))
    assert str(found) == f"w: i10 of a synapse is stored sparse ({remedy})"
