"""Scores, early exit and prediction of :mod:`leanspike.ir.readout` as operators.

Scores are int32; margins need int64.
"""

from __future__ import annotations

from leanspike.ir import Program
from leanspike.targets.stepwise import MOST_MARGIN
from leanspike.targets.tflite.graph import Graph, Tensor


def after(g: Graph, program: Program, source: Tensor, scores: Tensor, t: Tensor) -> Tensor:
    """The scores ``[B, K]`` after step ``t``."""
    kind, value = program.readout.kind, g.cast(source, "int32")
    if kind in ("count", "membrane_mean"):
        return g.each("ADD", scores, value)
    if kind == "membrane_last":
        return value
    if kind == "membrane_max":
        first = g.reshape(g.each("EQUAL", t, g.constant([0])), (1, 1))
        return g.select(first, value, g.each("MAXIMUM", scores, value))
    left = g.each("SUB", g.constant([program.steps]), t)
    silent = g.each("EQUAL", scores, g.constant([[0]]))
    return g.select(silent, g.each("MUL", value, left), scores)


def decided(g: Graph, program: Program, scores: Tensor, t: Tensor) -> Tensor:
    """``[B]`` whether the exit's margin is reached after step ``t``."""
    exit_, batch = program.readout.exit, scores.shape[0]
    assert exit_ is not None
    pair = [("int64", (batch, 2)), ("int32", (batch, 2))]
    best = g.nodes("TOPK_V2", (g.cast(scores, "int64"), g.constant(2)), pair, options="TopKV2Options")[0]
    first, second = (_column(g, best, i) for i in range(2))
    count = g.each("ADD", t, g.constant([1]))
    margin = g.constant([min(exit_.margin, MOST_MARGIN)], "int64")
    if program.readout.kind == "membrane_mean":
        margin = g.each("MUL", g.cast(count, "int64"), margin)
    late = g.each("GREATER_EQUAL", count, g.constant([exit_.earliest]))
    return g.each("LOGICAL_AND", g.each("GREATER_EQUAL", g.each("SUB", first, second), margin), late)


def _column(g: Graph, x: Tensor, i: int) -> Tensor:
    shape = (x.shape[0], 1)
    bounds = g.constant([0, i]), g.constant(list(shape))
    return g.reshape(g.node("SLICE", x, *bounds, kind=x.kind, shape=shape, options="SliceOptions"), (x.shape[0],))


def predictions(g: Graph, scores: Tensor) -> Tensor:
    """``[B]`` int32, the lowest index of equal scores."""
    kind = g.schema.TensorType.INT32
    options = {"options": "ArgMaxOptions", "outputType": kind}
    return g.node("ARG_MAX", scores, g.constant(1), kind="int32", shape=scores.shape[:1], **options)
