"""Random programs, and the test class that every target inherits: every spike and state against the reference.

A test module of a target is::

    class TestC(Conformance):
        target = "c"

Needs hypothesis (the ``test`` extra). ``LEANSPIKE_RANDOM_PROGRAMS`` sets how many programs a target is tried on: 100
in the normal run, 2,000 in ``scripts/conformance``.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from leanspike import ir
from leanspike.core.trace import mismatches
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed
from leanspike.ir.ops import reads
from leanspike.ir.program import Form, ReadoutKind
from leanspike.targets import base

COUNT = int(os.environ.get("LEANSPIKE_RANDOM_PROGRAMS", "100"))


@dataclass(frozen=True, eq=False)
class Case:
    """A program with raw samples and their numbers."""

    program: Program
    raw: npt.NDArray[np.integer[Any]]
    numbers: npt.NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Case of {len(self.raw)} samples of\n{ir.render(self.program)}"


class _Builder:
    """A program that grows operation by operation; widths are set at the end by the ranges."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.steps = draw(st.integers(1, 7))
        self.arrays: dict[str, Array] = {}
        self.states: list[ir.State] = []
        self.operations: list[ir.Operation] = []

    def array(self, kind: IntType, values: npt.ArrayLike, form: Form = "dense") -> str:
        name = f"a{len(self.arrays)}"
        self.arrays[name] = Array(kind, np.asarray(values), form)
        return name

    def name(self) -> str:
        return f"x{len(self.operations)}"

    def weights(self, shape: tuple[int, ...]) -> str:
        bits = self.draw(st.sampled_from([2, 2, 3, 4, 4, 6, 8, 8]))
        most = (1 << (bits - 1)) - 1
        values = self.random.integers(-most, most + 1, shape)
        form: Form = "sparse" if self.draw(st.integers(0, 2)) == 0 else "dense"
        if form == "sparse" or self.draw(st.integers(0, 5)) == 0:
            values *= self.random.random(shape) < self.draw(st.sampled_from([0.0, 0.03, 0.1, 0.5, 1.0]))
        return self.array(IntType(bits, True), values, form)

    def parameter(self, channels: int, low: int, high: int) -> str:
        rows = self.draw(st.sampled_from([1, 1, self.steps]))
        columns = self.draw(st.sampled_from([1, channels]))
        values = self.random.integers(low, high + 1, (rows, columns))
        return self.array(IntType.holding(int(values.min()), int(values.max())), values)

    def put(self, operation: ir.Operation) -> Value:
        self.operations.append(operation)
        return operation.result

    def start(self, image: bool) -> ir.Input:
        kind = self.draw(st.sampled_from(["direct", "rate", "latency", "sequence", *([] if image else ["delta"])]))
        size = st.integers(1, 6)
        shape: tuple[int, ...] = (self.draw(size) + 2, self.draw(size) + 2, self.draw(st.integers(1, 3)))
        if not image:
            shape = (self.draw(st.integers(1, 40)),)
        raw_type = IntType(self.draw(st.sampled_from([1, 4, 8])), False)
        if kind in ("direct", "sequence"):
            raw_type = IntType(self.draw(st.sampled_from([2, 5, 8])), self.draw(st.booleans()))
        raw, result = Value("raw", shape, raw_type), Value("x", shape, SPIKE)
        encoding: ir.Encoding
        levels = raw_type.highest + 1
        if kind == "direct":
            encoding, result = ir.Direct(), Value("x", shape, raw_type)
        elif kind == "sequence":
            raw = Value("raw", (self.steps, *shape), raw_type)
            encoding, result = ir.Sequence(), Value("x", shape, raw_type)
        elif kind == "rate":
            table = self.array(IntType(16, False), self.random.integers(0, 65_536, levels))
            encoding = ir.Rate(self.draw(st.integers(0, 2**31 - 1)), table)
        elif kind == "latency":
            encoding = ir.Latency(self.array(IntType(4, False), self.random.integers(0, self.steps + 2, levels)))
        else:
            raw = Value("raw", (shape[0], self.steps), raw_type)
            encoding = ir.Delta(int(self.random.integers(1, raw_type.highest + 1)), raw_type.highest // 2)
            result = Value("x", (2 * shape[0],), SPIKE)
        return ir.Input(result, raw, raw_type.highest, encoding)

    def synapse(self, x: Value) -> Value:
        if len(x.shape) == 1:
            width = self.draw(st.integers(1, 40))
            weight = self.weights((x.shape[0], width))
            return self.put(ir.Dense(Value(self.name(), (width,), SPIKE), x.name, weight))
        kernel = self.draw(st.integers(1, min(3, *x.shape[:2])))
        stride, padding = self.draw(st.integers(1, 2)), self.draw(st.integers(0, kernel - 1))
        channels = self.draw(st.integers(1, 20))
        sides = tuple((side + 2 * padding - kernel) // stride + 1 for side in x.shape[:2])
        weight = self.weights((kernel, kernel, x.shape[2], channels))
        result = Value(self.name(), (*sides, channels), SPIKE)
        return self.put(ir.Conv2d(result, x.name, weight, stride, padding))

    def current(self, x: Value) -> Value:
        """One synapse, sometimes scaled, or two of the same source added; its source sometimes a step late."""
        if (x.type != SPIKE or not self.operations) and self.draw(st.integers(0, 5)) == 0:
            x = self.delayed(x)
            x = self.delayed(x) if self.draw(st.booleans()) else x
        y = self.synapse(x)
        choice = self.draw(st.integers(0, 7))
        if choice > 1:
            return self.scaled(y) if choice == 2 else y
        last = self.operations[-1]
        assert isinstance(last, ir.Dense | ir.Conv2d)
        weight = self.weights(self.arrays[last.weight].values.shape)
        other: ir.Operation = ir.Dense(Value(self.name(), y.shape, SPIKE), x.name, weight)
        if isinstance(last, ir.Conv2d):
            other = ir.Conv2d(Value(self.name(), y.shape, SPIKE), x.name, weight, last.stride, last.padding)
        z = self.put(other)
        return self.put(ir.Add(Value(self.name(), y.shape, SPIKE), y.name, z.name))

    def codec(self, kind: IntType) -> ir.Codec | None:
        """Half of the states whole, the others of every packing, codes spread over the type or in its middle."""
        if self.draw(st.booleans()):
            return None
        ends = [(-1, 1), (-1, 1), (-2, 1), (-8, 7), (-31, 31), (0, 1), (0, 2), (-3, 0), (-5, 10), (-2, 4)]
        lowest, highest = self.draw(st.sampled_from(ends))
        most = max(shift for shift in range(20) if kind.holds(lowest << shift, highest << shift))
        return ir.Codec(lowest, highest, self.draw(st.integers(0, most)))

    def scaled(self, x: Value) -> Value:
        columns = self.draw(st.sampled_from([1, x.shape[-1]]))
        factor = self.array(IntType(5, True), self.random.integers(-15, 16, columns))
        return self.put(ir.Scale(Value(self.name(), x.shape, SPIKE), x.name, factor))

    def delayed(self, x: Value) -> Value:
        """Spikes or the input, a step later."""
        state = f"d{len(self.states)}"
        self.states.append(ir.State(state, x.shape, x.type))
        return self.put(ir.Delay(Value(self.name(), x.shape, x.type), x.name, state))

    def recurrent(self, current: Value) -> Value:
        """Neurons that their own spikes reach one step later, through a synapse or one to one."""
        at, shape = len(self.operations), current.shape
        again = self.delayed(Value("", shape, SPIKE))
        if self.draw(st.booleans()):
            back = self.scaled(again)
        elif len(shape) == 1:
            weight = self.weights((shape[0], shape[0]))
            back = self.put(ir.Dense(Value(self.name(), shape, SPIKE), again.name, weight))
        else:
            weight = self.weights((1, 1, shape[2], shape[2]))
            back = self.put(ir.Conv2d(Value(self.name(), shape, SPIKE), again.name, weight))
        total = self.put(ir.Add(Value(self.name(), shape, SPIKE), current.name, back.name))
        spikes, edge = self.neurons(total, firing=True), self.operations[at]
        assert isinstance(edge, ir.Delay)
        self.operations[at] = replace(edge, of=spikes.name)
        return spikes

    def attention(self, x: Value) -> Value:
        """Scores and values of an image's places, of spikes or of currents."""
        heads = self.draw(st.integers(1, 3))
        width, tokens = heads * self.draw(st.integers(1, 4)), x.shape[0] * x.shape[1]
        sides = []
        for _ in range(3):
            weight = self.weights((1, 1, x.shape[2], width))
            y = self.put(ir.Conv2d(Value(self.name(), (*x.shape[:2], width), SPIKE), x.name, weight))
            y = self.neurons(y, firing=True) if self.draw(st.booleans()) else y
            sides.append(self.put(ir.Reshape(Value(self.name(), (tokens, width), SPIKE), y.name)).name)
        result = Value(self.name(), (heads, tokens, tokens), SPIKE)
        scores = self.put(ir.Matmul(result, sides[0], sides[1], "scores", heads))
        result = Value(self.name(), (tokens, width), SPIKE)
        values = self.put(ir.Matmul(result, scores.name, sides[2], "values", heads))
        image = self.put(ir.Reshape(Value(self.name(), (*x.shape[:2], width), SPIKE), values.name))
        return self.neurons(image, firing=True)

    def layer(self, x: Value) -> Value:
        """Neurons and what stands before them."""
        kinds = ["plain", "plain", "plain", "recurrent", *(["attention"] if len(x.shape) == 3 else [])]
        kind = self.draw(st.sampled_from(kinds))
        if kind == "attention":
            return self.attention(x)
        current = self.current(x)
        return self.recurrent(current) if kind == "recurrent" else self.neurons(current, firing=True)

    def neurons(self, current: Value, *, firing: bool) -> Value:
        shape, channels = current.shape, current.shape[-1]
        state = f"v{len(self.states)}"
        shift = self.draw(st.integers(0, 8))
        leak = self.parameter(channels, 0, self.draw(st.sampled_from([1, 1, 2])) << shift)
        bias = self.parameter(channels, -40, 40) if self.draw(st.booleans()) else None
        kind = IntType(self.draw(st.integers(6, 20)), True)
        self.states.append(ir.State(state, shape, kind, self.codec(kind)))
        if not firing:
            return self.put(ir.Integrate(Value(self.name(), shape, kind), current.name, state, leak, shift, bias))
        most = min(kind.highest, self.draw(st.sampled_from([1, 20, 300, 3000])))
        threshold = self.parameter(channels, 1, most)
        resets: list[Literal["subtract", "zero"]] = ["subtract", "zero"]
        reset = self.draw(st.sampled_from(resets))
        amount = None
        if reset == "subtract" and self.draw(st.integers(0, 2)) == 0:
            amount = self.parameter(channels, 0, 2 * most)
        refractory = self.draw(st.sampled_from([0, 0, 1, 3]))
        hold = f"h{len(self.states)}" if refractory else None
        if hold:
            self.states.append(ir.State(hold, shape, IntType(2, False)))
        result = Value(self.name(), shape, SPIKE)
        fired = (threshold, bias, reset, refractory, hold, amount, *self.adaptation(shape))
        return self.put(ir.LIF(result, current.name, state, leak, shift, *fired))

    def adaptation(self, shape: tuple[int, ...]) -> tuple[Any, ...]:
        """The settings of thresholds that adapt, in order; none of most layers."""
        if self.draw(st.integers(0, 3)):
            return ()
        name, kind, channels = f"b{len(self.states)}", IntType(self.draw(st.integers(4, 15)), False), shape[-1]
        self.states.append(ir.State(name, shape, kind))
        shift = self.draw(st.integers(0, 8))
        decay = self.parameter(channels, 0, self.draw(st.sampled_from([1, 1, 2])) << shift)
        jump = self.parameter(channels, 0, self.draw(st.sampled_from([0, 5, 60, 3000])))
        return name, decay, shift, jump, self.draw(st.sampled_from([0, 0, 1, 3, 6, -1, -4]))

    def pooled(self, x: Value) -> Value:
        size = self.draw(st.integers(1, min(3, *x.shape[:2])))
        result = Value(self.name(), (x.shape[0] // size, x.shape[1] // size, x.shape[2]), SPIKE)
        pool = ir.MaxPool if self.draw(st.booleans()) else ir.SumPool
        return self.put(pool(result, x.name, size))

    def flat(self, x: Value) -> Value:
        return self.put(ir.Reshape(Value(self.name(), (int(np.prod(x.shape)),), SPIKE), x.name))

    def readout(self, x: Value) -> ir.Readout:
        kinds: list[ReadoutKind] = ["membrane_last", "membrane_max", "membrane_mean"]
        if isinstance(self.operations[-1], ir.LIF):
            kinds = ["count", "first_spike"]
        exit_ = None
        if self.draw(st.booleans()):
            exit_ = ir.Exit(self.draw(st.sampled_from([1, 2, 50])), self.draw(st.integers(1, self.steps)))
        return ir.Readout(self.draw(st.sampled_from(kinds)), x.name, exit_)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Sound programs of one to four layers with samples: all operations, encodings, resets, readouts and exits."""
    built = _Builder(draw)
    start = built.start(image=draw(st.booleans()))
    x = start.result
    if len(x.shape) == 3:
        for _ in range(draw(st.integers(0, 2))):
            x = built.layer(x)
            x = built.pooled(x) if draw(st.booleans()) else x
        x = x if draw(st.integers(0, 5)) == 0 else built.flat(x)
    for _ in range(draw(st.integers(0, 2))):
        x = built.layer(x)
    x = built.neurons(built.current(x), firing=draw(st.booleans()))
    states, operations = tuple(built.states), tuple(built.operations)
    program = Program("random", built.steps, start, states, operations, built.readout(x), built.arrays)
    program = fitted(program)
    if draw(st.booleans()):
        program = narrowed(program)
    assume(not ir.violations(program))
    kind, batch = program.input.raw.type, draw(st.integers(1, 5))
    raw = built.random.integers(kind.lowest, kind.highest + 1, (batch, *program.input.raw.shape))
    return Case(program, raw.astype(kind.dtype), built.random.integers(0, 2**31, batch))


def assert_equal(case: Case, name: str, folder: Path) -> None:
    """The target does with the case what the reference does, in every step."""
    artefact = base.emit(name, case.program, folder)
    found = base.run(artefact, case.raw, case.numbers, record=True)
    expected = ir.run(case.program, case.raw, case.numbers, record=True)
    wrong = {what: count for what, count in mismatches(expected, found).items() if count}
    assert not wrong, f"{name} differs from the reference in {wrong}: {case!r}"
    assert found.step_spikes.keys() == expected.step_spikes.keys()
    assert found.step_states.keys() == expected.step_states.keys()


def expressed(program: Program) -> list[tuple[str, str]]:
    """What a target may refuse in a program: keywords, each with its place.

    ``map``: the scores of a map; ``adapt``: thresholds that adapt; ``delay twice``: a delay of a delay.
    """
    found = [(op.keyword, op.result.name) for op in program.operations]
    found += [("adapt", op.result.name) for op in program.spiking if op.adapt is not None]
    delayed = {op.result.name for op in program.operations if isinstance(op, ir.Delay)}
    found += [
        ("delay twice", reader)
        for op in program.operations
        if isinstance(op, ir.Delay) and op.of in delayed
        for reader in _neurons_behind(program, op.result.name)
    ]
    is_map = len(program.values[program.readout.source].shape) > 1
    return [*found, ("map", "readout")] if is_map else found


def _neurons_behind(program: Program, name: str) -> list[str]:
    """The neurons that a value reaches through synapses alone."""
    found: list[str] = []
    for op in program.operations:
        if name in reads(op):
            neurons = isinstance(op, ir.LIF | ir.Integrate)
            found += [op.result.name] if neurons else _neurons_behind(program, op.result.name)
    return found


class Conformance:
    """Inherit it, set ``target``, and the target is tried on random programs."""

    target: str
    refused: frozenset[str] = frozenset()
    """What it refuses by name, of what :func:`expressed` gives."""
    one_in: int = 1
    """Of so many programs one is tried, always the same: for targets that take long."""

    @settings(
        max_examples=COUNT,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors, HealthCheck.filter_too_much],
    )
    @given(case=cases())
    def test_equals_the_reference_in_every_step(self, case: Case) -> None:
        refused = [place for keyword, place in expressed(case.program) if keyword in self.refused]
        if refused:
            told = [violation.where for violation in base.target(self.target).check(case.program)]
            assert all(place in told for place in refused)
            return
        if zlib.crc32(ir.render(case.program).encode()) % self.one_in:
            return
        with tempfile.TemporaryDirectory() as folder:
            assert_equal(case, self.target, Path(folder))
