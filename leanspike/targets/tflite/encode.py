"""The input encodings of :mod:`leanspike.ir.encodings`, one step of them, as operators: a raw sample goes in.

    mix        x ^= x >> 16; x *= 0x21F0AAAD; x ^= x >> 15; x *= 0xD35A2D97; x ^= x >> 15     (mod 2^32)

Shifts and exclusive-ors run on uint32, sums and products on int64, cut to uint32 by CAST; with the second constant
taken as 0xD35A2D97 - 2^32 no product leaves 63 bits, so nothing overflows. The rate encoding draws inside the model.
"""

from __future__ import annotations

import math

import numpy as np

from leanspike.core import rng
from leanspike.ir import Delta, Latency, Program, Rate
from leanspike.targets.tflite.graph import Graph, Tensor
from leanspike.targets.tflite.operations import joined

FACTORS = (0x21F0AAAD, 0xD35A2D97 - (1 << 32))


def _spread(g: Graph, x: Tensor, shift: int) -> Tensor:
    return g.each("BITWISE_XOR", x, g.each("RIGHT_SHIFT", x, g.constant([shift], "uint32")))


def _product(g: Graph, x: Tensor, factor: int) -> Tensor:
    """``x factor`` mod 2^32, of uint32."""
    return g.cast(g.each("MUL", g.cast(x, "int64"), g.constant([factor], "int64")), "uint32")


def _mixed_sum(g: Graph, left: Tensor, right: Tensor) -> Tensor:
    """``mix(left + right)`` as uint32."""
    total = g.each("ADD", g.cast(left, "int64"), g.cast(right, "int64"))
    word = _spread(g, g.cast(total, "uint32"), 16)
    for factor in FACTORS:
        word = _spread(g, _product(g, word, factor), 15)
    return word


def streams(g: Graph, program: Program, numbers: Tensor) -> Tensor:
    """What the keys of all steps share: ``[B]`` int64 sample numbers to ``[B]`` uint32."""
    encoding = program.input.encoding
    assert isinstance(encoding, Rate)
    base = int(rng.mix([(encoding.seed + rng.GOLDEN) & 0xFFFFFFFF])[0])
    return _mixed_sum(g, numbers, g.constant([base], "int64"))


def levels(g: Graph, program: Program, raw: Tensor) -> Tensor:
    """``table[raw]`` of the rate or latency encoding: ``[B, size]`` int32."""
    encoding = program.input.encoding
    assert isinstance(encoding, Rate | Latency)
    flat = g.reshape(g.cast(raw, "int32"), (raw.shape[0], math.prod(raw.shape[1:])))
    return g.rows(g.constant(program.array(encoding.table)), flat)


def rate(g: Graph, stream: Tensor, thresholds: Tensor, t: Tensor) -> Tensor:
    """Spikes ``[B, size]`` int8 of step ``t`` from what :func:`streams` and :func:`levels` gave."""
    batch, size = thresholds.shape
    count = (size + 1) // 2
    keys = g.reshape(_mixed_sum(g, stream, t), (batch, 1))
    pairs = (np.arange(count, dtype=np.uint32) * np.uint32(rng.GOLDEN)).astype(np.int64)
    words = _mixed_sum(g, keys, g.constant(pairs[None], "int64"))
    sixteen = g.constant([16], "uint32")
    low = g.each("RIGHT_SHIFT", _product(g, words, 1 << 16), sixteen)
    halves = [g.cast(half, "int32") for half in (low, g.each("RIGHT_SHIFT", words, sixteen))]
    shape = (batch, count, 2)
    both = g.node("PACK", *halves, kind="int32", shape=shape, options="PackOptions", axis=2, valuesCount=2)
    draws = g.reshape(both, (batch, 2 * count))
    if size % 2:
        bounds = g.constant([0, 0]), g.constant([batch, size])
        draws = g.node("SLICE", draws, *bounds, kind="int32", shape=(batch, size), options="SliceOptions")
    return g.cast(g.each("LESS", draws, thresholds), "int8")


def latency(g: Graph, when: Tensor, t: Tensor) -> Tensor:
    """Spikes ``[B, size]`` int8 of step ``t`` from what :func:`levels` gave."""
    return g.cast(g.each("EQUAL", when, t), "int8")


def delta(g: Graph, encoding: Delta, column: Tensor, track: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes ``[B, 2 C]`` int8 of one step of a series, and the track after it; both arguments ``[B, C]`` int32."""
    threshold = g.constant([[encoding.threshold]])
    on = g.each("GREATER_EQUAL", g.each("SUB", column, track), threshold)
    off = g.each("GREATER_EQUAL", g.each("SUB", track, column), threshold)
    down = g.select(off, g.each("SUB", track, threshold), track)
    moved = g.select(on, g.each("ADD", track, threshold), down)
    return joined(g, [g.cast(on, "int8"), g.cast(off, "int8")], 1), moved
