"""Delays, scales and products by hand, and the rules that refuse what has no meaning."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from small_programs import every_operation, with_array, with_operation, with_state

from leanspike import ir
from leanspike.ir import Codec, IntType, Program, Value
from leanspike.ir.delays import groups
from leanspike.ir.inttype import SPIKE
from leanspike.ir.reference import heads_product

WORD = IntType(16, True)


def echo(*operations: ir.Operation, states: tuple[ir.State, ...]) -> Program:
    """A sequence of three numbers, integrated without a leak."""
    start = ir.Input(Value("x", (1,), WORD), Value("raw", (3, 1), WORD), 1, ir.Sequence())
    end = ir.Integrate(Value("u", (1,), WORD), operations[-1].result.name, "v", "zero", 0)
    arrays = {"zero": ir.Array(IntType(1, False), np.zeros((1, 1), int))}
    states = (*states, ir.State("v", (1,), WORD))
    return Program("echo", 3, start, states, (*operations, end), ir.Readout("membrane_last", "u"), arrays)


def delay(name: str, of: str) -> ir.Delay:
    return ir.Delay(Value(name, (1,), WORD), of, f"state.{name}")


def state(name: str) -> ir.State:
    return ir.State(f"state.{name}", (1,), WORD)


def test_two_delays_are_two_steps() -> None:
    program = ir.verify(echo(delay("a", "x"), delay("b", "a"), states=(state("a"), state("b"))))
    raw = np.array([[[5], [-7], [9]]])
    trace = ir.run(program, raw, record=True)
    assert trace.step_states["v"][:, 0, 0].tolist() == [0, 0, 5]
    assert trace.step_states["state.a"][:, 0, 0].tolist() == [5, -7, 9]
    assert ir.run_fast(program, raw).potentials["v"].tolist() == [[5]]


def test_a_loop_runs_step_by_step_and_nothing_else_does() -> None:
    program = every_operation()
    sizes = [len(group) for group in groups(program)]
    assert sorted(sizes)[-2:] == [1, 4]
    looped = next(group for group in groups(program) if len(group) > 1)
    assert [op.result.name for op in looped] == ["d2", "e2", "a2", "s2"]


def test_attention_by_hand() -> None:
    q, k, v = np.array([[1, 0, 1, 1]]), np.array([[1, 1, 0, 1], [0, 0, 1, 1]]), np.array([[1, 0, 1, 0], [1, 1, 0, 1]])
    scores = ir.Matmul(Value("s", (2, 1, 2), WORD), "q", "k", "scores", 2)
    found = heads_product(scores, q, k)
    assert found.tolist() == [[[1, 0]], [[1, 2]]]
    assert heads_product(replace(scores, form="values"), found, v).tolist() == [[1, 0, 1, 2]]


def later_delay() -> Program:
    return echo(delay("a", "b"), delay("b", "x"), states=(state("a"), state("b")))


@pytest.mark.parametrize(
    ("program", "told"),
    [
        (with_operation(every_operation(), "d2", of="nothing"), "delays nothing, which nothing gives"),
        (with_operation(every_operation(), "d2", of="f1"), r"declares \[2\] of \[3\]"),
        (with_operation(every_operation(), "d2", of="i3"), "which u1 does not hold"),
        (with_state(every_operation(), "z2", type=IntType(2, False)), "its state is u2"),
        (with_state(every_operation(), "z2", codec=Codec(0, 1, 0)), "its state has a codec"),
        (later_delay(), "delays b, which a later delay gives"),
        (with_operation(every_operation(), "g1", heads=2), "D in whole heads"),
        (with_operation(every_operation(), "g1", heads=0), "D in whole heads"),
        (with_operation(every_operation(), "g1", form="softmax"), "the forms scores and values"),
        (with_operation(every_operation(), "g2", left="k1"), r"values take \[heads, N, M\]"),
        (
            with_array(every_operation(), "g", "i3", [1, 2, 3]),
            r"a factor \[1\] or \[2\]",
        ),
        (
            with_array(every_operation(), "g", "i32", [1, 1 << 30]),
            "gives 0 to 1073741824, which i3 does not hold",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(program: Program, told: str) -> None:
    found = "; ".join(str(violation) for violation in ir.violations(program))
    assert re.search(told, found), found


def test_a_product_that_leaves_32_bits_is_refused() -> None:
    start = ir.Input(Value("x", (4, 2), WORD), Value("raw", (4, 2), WORD), 1, ir.Direct())
    scores = ir.Matmul(Value("s", (1, 4, 4), IntType(32, True)), "x", "x", "scores")
    values = ir.Matmul(Value("y", (4, 2), IntType(32, True)), "s", "x", "values")
    flat = ir.Reshape(Value("f", (8,), IntType(32, True)), "y")
    end = ir.Integrate(Value("u", (8,), WORD), "f", "v", "m", 0)
    arrays = {"m": ir.Array(SPIKE, np.ones((1, 1), int))}
    states = (ir.State("v", (8,), WORD),)
    program = Program("wide", 1, start, states, (scores, values, flat, end), ir.Readout("membrane_last", "u"), arrays)
    assert any(violation.where == "y" for violation in ir.violations(program))
