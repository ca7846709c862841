"""The shape that each operation gives; a shape that does not fit is a ``ValueError`` that says why."""

from __future__ import annotations

from functools import singledispatch

from leanspike.ir.ops import LIF, Add, Conv2d, Dense, Integrate, MaxPool, Operation, Reshape, Shape, SumPool
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
def _(operation: Reshape, program: Program, shapes: list[Shape]) -> Shape:
    return operation.result.shape


@_shape.register(LIF)
@_shape.register(Integrate)
def _(operation: LIF | Integrate, program: Program, shapes: list[Shape]) -> Shape:
    return shapes[0]
