"""Thresholds that adapt: worked out by hand, bounded by the ranges, told and refused by the rules, counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanspike import engine, ir
from leanspike.ir import Array, IntType, Program, State, Value, parse, render, violations
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed
from leanspike.ir.ops import arrays as arrays_of
from leanspike.ir.ops import states as states_of


def array(kind: str, values: Any) -> Array:
    return Array(IntType.parse(kind), np.asarray(values))


def adapting(steps: int = 5, kind: str = "u8", **settings: Any) -> Program:
    """One input of 4 through a weight of 1 to one neuron without leak, threshold 4; a doubles as w = 4 + (a >> 1)."""
    arrays = {"w": array("i4", [[1]]), "m": array("u2", [[1]]), "t": array("u3", [[4]])}
    arrays |= {"n": array("u4", [[3]]), "j": array("u6", [[6]])}
    own = {"adapt": "a", "adapt_leak": "n", "adapt_shift": 2, "adapt_jump": "j", "adapt_fraction": 1} | settings
    operations = (
        ir.Dense(Value("i", (1,), SPIKE), "x", "w"),
        ir.LIF(Value("s", (1,), SPIKE), "i", "v", "m", 0, "t", **own),
    )
    used = {name for op in operations for name in (*arrays_of(op), *states_of(op))}
    arrays = {name: one for name, one in arrays.items() if name in used}
    states = (State("v", (1,), IntType(10, True)), State("a", (1,), IntType.parse(kind)))[: 2 if "a" in used else 1]
    start = ir.Input(Value("x", (1,), IntType(3, False)), Value("raw", (1,), IntType(3, False)), 7, ir.Direct())
    program = Program("adapting", steps, start, states, operations, ir.Readout("count", "s"), arrays)
    return program if settings.get("adapt_jump", "j") is None else fitted(program)


def test_numbers_worked_out_by_hand() -> None:
    """a: 6, 4 -> w 7, 6; u: 4, 4, 8, 6, 5 against w: 4, 7, 6, 7, 6 (a >> 1 of 0, 6, 4, 9 -> 3 + 6, 6)."""
    trace = ir.run(adapting(), np.array([[4]]), record=True)
    assert trace.step_spikes["s"].ravel().tolist() == [1, 0, 1, 0, 1]
    assert trace.step_states["a"].ravel().tolist() == [6, 4, 9, 6, 10]
    assert trace.step_states["v"].ravel().tolist() == [0, 4, 2, 6, 3]


def test_adaptation_saturates_in_its_type() -> None:
    program = adapting(kind="u3", steps=9)
    assert not violations(program)
    trace = ir.run(program, np.array([[7]]), record=True)
    assert trace.step_states["a"].max() == 7
    assert np.array_equal(engine.run(program, np.array([[7]]), record=True).step_states["a"], trace.step_states["a"])


def test_a_coarse_adaptation_is_shifted_up() -> None:
    trace = ir.run(adapting(adapt_fraction=-1), np.array([[4]]), record=True)
    assert trace.step_spikes["s"].ravel().tolist() == [1, 0, 0, 1, 0]
    assert trace.step_states["a"].ravel().tolist() == [6, 4, 3, 8, 6]


def test_an_amount_of_its_own_and_a_refractory_period_keep_their_meaning() -> None:
    program = adapting(steps=6, reset_by="j", refractory=1, hold="h")
    program = replace(program, states=(*program.states, State("h", (1,), IntType(1, False))))
    assert not violations(program)
    trace = ir.run(program, np.array([[6]]), record=True)
    assert trace.step_spikes["s"].ravel().tolist() == [1, 0, 1, 0, 0, 1]
    assert trace.step_states["a"].ravel().tolist() == [6, 4, 9, 6, 4, 9]
    assert trace.step_states["v"].ravel().tolist() == [0, 0, 0, 0, 6, 6]


def test_ranges_bound_the_state_and_narrowing_keeps_every_number() -> None:
    program = adapting(steps=60, kind="u31")
    found = ir.ranges(program)
    assert found.states["a"].highest == 24
    assert found.thresholds["s"].highest == 16
    narrow = narrowed(program)
    assert narrow.state["a"].type == IntType(5, False)
    raw = np.arange(8)[:, None]
    wide, small = (ir.run(one, raw, record=True).step_states["a"] for one in (program, narrow))
    assert np.array_equal(wide, small)
    assert wide.max() <= 24


def test_the_text_tells_it_and_comes_back(tmp_path: Path) -> None:
    program = adapting()
    ir.save(program, tmp_path / "adapting.lsp")
    text = render(program)
    assert text.startswith("leanspike program 3\n")
    assert "adapt=a adapt_leak=n adapt_shift=2 adapt_jump=j adapt_fraction=1" in text
    assert parse(text, program.arrays) == program
    assert render(ir.load(tmp_path / "adapting.lsp")) == text


@pytest.mark.parametrize(
    ("settings", "kind", "told"),
    [
        ({"adapt_jump": None}, "u8", "go together"),
        ({"adapt": None}, "u8", "go together"),
        ({}, "i8", "unsigned, 31 bits at most"),
        ({"adapt_shift": 31}, "u8", "adapt_shift 31"),
        ({"adapt_fraction": -31}, "u8", "adapt_fraction -31"),
        ({"adapt_shift": 0}, "u31", "32 are there"),
    ],
)
def test_broken_rules_are_told(settings: dict[str, Any], kind: str, told: str) -> None:
    program = adapting(kind=kind, steps=40, **settings)
    assert any(told in str(violation) for violation in violations(program)), violations(program)
