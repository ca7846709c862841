"""Interval analysis: between which integers every value, state and sum of a program lies, whatever goes in.

    [a, b] W      : sum of a W+ + b W-  ..  sum of b W+ + a W-          W+ = max(W, 0), W- = min(W, 0)
    v             : the union over the steps of sat(leak(v) + I + b), reset, from v = 0 on, until it grows no more

A state whose interval still grows after ``MOST_ROUNDS`` steps takes its type's whole range: sound, and bounded work.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from leanspike.ir import intmath
from leanspike.ir.inttype import Ints, IntType
from leanspike.ir.ops import LIF, Add, Conv2d, Dense, Integrate, MaxPool, Operation, Reshape, SumPool, parameters
from leanspike.ir.program import Program

MOST_ROUNDS = 256


@dataclass(frozen=True)
class Range:
    """A closed interval of integers."""

    lowest: int
    highest: int

    @property
    def magnitude(self) -> int:
        """The largest absolute value."""
        return max(abs(self.lowest), abs(self.highest))

    @property
    def bits(self) -> int:
        """Bits of a signed word that holds it."""
        return 1 + max(self.highest.bit_length(), (-self.lowest - 1).bit_length() if self.lowest < 0 else 0)


@dataclass(frozen=True)
class Ranges:
    """What the analysis found, by the names of values and states; sums and products by the name of the neurons' value.

    Attributes:
        values: results of the input and of every operation.
        partials: of dense and conv2d, every sum of some of the products, in any order: what an accumulator must hold.
        states: after reset.
        sums: ``leak(v) + I + b`` of neurons, before saturation.
        products: ``v m`` of neurons, before the shift.
    """

    values: dict[str, Range] = field(default_factory=dict)
    partials: dict[str, Range] = field(default_factory=dict)
    states: dict[str, Range] = field(default_factory=dict)
    sums: dict[str, Range] = field(default_factory=dict)
    products: dict[str, Range] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class _Interval:
    """Bounds of every element of a value; arrays of its shape, or that broadcast to it."""

    low: Ints
    high: Ints

    def range(self) -> Range:
        return Range(int(self.low.min()), int(self.high.max()))


def ranges(program: Program) -> Ranges:
    """Analyse a program whose names and shapes are sound."""
    found = Ranges()
    start = program.input.result
    bounds = np.int64(start.type.lowest), np.int64(start.type.highest)
    live = {start.name: _Interval(*(np.broadcast_to(bound, start.shape) for bound in bounds))}
    found.values[start.name] = live[start.name].range()
    for operation in program.operations:
        result = operation.result
        interval = _interval(operation, program, live, found)
        live[result.name] = interval
        found.values[result.name] = interval.range()
    return found


def _interval(operation: Operation, program: Program, live: dict[str, _Interval], found: Ranges) -> _Interval:
    if isinstance(operation, Dense | Conv2d):
        return _product(operation, program, live[operation.source], found)
    if isinstance(operation, LIF | Integrate):
        return _neurons(operation, program, live[operation.source], found)
    if isinstance(operation, Add):
        a, b = live[operation.left], live[operation.right]
        return _Interval(a.low + b.low, a.high + b.high)
    x, shape = live[operation.source], operation.result.shape
    if isinstance(operation, Reshape):
        return _Interval(x.low.reshape(shape), x.high.reshape(shape))
    assert isinstance(operation, SumPool | MaxPool)
    area = operation.size**2 if isinstance(operation, SumPool) else 1
    low, high = area * x.low.min((0, 1)), area * x.high.max((0, 1))
    return _Interval(np.broadcast_to(low, shape), np.broadcast_to(high, shape))


def _product(operation: Dense | Conv2d, program: Program, x: _Interval, found: Ranges) -> _Interval:
    weight = program.array(operation.weight)
    name, shape = operation.result.name, operation.result.shape
    up, down = weight.clip(min=0), weight.clip(max=0)
    if isinstance(operation, Dense):
        low, high = x.low, x.high
    else:
        # A tap outside the image adds nothing, so its interval holds 0.
        low, high = x.low.min((0, 1)), x.high.max((0, 1))
        if operation.padding:
            low, high = low.clip(max=0), high.clip(min=0)
        low, high = (np.tile(bound, weight.shape[0] * weight.shape[1]) for bound in (low, high))
        up, down = (part.reshape(-1, weight.shape[3]) for part in (up, down))
    least, most = low.clip(max=0), high.clip(min=0)
    found.partials[name] = _Interval(least @ up + most @ down, most @ up + least @ down).range()
    bottom, top = low @ up + high @ down, high @ up + low @ down
    return _Interval(np.broadcast_to(bottom, shape), np.broadcast_to(top, shape))


def _neurons(operation: LIF | Integrate, program: Program, x: _Interval, found: Ranges) -> _Interval:
    kind, shape, name = program.state[operation.state].type, operation.result.shape, operation.result.name
    across = tuple(range(len(shape) - 1))
    current = _Interval(x.low.min(across), x.high.max(across))
    low, high = np.zeros(shape[-1], dtype=np.int64), np.zeros(shape[-1], dtype=np.int64)
    sums, products = Range(0, 0), Range(0, 0)
    for t in range(min(program.steps, MOST_ROUNDS)):
        multiplier, bias = _row(operation, program, t)
        products = _union(products, low * multiplier, high * multiplier)
        bottom = intmath.leak(low, multiplier, operation.shift) + current.low + bias
        top = intmath.leak(high, multiplier, operation.shift) + current.high + bias
        sums = _union(sums, bottom, top)
        bottom, top = intmath.saturate(bottom, kind), intmath.saturate(top, kind)
        if isinstance(operation, LIF):
            bottom, top = _after_reset(operation, program, t, bottom, top)
        before = low, high
        low, high = np.minimum(low, bottom), np.maximum(high, top)
        if _rows(operation, program) == 1 and all(map(np.array_equal, before, (low, high))):
            break
    else:
        if program.steps > MOST_ROUNDS:
            low, high = np.full_like(low, kind.lowest), np.full_like(high, kind.highest)
            multiplier, bias = _row(operation, program, None)
            products = _union(products, low * multiplier, high * multiplier)
            widest = intmath.leak(high, multiplier, operation.shift) + current.high + bias
            sums = _union(sums, intmath.leak(low, multiplier, operation.shift) + current.low + bias, widest)
    found.states[operation.state] = Range(int(low.min()), int(high.max()))
    found.sums[name], found.products[name] = sums, products
    if isinstance(operation, LIF):
        return _Interval(np.broadcast_to(np.int64(0), shape), np.broadcast_to(np.int64(1), shape))
    return _Interval(np.broadcast_to(low, shape), np.broadcast_to(high, shape))


def _rows(operation: LIF | Integrate, program: Program) -> int:
    return max(len(program.arrays[name].values) for name in parameters(operation))


def _after_reset(operation: LIF, program: Program, t: int, low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """The interval of ``[low, high]`` after what reaches the threshold of step t was reset."""
    threshold = _parameter(program, operation.threshold, t)
    least, most = np.zeros_like(low), np.zeros_like(high)
    if operation.reset == "subtract":
        amount = _parameter(program, operation.amount, t)
        least, most = np.maximum(low, threshold) - amount, high - amount
    fires = high >= threshold
    return np.where(fires, np.minimum(low, least), low), np.where(fires, np.maximum(threshold - 1, most), high)


def _row(operation: LIF | Integrate, program: Program, t: int | None) -> tuple[Ints, Ints]:
    """Multiplier and bias of step t; of all steps, ``[S, C]``, for None."""
    bias = np.zeros(1, dtype=np.int64) if operation.bias is None else _parameter(program, operation.bias, t)
    return _parameter(program, operation.leak, t), bias


def _parameter(program: Program, name: str, t: int | None) -> Ints:
    values = program.array(name)
    row: Ints = values if t is None else values[t if len(values) > 1 else 0]
    return row


def _union(whole: Range, low: Ints, high: Ints) -> Range:
    return Range(min(whole.lowest, int(low.min())), max(whole.highest, int(high.max())))


def fitted(program: Program) -> Program:
    """The program with every exact value (all but states and what neurons give) declared in its narrowest type."""
    found = ranges(program)

    def fit(operation: Operation) -> Operation:
        if isinstance(operation, LIF | Integrate):
            return operation
        value = found.values[operation.result.name]
        kind = IntType.holding(value.lowest, value.highest)
        return replace(operation, result=replace(operation.result, type=kind))

    return replace(program, operations=tuple(map(fit, program.operations)))


def narrowed(program: Program) -> Program:
    """The program with every potential as narrow as its sums allow; a state that can saturate keeps its type."""
    found = ranges(program)
    wanted = {}
    for operation in program.operations:
        if isinstance(operation, LIF | Integrate):
            bits = max(found.sums[operation.result.name].bits, found.states[operation.state].bits, 2)
            wanted[operation.state] = IntType(min(bits, program.state[operation.state].type.bits), True)

    def narrow(operation: Operation) -> Operation:
        if not isinstance(operation, Integrate):
            return operation
        return replace(operation, result=replace(operation.result, type=wanted[operation.state]))

    states = tuple(replace(state, type=wanted.get(state.name, state.type)) for state in program.states)
    return replace(program, states=states, operations=tuple(map(narrow, program.operations)))
