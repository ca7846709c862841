"""The input encodings of :mod:`leanspike.ir.encodings` as nodes: a raw sample goes into the model.

    mix        x ^= x >> 16; x *= 0x21F0AAAD; x ^= x >> 15; x *= 0xD35A2D97; x ^= x >> 15     (mod 2^32)

Shifts and exclusive-ors run on uint32. Sums and products run on int64 and are cut to uint32 by Cast, which drops the
high bits; with the second constant taken as 0xD35A2D97 - 2^32 no product leaves 63 bits, so nothing overflows.
"""

from __future__ import annotations

import numpy as np

from leanspike.core import rng
from leanspike.ir import Delta, Latency, Program, Rate
from leanspike.targets.onnx.graph import Graph

FACTORS = (0x21F0AAAD, 0xD35A2D97 - (1 << 32))


def _spread(g: Graph, x: str, shift: int) -> str:
    return g.node("BitwiseXor", x, g.node("BitShift", x, g.constant(shift, "uint32"), direction="RIGHT"))


def mix(g: Graph, x: str) -> str:
    """:func:`leanspike.core.rng.mix` of int64 numbers, whose low 32 bits count; uint32."""
    word = _spread(g, g.cast(x, "uint32"), 16)
    for factor in FACTORS:
        product = g.node("Mul", g.cast(word, "int64"), g.constant(factor, "int64"))
        word = _spread(g, g.cast(product, "uint32"), 15)
    return word


def _mixed_sum(g: Graph, left: str, right: str) -> str:
    """``mix(left + right)`` of a uint32 and an int64 tensor, as uint32."""
    return mix(g, g.node("Add", g.cast(left, "int64"), right))


def thresholds(g: Graph, raw: str, table: np.ndarray[tuple[int, ...], np.dtype[np.int64]], size: int) -> str:
    """``table[raw]`` as ``[B, size]`` int32."""
    found = g.node("Gather", g.constant(table), g.cast(raw, "int32"), axis=0)
    return g.node("Reshape", found, g.constant([0, size], "int64"))


def rate(g: Graph, program: Program, raw: str, numbers: str, steps: str) -> str:
    """Spikes of all steps ``[S]``, int64, at once: ``[S, B, *shape]`` uint8.

    Args:
        raw: ``[B, *shape]`` of the raw type.
        numbers: ``[B]`` int64.
    """
    encoding, shape = program.input.encoding, program.input.raw.shape
    assert isinstance(encoding, Rate)
    size = int(np.prod(shape))
    base = int(rng.mix([(encoding.seed + rng.GOLDEN) & 0xFFFFFFFF])[0])
    stream = mix(g, g.node("Add", numbers, g.constant(base, "int64")))
    step = g.node("Reshape", steps, g.constant([-1, 1], "int64"))
    keys = g.node("Unsqueeze", _mixed_sum(g, stream, step), g.constant([2], "int64"))
    pairs = (np.arange((size + 1) // 2, dtype=np.uint32) * np.uint32(rng.GOLDEN)).astype(np.int64)
    words = _mixed_sum(g, keys, g.constant(pairs, "int64"))
    low = g.node("BitwiseAnd", words, g.constant(0xFFFF, "uint32"))
    high = g.node("BitShift", words, g.constant(16, "uint32"), direction="RIGHT")
    last = g.constant([3], "int64")
    halves = [g.node("Unsqueeze", g.cast(half, "int32"), last) for half in (low, high)]
    draws = g.node("Reshape", g.node("Concat", *halves, axis=3), g.constant([0, 0, 2 * len(pairs)], "int64"))
    if size % 2:
        draws = g.node("Slice", draws, g.constant([0], "int64"), g.constant([size], "int64"), g.constant([2], "int64"))
    wanted = thresholds(g, raw, program.array(encoding.table), size)
    spikes = g.cast(g.node("Less", draws, wanted), "uint8")
    return g.node("Reshape", spikes, g.constant([0, 0, *shape], "int64"))


def when(g: Graph, program: Program, raw: str) -> str:
    """The step of every value's spike, ``[B, *shape]`` int64."""
    encoding = program.input.encoding
    assert isinstance(encoding, Latency)
    return g.node("Gather", g.constant(program.array(encoding.table), "int64"), g.cast(raw, "int32"), axis=0)


def delta(g: Graph, encoding: Delta, column: str, track: str) -> tuple[str, str]:
    """Spikes ``[B, 2 C]`` uint8 of one step of a series, and the track after it.

    Args:
        column: ``[B, C]`` of the raw type.
        track: ``[B, C]`` int32.
    """
    value, threshold = g.cast(column, "int32"), g.constant(encoding.threshold)
    on = g.node("GreaterOrEqual", g.node("Sub", value, track), threshold)
    off = g.node("GreaterOrEqual", g.node("Sub", track, value), threshold)
    down = g.node("Where", off, g.node("Sub", track, threshold), track)
    moved = g.node("Where", on, g.node("Add", track, threshold), down)
    return g.cast(g.node("Concat", on, off, axis=1), "uint8"), moved
