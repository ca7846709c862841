"""Every operation of a program as integer operators of ONNX.

product    x in [0, 255] after an offset, weights of 8 bits:  MatMulInteger
               2 max(x) max|W| < 2^15: uint8 by int8, else uint8 by uint8 with zero point 128. On x86 without VNNI
               onnxruntime adds two products of uint8 by int8 in 16 bits, saturating; uint8 by uint8 never is.
           wider: MatMul on int32
matmul     heads as an axis of the batch, then MatMul on int32
delay      the state as the step finds it; what it keeps is given with the step's other states
conv2d     the taps side by side (columns first, then rows, as slices), then a product
v >> k     ((v + 2^30) Div 2^k) - 2^(30-k) where |v| < 2^30, since Div truncates and BitShift is unsigned;
           else ((uint32(v) xor 2^31) BitShift k) - 2^(31-k)
codec      (clip(v, 2^k lowest - 2^(k-1), 2^k highest + 2^(k-1) - 1) + 2^(k-1)) and -2^k
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import numpy as np
import numpy.typing as npt

from leanspike.ir import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Matmul,
    MaxPool,
    Operation,
    Program,
    Reshape,
    Scale,
    SumPool,
)
from leanspike.ir.delays import delays
from leanspike.ir.inttype import IntType
from leanspike.ir.ranges import Ranges
from leanspike.targets.onnx.graph import Graph, Tensor
from leanspike.targets.rules import WORD

DIV_LIMIT = 1 << 30
PAIR_LIMIT = (1 << 15) - 1


@dataclass
class Step:
    """One step under construction.

    Attributes:
        t: the step's number, an int64 scalar.
        values: what the operations gave so far; those of an outer graph may stand among them.
        states: potentials and counters, int32, before and then after the step.
        fired: of spiking layers, uint8.
    """

    program: Program
    found: Ranges
    t: str
    values: dict[str, Tensor]
    states: dict[str, str]
    fired: dict[str, str]


def apply(operation: Operation, g: Graph, step: Step) -> Tensor:
    """Append an operation; its result. States change in ``step``."""
    return _apply(operation, g, step)


@singledispatch
def _apply(operation: Operation, g: Graph, step: Step) -> Tensor:
    raise TypeError(type(operation), g, step)


def _tensor(operation: Operation, step: Step, name: str, kind: str = "int32") -> Tensor:
    range_ = step.found.values[operation.result.name]
    return Tensor(name, kind, range_.lowest, range_.highest)


@_apply.register
def _(operation: Dense, g: Graph, step: Step) -> Tensor:
    x = _factor(g, step.values[operation.source], step.program.array(operation.weight))
    return _tensor(operation, step, x.times(g))


@_apply.register
def _(operation: Conv2d, g: Graph, step: Step) -> Tensor:
    weight = step.program.array(operation.weight)
    x = _factor(g, step.values[operation.source], weight.reshape(-1, weight.shape[3]))
    name, pad = x.name, operation.padding
    if pad:
        pads = g.constant([0, pad, pad, 0, 0, pad, pad, 0], "int64")
        name = g.node("Pad", name, pads, g.constant(x.zero, x.kind))
    height, width, _ = operation.result.shape
    name = _taps(g, name, 2, weight.shape[1], width, operation.stride)
    name = _taps(g, name, 1, weight.shape[0], height, operation.stride)
    return _tensor(operation, step, x.times(g, name))


def _taps(g: Graph, x: str, axis: int, kernel: int, size: int, stride: int) -> str:
    """The ``kernel`` shifted copies along an axis of an image, side by side in the channels."""
    if kernel == 1 and stride == 1:
        return x
    shifted = []
    for tap in range(kernel):
        ends = g.constant([tap], "int64"), g.constant([tap + stride * (size - 1) + 1], "int64")
        shifted.append(g.node("Slice", x, *ends, g.constant([axis], "int64"), g.constant([stride], "int64")))
    return shifted[0] if kernel == 1 else g.node("Concat", *shifted, axis=3)


@dataclass(frozen=True, eq=False)
class _Factor:
    """The left factor of a product in the element type of its operator, and the right one.

    Attributes:
        zero: what stands for 0 in ``name``.
    """

    name: str
    kind: str
    zero: int
    highest: int
    weight: npt.NDArray[np.int64]

    def times(self, g: Graph, taps: str | None = None) -> str:
        """The product of ``taps`` (or the factor itself) with the weight."""
        name = taps or self.name
        if self.kind == "int32":
            return g.node("MatMul", name, g.constant(self.weight))
        narrow = 2 * self.highest * int(abs(self.weight).max()) <= PAIR_LIMIT
        if narrow and not self.zero:
            return g.node("MatMulInteger", name, g.constant(self.weight, "int8"))
        right = self.weight if narrow else self.weight + 128
        kind, zero = ("int8", 0) if narrow else ("uint8", 128)
        zeros = g.constant(self.zero, "uint8"), g.constant(zero, kind)
        return g.node("MatMulInteger", name, g.constant(right, kind), *zeros)


def _factor(g: Graph, x: Tensor, weight: npt.NDArray[np.int64]) -> _Factor:
    zero = max(0, -x.lowest)
    if x.highest + zero > 255 or not IntType(8, True).holds(int(weight.min()), int(weight.max())):
        return _Factor(g.as_int32(x), "int32", 0, x.highest, weight)
    name = x.name
    if zero:
        name = g.node("Add", g.as_int32(x), g.constant(zero))
    if zero or x.kind != "uint8":
        name = g.cast(name, "uint8")
    return _Factor(name, "uint8", zero, x.highest + zero, weight)


@_apply.register
def _(operation: SumPool, g: Graph, step: Step) -> Tensor:
    cut = _windows(g, g.as_int32(step.values[operation.source]), operation)
    return _tensor(operation, step, g.node("ReduceSum", cut, g.constant([2, 4], "int64"), keepdims=0))


@_apply.register
def _(operation: MaxPool, g: Graph, step: Step) -> Tensor:
    x = step.values[operation.source]
    if x.kind == "int32":
        cut = _windows(g, x.name, operation)
        return _tensor(operation, step, g.node("ReduceMax", cut, g.constant([2, 4], "int64"), keepdims=0))
    sides = [operation.size, operation.size]
    pooled = g.node("MaxPool", g.node("Transpose", x.name, perm=[0, 3, 1, 2]), kernel_shape=sides, strides=sides)
    return _tensor(operation, step, g.node("Transpose", pooled, perm=[0, 2, 3, 1]), x.kind)


def _windows(g: Graph, x: str, operation: SumPool | MaxPool) -> str:
    height, width, channels = operation.result.shape
    size = operation.size
    begin, end = g.constant([0, 0], "int64"), g.constant([height * size, width * size], "int64")
    cut = g.node("Slice", x, begin, end, g.constant([1, 2], "int64"))
    return g.node("Reshape", cut, g.constant([0, height, size, width, size, channels], "int64"))


@_apply.register
def _(operation: Add, g: Graph, step: Step) -> Tensor:
    left, right = (g.as_int32(step.values[name]) for name in (operation.left, operation.right))
    return _tensor(operation, step, g.node("Add", left, right))


@_apply.register
def _(operation: Scale, g: Graph, step: Step) -> Tensor:
    factor = g.constant(step.program.array(operation.factor))
    return _tensor(operation, step, g.node("Mul", g.as_int32(step.values[operation.source]), factor))


@_apply.register
def _(operation: Matmul, g: Graph, step: Step) -> Tensor:
    left, right = (g.as_int32(step.values[name]) for name in (operation.left, operation.right))
    width = step.program.values[operation.right].shape[1]
    split = g.constant([0, 0, operation.heads, width // operation.heads], "int64")
    right = g.node("Reshape", right, split)
    if operation.form == "scores":
        left = g.node("Transpose", g.node("Reshape", left, split), perm=[0, 2, 1, 3])
        return _tensor(operation, step, g.node("MatMul", left, g.node("Transpose", right, perm=[0, 2, 3, 1])))
    heads = g.node("MatMul", left, g.node("Transpose", right, perm=[0, 2, 1, 3]))
    joined = g.node("Reshape", g.node("Transpose", heads, perm=[0, 2, 1, 3]), g.constant([0, 0, width], "int64"))
    return _tensor(operation, step, joined)


@_apply.register
def _(operation: Delay, _: Graph, step: Step) -> Tensor:
    return _tensor(operation, step, step.states[operation.state])


def keep(g: Graph, step: Step) -> None:
    """Append what the delays keep for the next step, once all operations of this one are there."""
    for operation in delays(step.program):
        step.states[operation.state] = g.as_int32(step.values[operation.of])


@_apply.register
def _(operation: Reshape, g: Graph, step: Step) -> Tensor:
    x = step.values[operation.source]
    name = g.node("Reshape", x.name, g.constant([0, *operation.result.shape], "int64"))
    return _tensor(operation, step, name, x.kind)


def _rows(step: Step, name: str | None) -> npt.NDArray[np.int64]:
    """A parameter array with one row where all rows are equal; zero for None."""
    values = np.zeros((1, 1), dtype=np.int64) if name is None else step.program.array(name)
    return values[:1] if (values == values[0]).all() else values


def _row(g: Graph, step: Step, rows: npt.NDArray[np.int64]) -> str:
    """The row of this step, ``[C]`` or ``[1]``."""
    return g.constant(rows[0]) if len(rows) == 1 else g.node("Gather", g.constant(rows), step.t, axis=0)


def _leak(g: Graph, step: Step, operation: LIF | Integrate) -> tuple[str | None, int]:
    """``((v m) >> shift) + raised`` and how much it is raised; None where it is always 0."""
    v, m, shift = step.states[operation.state], _rows(step, operation.leak), operation.shift
    if (m == 0).all():
        return None, 0
    if (m == 1 << shift).all():
        return v, 0
    product = v if (m == 1).all() else g.node("Mul", v, _row(g, step, m))
    if shift == 0:
        return product, 0
    if step.found.products[operation.result.name].magnitude < DIV_LIMIT:
        return g.node("Div", g.node("Add", product, g.constant(DIV_LIMIT)), g.constant(1 << shift)), DIV_LIMIT >> shift
    flipped = g.node("BitwiseXor", g.cast(product, "uint32"), g.constant(1 << 31, "uint32"))
    shifted = g.node("BitShift", flipped, g.constant(shift, "uint32"), direction="RIGHT")
    return g.cast(shifted, "int32"), 1 << (31 - shift)


def _potential(g: Graph, step: Step, operation: LIF | Integrate) -> str:
    """``sat(leak(v) + I + b)``; what raises the leak is taken off with the bias where 32 bits hold the sum."""
    found, result = step.found, operation.result.name
    current, bias = step.values[operation.source], _rows(step, operation.bias)
    leak, raised = _leak(g, step, operation)
    u = g.as_int32(current)
    if leak is not None:
        highest = raised + (found.products[result].highest >> operation.shift) + current.highest
        if raised and not (WORD.holds(current.lowest, highest) and WORD.holds(int(bias.min()) - raised, 0)):
            leak, raised = g.node("Sub", leak, g.constant(raised)), 0
        u = g.node("Add", leak, u)
    bias = bias - raised
    if bias.any():
        u = g.node("Add", u, _row(g, step, bias))
    kind, sums = step.program.state[operation.state].type, found.sums[result]
    if kind.holds(sums.lowest, sums.highest):
        return u
    return g.node("Clip", u, g.constant(kind.lowest), g.constant(kind.highest))


def _stored(g: Graph, step: Step, operation: LIF | Integrate, v: str) -> str:
    """What the next step reads of a potential."""
    codec = step.program.state[operation.state].codec
    if codec is None:
        return v
    half = (1 << codec.shift) >> 1
    lowest, highest = (codec.lowest << codec.shift) - half, ((codec.highest + 1) << codec.shift) - 1 - half
    v = g.node("Clip", v, g.constant(lowest), g.constant(highest))
    if codec.shift == 0:
        return v
    return g.node("BitwiseAnd", g.node("Add", v, g.constant(half)), g.constant(-1 << codec.shift))


@_apply.register
def _(operation: Integrate, g: Graph, step: Step) -> Tensor:
    u = _potential(g, step, operation)
    step.states[operation.state] = _stored(g, step, operation, u)
    return _tensor(operation, step, u)


def _halved(g: Graph, x: str, times: int) -> str:
    """``x >> times``, or ``x << -times``, of what is never negative: there Div is the floor."""
    if times < 0:
        return g.node("Mul", x, g.constant(1 << -times))
    return g.node("Div", x, g.constant(1 << times)) if times else x


def _adapt(g: Graph, step: Step, operation: LIF, fired: str) -> None:
    """The adaptation after the spikes, where thresholds adapt."""
    if operation.adapt is None:
        return
    multiplier, jump = (_row(g, step, _rows(step, name)) for name in (operation.adapt_leak, operation.adapt_jump))
    left = _halved(g, g.node("Mul", step.states[operation.adapt], multiplier), operation.adapt_shift)
    after = g.node("Add", left, g.node("Where", fired, jump, g.constant(0)))
    kind = step.program.state[operation.adapt].type
    step.states[operation.adapt] = g.node("Min", after, g.constant(kind.highest))


@_apply.register
def _(operation: LIF, g: Graph, step: Step) -> Tensor:
    u, threshold = _potential(g, step, operation), _row(g, step, _rows(step, operation.threshold))
    amount = threshold if operation.reset_by is None else _row(g, step, _rows(step, operation.reset_by))
    if operation.adapt is not None:
        raised = _halved(g, step.states[operation.adapt], operation.adapt_fraction)
        threshold = g.node("Add", threshold, raised)
        amount = threshold if operation.reset_by is None else amount
    fired = g.node("GreaterOrEqual", u, threshold)
    if operation.hold is not None:
        hold = step.states[operation.hold]
        held = g.node("Greater", hold, g.constant(0))
        u = g.node("Where", held, step.states[operation.state], u)
        fired = g.node("And", fired, g.node("Not", held))
        falling = g.node("Max", g.node("Sub", hold, g.constant(1)), g.constant(0))
        step.states[operation.hold] = g.node("Where", fired, g.constant(operation.refractory), falling)
    _adapt(g, step, operation, fired)
    left = g.node("Sub", u, amount) if operation.reset == "subtract" else g.constant(0)
    step.states[operation.state] = _stored(g, step, operation, g.node("Where", fired, left, u))
    spikes = step.fired[operation.result.name] = g.cast(fired, "uint8")
    return _tensor(operation, step, spikes, "uint8")
