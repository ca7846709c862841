"""Every operation of a program as integer operators of TFLite, on a fixed batch.

    product    see :mod:`leanspike.targets.tflite.products`
    conv2d     the taps side by side (columns first, then rows, as slices), then a product
    v >> k     RIGHT_SHIFT, which is arithmetic on int32

Neurons work on ``[B * H * W, C]``, so parameters of one row broadcast at any rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch

from leanspike.ir import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    MaxPool,
    Operation,
    Program,
    Reshape,
    Scale,
    SumPool,
)
from leanspike.ir.delays import delays, root
from leanspike.ir.ranges import Ranges
from leanspike.targets.tflite.graph import Graph, Shape, Tensor
from leanspike.targets.tflite.products import Factors, interval, parts, summed

PADDING_VALID = 1


@dataclass(frozen=True)
class Live:
    """A value in a subgraph: a tensor of ``[B, *shape]`` elements in whatever shape, and its interval."""

    tensor: Tensor
    shape: Shape
    lowest: int
    highest: int


@dataclass
class Step:
    """One step under construction.

    Attributes:
        t: the step's number, ``[1]`` int32.
        values: what the operations gave so far.
        states: potentials and counters, int32 ``[rows, C]``, before and then after the step.
        fired: of spiking layers, int8.
    """

    program: Program
    found: Ranges
    batch: int
    t: Tensor
    values: dict[str, Live]
    states: dict[str, Tensor]
    fired: dict[str, Tensor]


def rows_of(batch: int, shape: Shape) -> Shape:
    """``[B * H * W, C]``."""
    return (batch * math.prod(shape[:-1]), shape[-1])


def apply(operation: Operation, g: Graph, step: Step) -> Live:
    """Append an operation; its result. States change in ``step``."""
    tensor = _apply(operation, g, step)
    range_ = step.found.values[operation.result.name]
    return Live(tensor, operation.result.shape, range_.lowest, range_.highest)


@singledispatch
def _apply(operation: Operation, g: Graph, step: Step) -> Tensor:
    raise TypeError(type(operation), g, step)


@_apply.register
def _(operation: Dense, g: Graph, step: Step) -> Tensor:
    x, weight = step.values[operation.source], step.program.array(operation.weight)
    factors = Factors.of(x.lowest, x.highest, weight)
    left = [g.reshape(part, (step.batch, len(weight))) for part in parts(g, x.tensor, factors)]
    return summed(g, left, factors, weight)


@_apply.register
def _(operation: Conv2d, g: Graph, step: Step) -> Tensor:
    x, weight = step.values[operation.source], step.program.array(operation.weight)
    flat = weight.reshape(-1, weight.shape[3])
    factors = Factors.of(*interval(operation, x.lowest, x.highest), flat)
    height, width, _ = operation.result.shape
    left = []
    for part in parts(g, x.tensor, factors):
        image = _padded(g, g.reshape(part, (step.batch, *x.shape)), operation.padding, -factors.shift)
        image = _taps(g, image, 2, weight.shape[1], width, operation.stride)
        image = _taps(g, image, 1, weight.shape[0], height, operation.stride)
        left.append(g.reshape(image, (step.batch * height * width, len(flat))))
    return summed(g, left, factors, flat)


def _padded(g: Graph, x: Tensor, padding: int, value: int) -> Tensor:
    if not padding:
        return x
    pads = g.constant([[0, 0], [padding, padding], [padding, padding], [0, 0]])
    shape = (x.shape[0], x.shape[1] + 2 * padding, x.shape[2] + 2 * padding, x.shape[3])
    filler = g.constant(value, x.kind)
    return g.node("PADV2", x, pads, filler, kind=x.kind, shape=shape, version=2, options="PadV2Options")


def _taps(g: Graph, x: Tensor, axis: int, kernel: int, size: int, stride: int) -> Tensor:
    """The ``kernel`` shifted copies along an axis of an image, side by side in the channels."""
    if kernel == 1 and stride == 1:
        return x
    shifted = []
    for tap in range(kernel):
        begin, count = [0, 0, 0, 0], list(x.shape)
        begin[axis], count[axis] = tap, size
        if stride == 1:
            shifted.append(_slice(g, x, begin, count))
            continue
        end, strides = list(x.shape), [1, 1, 1, 1]
        end[axis], strides[axis] = tap + stride * (size - 1) + 1, stride
        bounds = (g.constant(begin), g.constant(end), g.constant(strides))
        shape = tuple(count)
        shifted.append(
            g.node("STRIDED_SLICE", x, *bounds, kind=x.kind, shape=shape, version=2, options="StridedSliceOptions")
        )
    return shifted[0] if kernel == 1 else joined(g, shifted, 3)


def _slice(g: Graph, x: Tensor, begin: list[int], count: list[int]) -> Tensor:
    bounds = (g.constant(begin), g.constant(count))
    return g.node("SLICE", x, *bounds, kind=x.kind, shape=tuple(count), version=2, options="SliceOptions")


def joined(g: Graph, tensors: list[Tensor], axis: int) -> Tensor:
    """Tensors side by side along an axis."""
    shape = list(tensors[0].shape)
    shape[axis] = sum(tensor.shape[axis] for tensor in tensors)
    options = {"options": "ConcatenationOptions", "axis": axis}
    return g.node("CONCATENATION", *tensors, kind=tensors[0].kind, shape=tuple(shape), version=2, **options)


@_apply.register
def _(operation: SumPool, g: Graph, step: Step) -> Tensor:
    return _over_windows(g, step, operation, "SUM")


@_apply.register
def _(operation: MaxPool, g: Graph, step: Step) -> Tensor:
    x = step.values[operation.source]
    if x.tensor.kind != "int8":
        return _over_windows(g, step, operation, "REDUCE_MAX")
    size, shape = operation.size, (step.batch, *operation.result.shape)
    options = {"strideW": size, "strideH": size, "filterWidth": size, "filterHeight": size, "padding": PADDING_VALID}
    image = g.reshape(x.tensor, (step.batch, *x.shape))
    return g.node("MAX_POOL_2D", image, kind="int8", shape=shape, version=2, options="Pool2DOptions", **options)


def _over_windows(g: Graph, step: Step, operation: SumPool | MaxPool, operator: str) -> Tensor:
    """SUM or REDUCE_MAX over the rows, then the columns, of every window."""
    x, size = step.values[operation.source], operation.size
    height, width, channels = operation.result.shape
    image = g.reshape(g.cast(x.tensor, "int32"), (step.batch, *x.shape))
    if x.shape[:2] != (height * size, width * size):
        image = _slice(g, image, [0, 0, 0, 0], [step.batch, height * size, width * size, channels])
    high = g.reduced(operator, g.reshape(image, (step.batch * height, size, width * size * channels)), 1)
    wide = g.reduced(operator, g.reshape(high, (step.batch * height * width, size, channels)), 1)
    return g.reshape(wide, (step.batch, *operation.result.shape))


@_apply.register
def _(operation: Add, g: Graph, step: Step) -> Tensor:
    shape = rows_of(step.batch, operation.result.shape)
    left, right = (g.cast(step.values[name].tensor, "int32") for name in (operation.left, operation.right))
    return g.each("ADD", g.reshape(left, shape), g.reshape(right, shape))


@_apply.register
def _(operation: Scale, g: Graph, step: Step) -> Tensor:
    shape = rows_of(step.batch, operation.result.shape)
    x = g.reshape(g.cast(step.values[operation.source].tensor, "int32"), shape)
    return g.each("MUL", x, g.constant(step.program.array(operation.factor)[None]))


@_apply.register
def _(operation: Delay, _: Graph, step: Step) -> Tensor:
    return step.states[operation.state]


def keep(g: Graph, step: Step) -> None:
    """Append what the delays keep for the next step, once all operations of this one are there."""
    chained = {operation.result.name for operation in delays(step.program)}
    for operation in delays(step.program):
        kept = g.cast(step.values[operation.of].tensor, "int32")
        if root(step.program, operation.of) in chained:
            # A loop's body whose result is one of its inputs reads what another result has overwritten.
            kept = g.each("ADD", kept, g.constant([[0]]))
        step.states[operation.state] = g.reshape(kept, rows_of(step.batch, operation.result.shape))


@_apply.register
def _(operation: Reshape, g: Graph, step: Step) -> Tensor:
    return g.reshape(step.values[operation.source].tensor, (step.batch, *operation.result.shape))


def _row(g: Graph, step: Step, name: str) -> Tensor:
    """The row of a parameter array for this step, ``[1, C]`` or ``[1, 1]``."""
    values = step.program.array(name)
    if (values == values[0]).all():
        return g.constant(values[:1])
    return g.rows(g.constant(values), step.t)


def _leak(g: Graph, step: Step, operation: LIF | Integrate) -> Tensor | None:
    """``(v m) >> shift``, or None where it is always 0."""
    v, m, shift = step.states[operation.state], step.program.array(operation.leak), operation.shift
    if (m == 0).all():
        return None
    if (m == 1 << shift).all():
        return v
    product = v if (m == 1).all() else g.each("MUL", v, _row(g, step, operation.leak))
    return g.each("RIGHT_SHIFT", product, g.constant([[shift]])) if shift else product


def _potential(g: Graph, step: Step, operation: LIF | Integrate) -> Tensor:
    """``sat(leak(v) + I + b)``."""
    shape = rows_of(step.batch, operation.result.shape)
    u, leak = g.reshape(g.cast(step.values[operation.source].tensor, "int32"), shape), _leak(g, step, operation)
    if leak is not None:
        u = g.each("ADD", leak, u)
    if operation.bias is not None and step.program.array(operation.bias).any():
        u = g.each("ADD", u, _row(g, step, operation.bias))
    kind, sums = step.program.state[operation.state].type, step.found.sums[operation.result.name]
    if kind.highest < sums.highest:
        u = g.each("MINIMUM", u, g.constant([[kind.highest]]))
    if kind.lowest > sums.lowest:
        u = g.each("MAXIMUM", u, g.constant([[kind.lowest]]))
    return u


def _stored(g: Graph, step: Step, operation: LIF | Integrate, v: Tensor) -> Tensor:
    """What the next step reads of a potential: shifted down and clipped, and multiplied again."""
    codec = step.program.state[operation.state].codec
    if codec is None:
        return v
    if codec.shift:
        v = g.each("ADD", v, g.constant([[1 << (codec.shift - 1)]]))
        v = g.each("RIGHT_SHIFT", v, g.constant([[codec.shift]]))
    v = g.each("MAXIMUM", g.each("MINIMUM", v, g.constant([[codec.highest]])), g.constant([[codec.lowest]]))
    return g.each("MUL", v, g.constant([[1 << codec.shift]])) if codec.shift else v


@_apply.register
def _(operation: Integrate, g: Graph, step: Step) -> Tensor:
    u = _potential(g, step, operation)
    step.states[operation.state] = _stored(g, step, operation, u)
    return u


def _halved(g: Graph, x: Tensor, times: int) -> Tensor:
    """``x >> times``, or ``x << -times``."""
    if times < 0:
        return g.each("MUL", x, g.constant([[1 << -times]]))
    return g.each("RIGHT_SHIFT", x, g.constant([[times]])) if times else x


def _adapt(g: Graph, step: Step, operation: LIF, fired: Tensor) -> None:
    """The adaptation after the spikes, where thresholds adapt."""
    if operation.adapt is None or operation.adapt_leak is None or operation.adapt_jump is None:
        return
    left = g.each("MUL", step.states[operation.adapt], _row(g, step, operation.adapt_leak))
    jump = g.each("MUL", g.cast(fired, "int32"), _row(g, step, operation.adapt_jump))
    after = g.each("ADD", _halved(g, left, operation.adapt_shift), jump)
    highest = step.program.state[operation.adapt].type.highest
    step.states[operation.adapt] = g.each("MINIMUM", after, g.constant([[highest]]))


@_apply.register
def _(operation: LIF, g: Graph, step: Step) -> Tensor:
    u, threshold = _potential(g, step, operation), _row(g, step, operation.threshold)
    if operation.adapt is not None:
        threshold = g.each("ADD", _halved(g, step.states[operation.adapt], operation.adapt_fraction), threshold)
    fired = g.each("GREATER_EQUAL", u, threshold)
    if operation.hold is not None:
        hold, zero = step.states[operation.hold], g.constant([[0]])
        held = g.each("GREATER", hold, zero)
        u = g.select(held, step.states[operation.state], u)
        fired = g.each("LOGICAL_AND", fired, g.each("LOGICAL_NOT", held))
        falling = g.each("MAXIMUM", g.each("SUB", hold, g.constant([[1]])), zero)
        step.states[operation.hold] = g.select(fired, g.constant([[operation.refractory]]), falling)
    _adapt(g, step, operation, fired)
    amount = threshold if operation.reset_by is None else _row(g, step, operation.reset_by)
    left = g.each("SUB", u, amount) if operation.reset == "subtract" else g.constant([[0]])
    step.states[operation.state] = _stored(g, step, operation, g.select(fired, left, u))
    spikes = step.fired[operation.result.name] = g.cast(fired, "int8")
    return spikes
