"""The definition against potentials worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_programs import every_operation

from leanspike import ir
from leanspike.core.errors import ProgramError
from leanspike.core.trace import mismatches
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE


def one_neuron(steps: int, *, state: str = "i8", threshold: Any = 4, bias: Any = None, **settings: Any) -> Program:
    """u = floor(v / 2) + x (+ bias), where x is the raw value of the step."""
    kind = IntType(6, True)
    source = ir.Input(Value("x", (1,), kind), Value("raw", (steps, 1), kind), 31, ir.Sequence())
    arrays = {"m": Array(IntType(2, False), [[1]]), "t": Array(IntType(7, False), np.reshape(threshold, (-1, 1)))}
    if bias is not None:
        arrays["b"] = Array(IntType(6, True), np.reshape(bias, (-1, 1)))
        settings["bias"] = "b"
    if "reset_by" in settings:
        arrays["r"] = Array(IntType(7, False), np.reshape(settings["reset_by"], (-1, 1)))
        settings["reset_by"] = "r"
    states = [ir.State("v", (1,), IntType.parse(state))]
    if "refractory" in settings:
        states.append(ir.State("h", (1,), IntType(2, False)))
        settings["hold"] = "h"
    lif = ir.LIF(Value("s", (1,), SPIKE), "x", "v", "m", 1, "t", **settings)
    return ir.verify(Program("one", steps, source, tuple(states), (lif,), ir.Readout("count", "s"), arrays))


@pytest.mark.parametrize(
    ("settings", "raw", "spikes", "potentials"),
    [
        # u = 3, 1+2=3, 1+3=4 fires on the threshold itself and keeps 0, then 0+4.
        ({}, [3, 2, 3, 4], [0, 0, 1, 1], [3, 3, 0, 0]),
        # u = 9 leaves 5, 2+0=2, floor(2/2)=1, floor(1/2)=0.
        ({}, [9, 0, 0, 0], [1, 0, 0, 0], [5, 2, 1, 0]),
        # floor of negatives: -5, floor(-2.5)=-3, -2, -1: it never comes back to 0 by itself.
        ({}, [-5, 0, 0, 0, 0], [0, 0, 0, 0, 0], [-5, -3, -2, -1, -1]),
        # reset to zero forgets what was above the threshold.
        ({"reset": "zero"}, [9, 3, 4, 0], [1, 0, 1, 0], [0, 3, 0, 0]),
        # an amount of its own, of each step.
        ({"reset_by": [6, 0, 10, 1]}, [9, 4, 4, 0], [1, 1, 1, 0], [3, 5, -4, -2]),
        # held for two steps: v stays, the input is not seen, then it leaks again.
        ({"refractory": 2}, [9, 30, 30, 2, 4], [1, 0, 0, 1, 0], [5, 5, 5, 0, 0]),
        ({"refractory": 1, "reset": "zero"}, [4, 9, 9, 9, 4], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]),
        # i4 saturates at 7 and -8; the threshold sees what was saturated.
        ({"state": "i4", "threshold": 7}, [31, 6, 31], [1, 0, 1], [0, 6, 0]),
        ({"state": "i4"}, [-32, -1, 20], [0, 0, 1], [-8, -5, 3]),
        # a threshold and a bias of each step.
        ({"threshold": [4, 2, 9]}, [3, 1, 5], [0, 1, 0], [3, 0, 5]),
        ({"bias": [1, -3, 2]}, [3, 4, 2], [1, 0, 1], [0, 1, 0]),
    ],
)
def test_a_neuron_by_hand(settings: dict[str, Any], raw: list[int], spikes: list[int], potentials: list[int]) -> None:
    program = one_neuron(len(raw), **settings)
    trace = ir.run(program, np.reshape(raw, (1, -1, 1)), record=True)
    assert trace.step_spikes["s"].ravel().tolist() == spikes
    assert trace.step_states["v"].ravel().tolist() == potentials
    assert trace.spikes["s"].tolist() == [sum(spikes)]
    assert trace.potentials["v"].ravel().tolist() == potentials[-1:]
    assert not any(mismatches(trace, ir.run_fast(program, np.reshape(raw, (1, -1, 1)))).values())


def test_the_counter_of_a_refractory_period() -> None:
    trace = ir.run(one_neuron(5, refractory=2), np.reshape([9, 30, 30, 2, 4], (1, -1, 1)), record=True)
    assert trace.step_states["h"].ravel().tolist() == [2, 1, 0, 2, 1]


def test_a_convolution_and_pools_by_hand() -> None:
    kind = IntType(4, True)
    start = Value("x", (3, 3, 1), kind)
    kernel = np.array([[0, 1], [2, -1]]).reshape(2, 2, 1, 1)
    operations = (
        ir.Conv2d(Value("c", (4, 4, 1), IntType(6, True)), "x", "w", 1, 1),
        ir.Conv2d(Value("d", (2, 2, 1), IntType(6, True)), "x", "w", 2, 1),
        ir.SumPool(Value("p", (2, 2, 1), IntType(8, True)), "c"),
        ir.MaxPool(Value("q", (1, 1, 1), IntType(6, True)), "c", 3),
        ir.Reshape(Value("f", (4,), IntType(8, True)), "p"),
        ir.Integrate(Value("u", (4,), IntType(12, True)), "f", "v", "m", 0),
    )
    arrays = {"w": Array(IntType(3, True), kernel), "m": Array(SPIKE, [[1]])}
    source = ir.Input(start, Value("raw", (3, 3, 1), kind), 7, ir.Direct())
    state = ir.State("v", (4,), IntType(12, True))
    program = Program("image", 2, source, (state,), operations, ir.Readout("membrane_last", "u"), arrays)
    x = np.array([[1, 2, 3], [4, 5, 6], [7, -8, 0]])
    values, _ = ir.reference.step(ir.verify(program), x.reshape(1, 3, 3, 1), {"v": np.zeros((1, 4), dtype=np.int64)}, 0)
    convolved = [[-1, 0, 1, 6], [-3, 5, 7, 12], [-3, 27, -10, 0], [7, -8, 0, 0]]
    assert values["c"][0, :, :, 0].tolist() == convolved
    assert values["d"][0, :, :, 0].tolist() == [[-1, 1], [-3, -10]]
    assert values["p"][0, :, :, 0].tolist() == [[1, 26], [23, -10]]
    assert values["q"].ravel().tolist() == [27]
    trace = ir.run(program, np.array([x.reshape(3, 3, 1)]))
    assert trace.scores.tolist() == [[2, 52, 46, -20]]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (np.zeros((2, 5), dtype=int), r"the samples are int64 \[2, 5\]; give \[B, 4, 1\] of i6"),
        (np.zeros((2, 4, 1)), r"the samples are float64 \[2, 4, 1\]"),
        (np.zeros((2, 4, 1), dtype=bool), "the samples are bool"),
        (np.array(3), r"the samples are int64 \[\]"),
        (np.full((2, 4, 1), 32), "the samples hold 32 to 32; give"),
        (np.full((2, 4, 1), -33), "the samples hold -33 to -33"),
    ],
)
def test_samples_that_do_not_fit_are_refused(raw: np.ndarray[Any, Any], told: str) -> None:
    for run in (ir.run, ir.run_fast):
        with pytest.raises(ProgramError, match=told):
            run(one_neuron(4), raw)


def test_no_samples_give_no_answers() -> None:
    for program in (one_neuron(4), every_operation()):
        for run in (ir.run, ir.run_fast):
            trace = run(program, np.zeros((0, *program.input.raw.shape), dtype=np.int8))
            assert len(trace) == 0
            assert trace.scores.shape == (0, program.classes)
