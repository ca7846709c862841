"""Interval analysis: between which integers every value, state and sum of a program lies, whatever goes in.

    [a, b] W      : sum of a W+ + b W-  ..  sum of b W+ + a W-          W+ = max(W, 0), W- = min(W, 0)
    v             : the union over the steps of sat(leak(v) + I + b), reset and stored, from v = 0 on, until it grows no
                    more; what an Integrate gives is that union before it is stored

    a             : 0 .. j 2^k / (2^k - n), which no sum of decaying jumps exceeds, and its type's highest at most

A state whose interval still grows after ``MOST_ROUNDS`` steps takes its type's whole range: sound, and bounded work.
Sums are taken in float64, exact below 2^53; what lies beyond ``_FAR`` counts as that far, so that nothing wraps and a
program that leaves 32 bits is always seen to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from leanspike.ir import intmath
from leanspike.ir.inttype import Ints
from leanspike.ir.ops import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Matmul,
    MaxPool,
    Operation,
    Reshape,
    Scale,
    Shape,
    SumPool,
    parameters,
)
from leanspike.ir.program import Program

MOST_ROUNDS = 256
_FAR = 1 << 40
_WEIGHTS_AT_ONCE = 1 << 20


_Floats = npt.NDArray[np.float64]


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
        partials: of dense, conv2d, matmul: every sum of some products, in any order: what an accumulator must hold.
        states: what the next step reads: after reset, as stored.
        carried: after reset, before a codec rounds it.
        sums: ``leak(v) + I + b`` of neurons, before saturation.
        products: ``v m`` of neurons, before the shift.
        firing: ``[C]`` of neurons that fire, the channels that can.
        thresholds: of neurons that adapt, ``theta + (a >> adapt_fraction)``.
        adaptations: of those, ``a n`` and ``((a n) >> adapt_shift) + j``, before saturation.
    """

    values: dict[str, Range] = field(default_factory=dict)
    partials: dict[str, Range] = field(default_factory=dict)
    states: dict[str, Range] = field(default_factory=dict)
    carried: dict[str, Range] = field(default_factory=dict)
    sums: dict[str, Range] = field(default_factory=dict)
    products: dict[str, Range] = field(default_factory=dict)
    firing: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    thresholds: dict[str, Range] = field(default_factory=dict)
    adaptations: dict[str, Range] = field(default_factory=dict)


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
    result = operation.result
    if isinstance(operation, Dense | Conv2d):
        return _product(operation, program, live[operation.source], found)
    if isinstance(operation, LIF | Integrate):
        return _neurons(operation, program, live[operation.source], found)
    if isinstance(operation, Add):
        a, b = live[operation.left], live[operation.right]
        return _near(a.low + b.low, a.high + b.high, result.shape)
    if isinstance(operation, Matmul):
        return _matmul(operation, live[operation.left], live[operation.right], found)
    if isinstance(operation, Delay):
        # What is delayed may come later: the verifier holds it to the declared type.
        return _near(np.array(result.type.lowest), np.array(result.type.highest), result.shape)
    x = live[operation.source]
    if isinstance(operation, Reshape):
        return _Interval(x.low.reshape(result.shape), x.high.reshape(result.shape))
    if isinstance(operation, Scale):
        ends = [bound * program.array(operation.factor) for bound in (x.low, x.high)]
        return _near(np.minimum(*ends), np.maximum(*ends), result.shape)
    assert isinstance(operation, SumPool | MaxPool)
    area = operation.size**2 if isinstance(operation, SumPool) else 1
    return _near(area * x.low.min((0, 1)), area * x.high.max((0, 1)), result.shape)


def _product(operation: Dense | Conv2d, program: Program, x: _Interval, found: Ranges) -> _Interval:
    weight = program.arrays[operation.weight].values
    low, high = x.low, x.high
    if isinstance(operation, Conv2d):
        # A tap outside the image adds nothing, so its interval holds 0.
        low, high = low.min((0, 1)), high.max((0, 1))
        if operation.padding:
            low, high = low.clip(max=0), high.clip(min=0)
        low, high = (np.tile(bound, weight.shape[0] * weight.shape[1]) for bound in (low, high))
    lows, highs = np.stack([low, low.clip(max=0)]), np.stack([high, high.clip(min=0)])
    (bottom, least), (top, most) = _sums(lows, highs, weight.reshape(-1, weight.shape[-1]))
    found.partials[operation.result.name] = _near(least, most, least.shape).range()
    return _near(bottom, top, operation.result.shape)


def _matmul(operation: Matmul, a: _Interval, b: _Interval, found: Ranges) -> _Interval:
    """One interval for all elements: as many products of the sides' widest ends as a sum has."""
    shape, width = operation.result.shape, b.low.shape
    count = width[1] // operation.heads if operation.form == "scores" else width[0]
    left, right = a.range(), b.range()
    ends = [x * y for x in (left.lowest, left.highest) for y in (right.lowest, right.highest)]
    low, high = (np.array(count * min(max(end, -_FAR), _FAR)) for end in (min(ends), max(ends)))
    found.partials[operation.result.name] = _near(low.clip(max=0), high.clip(min=0), ()).range()
    return _near(low, high, shape)


def _sums(low: Ints, high: Ints, weight: npt.NDArray[np.integer]) -> tuple[_Floats, _Floats]:
    """``[K, in]`` bounds of inputs to ``[K, out]`` bounds of sums: with middle m and half width h, ``m W -+ h |W|``."""
    middle, half = (low + high) / 2, (high - low) / 2
    centre, spread = np.zeros((2, len(low), weight.shape[1]))
    for part in _parts(weight):
        columns = weight[part].astype(np.float64)
        centre += middle[:, part] @ columns
        spread += half[:, part] @ np.abs(columns)
    return centre - spread, centre + spread


def _parts(weight: npt.NDArray[np.integer]) -> Iterator[slice]:
    rows = max(1, _WEIGHTS_AT_ONCE // weight.shape[1])
    return (slice(start, start + rows) for start in range(0, len(weight), rows))


def _near(low: Ints | _Floats, high: Ints | _Floats, shape: Shape) -> _Interval:
    """The interval cut to +-``_FAR``, of the value's shape."""
    bounds = (np.broadcast_to(bound.clip(-_FAR, _FAR).astype(np.int64), shape) for bound in (low, high))
    return _Interval(*bounds)


def _neurons(operation: LIF | Integrate, program: Program, x: _Interval, found: Ranges) -> _Interval:
    state, shape, name = program.state[operation.state], operation.result.shape, operation.result.name
    across = tuple(range(len(shape) - 1))
    current = _Interval(x.low.min(across), x.high.max(across))
    low, high, least, most = np.zeros((4, shape[-1]), dtype=np.int64)
    sums = products = carried = Range(0, 0)
    firing = np.zeros(shape[-1], dtype=bool)
    raised = _adaptation(operation, program, found) if isinstance(operation, LIF) else 0
    for t in range(min(program.steps, MOST_ROUNDS)):
        multiplier, bias = _row(operation, program, t)
        products = _union(products, low * multiplier, high * multiplier)
        bottom = intmath.leak(low, multiplier, operation.shift) + current.low + bias
        top = intmath.leak(high, multiplier, operation.shift) + current.high + bias
        sums = _union(sums, bottom, top)
        bottom, top = intmath.saturate(bottom, state.type), intmath.saturate(top, state.type)
        least, most = np.minimum(least, bottom), np.maximum(most, top)
        if isinstance(operation, LIF):
            firing |= top >= _parameter(program, operation.threshold, t)
            bottom, top = _after_reset(operation, program, t, bottom, top, raised)
        carried, before = _union(carried, bottom, top), (low, high)
        low = np.minimum(low, intmath.stored(bottom, state.codec))
        high = np.maximum(high, intmath.stored(top, state.codec))
        if _rows(operation, program) == 1 and all(map(np.array_equal, before, (low, high))):
            break
    else:
        if program.steps > MOST_ROUNDS:
            least, most = np.full_like(low, state.type.lowest), np.full_like(high, state.type.highest)
            low, high = intmath.stored(least, state.codec), intmath.stored(most, state.codec)
            carried, firing = _union(carried, least, most), np.ones_like(firing)
            multiplier = program.arrays[operation.leak].values.max(0).astype(np.int64)
            biases = _biases(operation, program)
            products = _union(products, low * multiplier, high * multiplier)
            bottom = intmath.leak(low, multiplier, operation.shift) + current.low + biases[0]
            sums = _union(sums, bottom, intmath.leak(high, multiplier, operation.shift) + current.high + biases[1])
    found.states[operation.state], found.carried[operation.state] = Range(int(low.min()), int(high.max())), carried
    found.sums[name], found.products[name] = sums, products
    if isinstance(operation, LIF):
        found.firing[name] = firing
        return _Interval(np.broadcast_to(np.int64(0), shape), np.broadcast_to(firing.astype(np.int64), shape))
    return _Interval(np.broadcast_to(least, shape), np.broadcast_to(most, shape))


def _rows(operation: LIF | Integrate, program: Program) -> int:
    return max(len(program.arrays[name].values) for name in parameters(operation))


def _adaptation(operation: LIF, program: Program, found: Ranges) -> Ints | int:
    """By how much thresholds may rise, a channel; the ranges of adaptation are found on the way."""
    if operation.adapt is None or operation.adapt_leak is None or operation.adapt_jump is None:
        return 0
    highest, one = program.state[operation.adapt].type.highest, 1 << operation.adapt_shift
    multiplier, jump = (program.array(name).max(0) for name in (operation.adapt_leak, operation.adapt_jump))
    gap = one - multiplier
    bound = np.where(gap > 0, jump * one // gap.clip(min=1), np.where(gap == 0, jump * program.steps, highest))
    top: Ints = bound.clip(max=highest)
    product, threshold = top * multiplier, program.array(operation.threshold).max(0)
    sums = (product >> operation.adapt_shift) + jump
    raised: Ints = intmath.raised(np.int64(0), top, operation.adapt_fraction)
    name, zero = operation.result.name, np.zeros(1, dtype=np.int64)
    found.states[operation.adapt] = _union(Range(0, 0), zero, top)
    found.adaptations[name] = _union(_union(Range(0, 0), zero, product), zero, sums)
    found.thresholds[name] = _union(Range(1, 1), zero + 1, threshold + raised)
    return raised


def _after_reset(
    operation: LIF, program: Program, t: int, low: Ints, high: Ints, raised: Ints | int
) -> tuple[Ints, Ints]:
    """The interval of ``[low, high]`` after what reaches the threshold of step t was reset.

    Args:
        raised: by how much adaptation may raise the threshold.
    """
    threshold = _parameter(program, operation.threshold, t)
    least, most = np.zeros_like(low), np.zeros_like(high)
    if operation.reset == "subtract":
        amount = _parameter(program, operation.amount, t)
        least, most = np.maximum(low, threshold) - amount, high - amount
        if operation.reset_by is None:
            least = (low - (threshold + raised)).clip(min=0)
    fires, quiet = high >= threshold, np.minimum(high, threshold + raised - 1)
    return np.where(fires, np.minimum(low, least), low), np.where(fires, np.maximum(quiet, most), high)


def _row(operation: LIF | Integrate, program: Program, t: int) -> tuple[Ints, Ints]:
    """Multiplier and bias of step t."""
    bias = np.zeros(1, dtype=np.int64) if operation.bias is None else _parameter(program, operation.bias, t)
    return _parameter(program, operation.leak, t), bias


def _biases(operation: LIF | Integrate, program: Program) -> tuple[Ints, Ints]:
    """The least and the largest bias of all steps, a channel."""
    bias = np.zeros((1, 1), dtype=np.int64) if operation.bias is None else program.arrays[operation.bias].values
    return bias.min(0).astype(np.int64), bias.max(0).astype(np.int64)


def _parameter(program: Program, name: str, t: int) -> Ints:
    values = program.arrays[name].values
    row: Ints = values[t if len(values) > 1 else 0].astype(np.int64)
    return row


def _union(whole: Range, low: Ints, high: Ints) -> Range:
    return Range(min(whole.lowest, int(low.min())), max(whole.highest, int(high.max())))
