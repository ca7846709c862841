"""What the whole model computes before its Scan: everything that needs no state.

    direct                    values that are the same in every step, once
    rate, latency, sequence   the input of all steps and what follows from it without neurons, with time folded into
                              the batch; the Scan reads a step's slice. A product of T B rows costs less than T of B.
    delta                     the series with time first; its spikes need the track

An operation is folded only while its result has no more elements than the input, so that a convolution's many channels
are never held for all steps at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from leanspike.ir import Delta, Direct, Latency, Program, Rate
from leanspike.ir.ops import reads, sources, states
from leanspike.ir.ranges import Ranges
from leanspike.targets.onnx import encode
from leanspike.targets.onnx.graph import Graph, Tensor
from leanspike.targets.onnx.operations import Step, apply
from leanspike.targets.stepwise import frame_shape

Scanned = tuple[str, str, tuple[int | str, ...], str]
"""A body's input, its element type and shape, and what is scanned along its first axis in the outer graph."""


@dataclass(frozen=True)
class Outside:
    """What the body of the Scan finds.

    Attributes:
        values: that its operations read: constants of the outer graph, or inputs of the body.
        scanned: the inputs of the body beside the step's number.
        done: names of the values that are not computed in the body.
    """

    values: dict[str, Tensor] = field(default_factory=dict)
    scanned: tuple[Scanned, ...] = ()
    done: frozenset[str] = frozenset()


def first(g: Graph, program: Program, name: str, kind: str | None = None) -> Tensor:
    """The encoded input as a tensor."""
    type_ = program.input.result.type
    kind = kind or str(type_.dtype)
    if kind not in ("uint8", "int8", "int32"):
        name, kind = g.cast(name, "int32"), "int32"
    return Tensor(name, kind, type_.lowest, type_.highest)


def outside(g: Graph, program: Program, found: Ranges) -> Outside:
    """Append it to the outer graph."""
    encoding = program.input.encoding
    if isinstance(encoding, Direct):
        values = _stateless(g, program, found, first(g, program, "raw"), math.inf)
        return Outside(values, (), frozenset(values))
    if isinstance(encoding, Delta):
        kind = str(program.input.raw.type.dtype)
        return Outside(scanned=(("in/x", kind, ("B", *frame_shape(program)), _time_first(g, program, 2)),))
    encoded = first(g, program, _every_step(g, program))
    shape = program.input.result.shape
    flat = Tensor(
        g.node("Reshape", encoded.name, _folded(g, shape, program.steps)), encoded.kind, encoded.lowest, encoded.highest
    )
    values = _stateless(g, program, found, flat, math.prod(shape))
    read = set[str]()
    for operation in program.operations:
        if operation.result.name not in values:
            read |= set(reads(operation))
    inside: dict[str, Tensor] = {}
    scanned: list[Scanned] = []
    for name in sorted(read & values.keys()):
        tensor = values[name]
        source = g.node("Reshape", tensor.name, _unfolded(g, program.values[name].shape, program.steps))
        inside[name] = Tensor(f"in/value/{name}", tensor.kind, tensor.lowest, tensor.highest)
        scanned.append((inside[name].name, tensor.kind, ("B", *program.values[name].shape), source))
    return Outside(inside, tuple(scanned), frozenset(values))


def _stateless(g: Graph, program: Program, found: Ranges, x: Tensor, most: float) -> dict[str, Tensor]:
    """The input and the values that follow from it without neurons, of at most ``most`` elements a sample."""
    step = Step(program, found, "", {program.input.result.name: x}, {}, {})
    for operation in program.operations:
        follows = all(name in step.values for name in sources(operation))
        if follows and not states(operation) and math.prod(operation.result.shape) <= most:
            step.values[operation.result.name] = apply(operation, g, step)
    return step.values


def _every_step(g: Graph, program: Program) -> str:
    """The encoded input of all steps, ``[T, B, *shape]``."""
    encoding, steps = program.input.encoding, g.constant(np.arange(program.steps), "int64")
    if isinstance(encoding, Rate):
        return encode.rate(g, program, "raw", "numbers", steps)
    if not isinstance(encoding, Latency):
        return _time_first(g, program, 1)
    shape = [program.steps, *[1] * (1 + len(program.input.raw.shape))]
    now = g.node("Reshape", steps, g.constant(shape, "int64"))
    return g.cast(g.node("Equal", encode.when(g, program, "raw"), now), "uint8")


def _time_first(g: Graph, program: Program, axis: int) -> str:
    axes = list(range(1 + len(program.input.raw.shape)))
    return g.node("Transpose", "raw", perm=[axis, *axes[:axis], *axes[axis + 1 :]])


def batch(g: Graph) -> str:
    """``[1]`` int64: the number of samples."""
    return g.node("Shape", "raw", start=0, end=1)


def _folded(g: Graph, shape: tuple[int, ...], steps: int) -> str:
    """``[T B, *shape]``, without a -1, which an empty batch does not allow."""
    rows = g.node("Mul", batch(g), g.constant([steps], "int64"))
    return g.node("Concat", rows, g.constant(shape, "int64"), axis=0)


def _unfolded(g: Graph, shape: tuple[int, ...], steps: int) -> str:
    return g.node("Concat", g.constant([steps], "int64"), batch(g), g.constant(shape, "int64"), axis=0)
