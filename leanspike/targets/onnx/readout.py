"""Scores, early exit and prediction of :mod:`leanspike.ir.readout` as nodes. Scores are int32; margins need int64."""

from __future__ import annotations

from leanspike.ir import Program
from leanspike.targets.onnx.graph import Graph, Tensor
from leanspike.targets.stepwise import MOST_MARGIN


def after(g: Graph, program: Program, source: Tensor, scores: str, t: str) -> str:
    """The scores ``[B, K]`` after step ``t``, an int64 scalar."""
    kind, value = program.readout.kind, g.as_int32(source)
    if kind in ("count", "membrane_mean"):
        return g.node("Add", scores, value)
    if kind == "membrane_last":
        return value
    if kind == "membrane_max":
        first = g.node("Equal", t, g.constant(0, "int64"))
        return g.node("Where", first, value, g.node("Max", scores, value))
    left = g.cast(g.node("Sub", g.constant(program.steps, "int64"), t), "int32")
    silent = g.node("Equal", scores, g.constant(0))
    return g.node("Where", silent, g.node("Mul", value, left), scores)


def decided(g: Graph, program: Program, scores: str, t: str) -> str:
    """``[B]`` whether the exit's margin is reached after step ``t``."""
    exit_ = program.readout.exit
    assert exit_ is not None
    best, _ = g.nodes_of("TopK", (g.cast(scores, "int64"), g.constant([2], "int64")), 2)
    first, second = g.nodes_of("Split", (best,), 2, axis=1, num_outputs=2)
    lead = g.node("Squeeze", g.node("Sub", first, second), g.constant([1], "int64"))
    margin, count = g.constant(min(exit_.margin, MOST_MARGIN), "int64"), g.node("Add", t, g.constant(1, "int64"))
    if program.readout.kind == "membrane_mean":
        margin = g.node("Mul", margin, count)
    late = g.node("GreaterOrEqual", count, g.constant(exit_.earliest, "int64"))
    return g.node("And", g.node("GreaterOrEqual", lead, margin), late)
