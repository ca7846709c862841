"""Readouts and early exits by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from leanspike import ir
from leanspike.core.trace import mismatches
from leanspike.ir import IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.program import ReadoutKind
from leanspike.ir.readout import Scores

GOING = np.ones(1, dtype=bool)


def scored(kind: ReadoutKind, steps: list[list[int]]) -> list[list[int]]:
    """Scores after every step."""
    scores = Scores(ir.Readout(kind, "u"), len(steps), np.zeros((1, len(steps[0])), dtype=np.int64))
    found = []
    for t, value in enumerate(steps):
        scores = scores.after(np.array([value]), t, GOING)
        found.append(scores.values[0].tolist())
    return found


def test_count() -> None:
    assert scored("count", [[1, 0], [0, 0], [1, 1]]) == [[1, 0], [1, 0], [2, 1]]


def test_first_spike_is_worth_more_the_earlier_it_comes() -> None:
    assert scored("first_spike", [[0, 0, 0], [1, 0, 0], [1, 1, 0]]) == [[0, 0, 0], [2, 0, 0], [2, 1, 0]]


def test_membranes() -> None:
    steps = [[-3, 1], [-7, 4], [-5, 2]]
    assert scored("membrane_last", steps) == steps
    assert scored("membrane_max", steps) == [[-3, 1], [-3, 4], [-3, 4]]
    assert scored("membrane_mean", steps) == [[-3, 1], [-10, 5], [-15, 7]]


def test_a_sample_that_has_stopped_keeps_its_scores() -> None:
    scores = Scores(ir.Readout("count", "s"), 3, np.zeros((2, 1), dtype=np.int64))
    going = np.array([True, False])
    assert scores.after(np.array([[1], [1]]), 0, going).values.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("exit_", "kind", "values", "t", "decided"),
    [
        (None, "count", [9, 0], 2, False),
        (ir.Exit(3), "count", [4, 1], 0, True),
        (ir.Exit(3), "count", [4, 2], 0, False),
        (ir.Exit(3), "count", [4, 4, 0], 0, False),
        (ir.Exit(3), "count", [1, 0, 4], 0, True),
        (ir.Exit(3, 2), "count", [9, 0], 0, False),
        (ir.Exit(3, 2), "count", [9, 0], 1, True),
        (ir.Exit(3), "membrane_last", [-5, -8], 0, True),
        (ir.Exit(3), "membrane_mean", [5, 0], 1, False),
        (ir.Exit(3), "membrane_mean", [6, 0], 1, True),
        (ir.Exit(1), "count", [9], 0, False),
        (ir.Exit(1), "first_spike", [0, 0], 0, False),
        (ir.Exit(1), "first_spike", [0, 2], 0, True),
    ],
)
def test_decided(exit_: ir.Exit | None, kind: ReadoutKind, values: list[int], t: int, decided: bool) -> None:
    scores = Scores(ir.Readout(kind, "u", exit_), 3, np.array([values]))
    assert scores.decided(t).tolist() == [decided]


def follows_input(kind: ReadoutKind, exit_: ir.Exit | None = None) -> Program:
    """Two neurons that follow the input of each step: spikes where it is 3 or more, or potentials."""
    start = Value("x", (2,), IntType(4, True))
    source = ir.Input(start, Value("raw", (4, 2), start.type), 7, ir.Sequence())
    constants = {"m": ir.Array(SPIKE, [[0]]), "t": ir.Array(IntType(2, False), [[3]])}
    state = ir.State("v", (2,), IntType(8, True))
    op: ir.Operation = ir.Integrate(Value("y", (2,), state.type), "x", "v", "m", 0)
    if kind in ("count", "first_spike"):
        op = ir.LIF(Value("y", (2,), SPIKE), "x", "v", "m", 0, "t")
    else:
        del constants["t"]
    return ir.verify(Program("follow", 4, source, (state,), (op,), ir.Readout(kind, "y", exit_), constants))


SERIES = [[3, 3], [0, 5], [-2, 4], [7, -8]]


@pytest.mark.parametrize(
    ("kind", "margin", "scores", "steps"),
    [
        ("count", 0, [2, 3], 4),
        ("count", 1, [1, 2], 2),
        ("count", 2, [1, 3], 3),
        ("count", 3, [2, 3], 4),
        ("first_spike", 0, [4, 4], 4),
        ("membrane_last", 0, [7, -8], 4),
        ("membrane_last", 5, [0, 5], 2),
        ("membrane_last", 6, [-2, 4], 3),
        ("membrane_max", 0, [7, 5], 4),
        ("membrane_max", 2, [3, 5], 2),
        ("membrane_mean", 0, [8, 4], 4),
        ("membrane_mean", 2, [3, 8], 2),
        ("membrane_mean", 3, [1, 12], 3),
    ],
)
def test_a_whole_program_stops_where_its_margin_is_reached(
    kind: ReadoutKind, margin: int, scores: list[int], steps: int
) -> None:
    program = follows_input(kind, ir.Exit(margin) if margin else None)
    raw = np.array([SERIES, np.zeros((4, 2), dtype=int)])
    trace = ir.run(program, raw)
    assert trace.scores[0].tolist() == scores
    assert trace.steps.tolist() == [steps, 4]
    assert trace.predictions.tolist() == [int(scores[1] > scores[0]), 0]
    assert not any(mismatches(trace, ir.run_fast(program, raw)).values())


def test_the_lowest_of_equal_classes_wins() -> None:
    trace = ir.run(follows_input("count"), np.array([[[3, 3], [0, 3], [3, 0], [0, 0]]]))
    assert trace.scores.tolist() == [[2, 2]]
    assert trace.predictions.tolist() == [0]


def test_spikes_and_potentials_after_an_exit_do_not_count() -> None:
    trace = ir.run(follows_input("count", ir.Exit(1)), np.array([SERIES]), record=True)
    assert trace.spikes["y"].tolist() == [3]
    assert trace.step_spikes["y"][:, 0].tolist() == [[1, 1], [0, 1], [0, 0], [0, 0]]
    assert trace.step_states["v"][:, 0].tolist() == [[0, 0], [0, 2], [0, 2], [0, 2]]
    assert trace.potentials["v"].tolist() == [[0, 2]]


def test_scores_of_every_step_do_not_stop() -> None:
    program = follows_input("count")
    early = replace(program, readout=replace(program.readout, exit=ir.Exit(1)))
    for one in (program, early):
        assert ir.step_scores(one, np.array([SERIES]))[:, 0].tolist() == [[1, 1], [1, 2], [1, 3], [2, 3]]
