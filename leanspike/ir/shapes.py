"""The shape that each operation gives; a shape that does not fit is a ``ValueError`` that says why."""

from __future__ import annotations

from functools import singledispatch

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
)
from leanspike.ir.program import Program

MOST_STRIDE = 65_535


@singledispatch
def _shape(operation: Operation, program: Program, shapes: list[Shape]) -> Shape:
    raise TypeError(type(operation))


def result_shape(operation: Operation, program: Program, shapes: list[Shape]) -> Shape:
    """The shape of an operation's result, from those of its sources.

    Raises:
        ValueError: the sources or the weight do not fit the operation.
    """
    return _shape(operation, program, shapes)


@_shape.register
def _(operation: Dense, program: Program, shapes: list[Shape]) -> Shape:
    weight = program.arrays[operation.weight].values
    if weight.ndim != 2 or shapes[0] != weight.shape[:1]:
        raise ValueError(f"dense takes [in] and a weight [in, out], found {list(shapes[0])} and {list(weight.shape)}")
    return (weight.shape[1],)


@_shape.register
def _(operation: Conv2d, program: Program, shapes: list[Shape]) -> Shape:
    weight = program.arrays[operation.weight].values
    if weight.ndim != 4 or len(shapes[0]) != 3 or shapes[0][2] != weight.shape[2]:
        found = f"{list(shapes[0])} and {list(weight.shape)}"
        raise ValueError(f"conv2d takes [H, W, C] and a weight [kh, kw, C, out], found {found}")
    if not 1 <= operation.stride <= MOST_STRIDE or not 0 <= operation.padding < min(weight.shape[:2]):
        raise ValueError(f"conv2d needs a stride of 1 to {MOST_STRIDE} and a padding below the kernel's size")
    height, width = (
        (size + 2 * operation.padding - kernel) // operation.stride + 1
        for size, kernel in zip(shapes[0][:2], weight.shape[:2], strict=True)
    )
    if min(height, width) < 1:
        raise ValueError(f"the image {list(shapes[0])} is smaller than the kernel {list(weight.shape[:2])}")
    return (height, width, weight.shape[3])


@_shape.register(SumPool)
@_shape.register(MaxPool)
def _(operation: SumPool | MaxPool, program: Program, shapes: list[Shape]) -> Shape:
    if len(shapes[0]) != 3 or operation.size < 1 or min(shapes[0][:2]) < operation.size:
        raise ValueError(f"a pool of size {operation.size} needs [H, W, C] at least as large, found {list(shapes[0])}")
    return (shapes[0][0] // operation.size, shapes[0][1] // operation.size, shapes[0][2])


@_shape.register
def _(operation: Add, program: Program, shapes: list[Shape]) -> Shape:
    if shapes[0] != shapes[1]:
        raise ValueError(f"add takes equal shapes, found {list(shapes[0])} and {list(shapes[1])}")
    return shapes[0]


@_shape.register
def _(operation: Scale, program: Program, shapes: list[Shape]) -> Shape:
    factor = program.arrays[operation.factor].values.shape
    if factor not in ((1,), shapes[0][-1:]):
        raise ValueError(f"scale takes a factor [1] or [{shapes[0][-1]}], found {list(factor)}")
    return shapes[0]


@_shape.register
def _(operation: Matmul, program: Program, shapes: list[Shape]) -> Shape:
    (left, right), heads = shapes, operation.heads
    found = f"form={operation.form} heads={heads} of {list(left)} and {list(right)}"
    if operation.form not in ("scores", "values"):
        raise ValueError(f"matmul has the forms scores and values, found {found[:60]}")
    if heads < 1 or len(right) != 2 or right[1] % heads:
        raise ValueError(f"matmul takes a right side [M, D] with D in whole heads, found {found}")
    if operation.form == "scores":
        if len(left) != 2 or left[1] != right[1]:
            raise ValueError(f"scores take [N, D] and [M, D], found {found}")
        return (heads, left[0], right[0])
    if len(left) != 3 or (left[0], left[2]) != (heads, right[0]):
        raise ValueError(f"values take [heads, N, M] and [M, D], found {found}")
    return (left[1], right[1])


@_shape.register
def _(operation: Delay, program: Program, shapes: list[Shape]) -> Shape:
    return program.values[operation.of].shape


@_shape.register
def _(operation: Reshape, program: Program, shapes: list[Shape]) -> Shape:
    return operation.result.shape


@_shape.register(LIF)
@_shape.register(Integrate)
def _(operation: LIF | Integrate, program: Program, shapes: list[Shape]) -> Shape:
    return shapes[0]
