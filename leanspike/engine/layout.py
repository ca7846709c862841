"""Weights and parameters as the engine reads them: rows padded to whole vectors, taps side by side, rows a step.

Dense: ``[in, out]`` with out padded to :data:`GRANULE`, so that an active input adds one contiguous row.

Convolution: an input at row h, column w reaches, for every kernel row a, the outputs ``w' = (w + pad - b) / stride`` of
the taps b of one phase ``b = w + pad mod stride``; falling b is rising w'. So the taps of a phase lie side by side in
that order, out channels innermost, and an active input adds one contiguous run for every kernel row.

Sparse: of every row, or run of taps, only the weights that are not 0, each as ``place << 9 | w + 256``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.ir import Conv2d

GRANULE = 32
BLOCK = 64
Array = npt.NDArray[Any]
REACH = np.dtype([("to", "i4"), ("from", "i4"), ("length", "i4"), ("clipped", "i4")])


def aligned(values: Array) -> Array:
    """A copy that starts at a multiple of 64 bytes."""
    room = np.zeros(values.nbytes + 64, dtype=np.uint8)
    start = -room.ctypes.data % 64
    copy: Array = room[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


def up(count: int, unit: int) -> int:
    """``count`` rounded up to a multiple of ``unit``."""
    return -(-count // unit) * unit


def narrow(values: Array) -> Array:
    """The values as int8, int16 or int32: the narrowest that holds them."""
    for kind in (np.int8, np.int16):
        if np.iinfo(kind).min <= values.min() and values.max() <= np.iinfo(kind).max:
            return values.astype(kind)
    return values.astype(np.int32)


def rows(weight: Array) -> Array:
    """A dense weight ``[in, out]`` with its rows padded."""
    padding = up(weight.shape[1], GRANULE) - weight.shape[1]
    return aligned(np.pad(narrow(weight), ((0, 0), (0, padding))))


@dataclass(frozen=True, eq=False)
class Taps:
    """A convolution's weights ``[in channel, kernel row, phase, run]`` and where they reach.

    Attributes:
        across: ``[H, reaches]`` for every row of the image, unused entries with length 0.
        along: ``[W]`` for every column.
    """

    weight: Array
    across: Array
    along: Array


def taps(operation: Conv2d, weight: Array, source: tuple[int, ...]) -> Taps:
    """Lay out a convolution's weight ``[kh, kw, C, O]`` for images of the shape ``source`` ``[H, W, C]``."""
    kernel_height, kernel_width, channels, outputs = weight.shape
    stride = operation.stride
    run = up(-(-kernel_width // stride) * outputs, GRANULE)
    laid = np.zeros((channels, kernel_height, stride, run), dtype=narrow(weight).dtype)
    for phase in range(min(stride, kernel_width)):
        side = weight[:, phase::stride][:, ::-1]
        laid[:, :, phase, : side.shape[1] * outputs] = np.moveaxis(side, 2, 0).reshape(channels, kernel_height, -1)
    across = _across(operation, kernel_height, source[0], outputs, stride * run)
    return Taps(aligned(laid), across, _along(operation, kernel_width, source[1], outputs, run))


def _across(operation: Conv2d, kernel: int, height: int, outputs: int, step: int) -> Array:
    stride, result = operation.stride, operation.result.shape
    table = np.zeros((height, -(-kernel // stride)), dtype=REACH)
    for h in range(height):
        reached = [(h + operation.padding - a, a) for a in range(kernel)]
        fitting = [(at // stride, a) for at, a in reached if at % stride == 0 and 0 <= at // stride < result[0]]
        for entry, (row, a) in enumerate(fitting):
            table[h, entry] = (row * result[1] * outputs, a * step, 1, 0)
    return table


def _along(operation: Conv2d, kernel: int, width: int, outputs: int, run: int) -> Array:
    stride, columns = operation.stride, operation.result.shape[1]
    table = np.zeros(width, dtype=REACH)
    for w in range(width):
        phase = (w + operation.padding) % stride
        count = len(range(phase, kernel, stride))
        first = (w + operation.padding - phase) // stride - count + 1
        skipped, end = max(0, -first), min(count, columns - first)
        if end > skipped:
            clipped = skipped > 0 or end < count
            reach = ((first + skipped) * outputs, phase * run + skipped * outputs, (end - skipped) * outputs, clipped)
            table[w] = reach
    return table


@dataclass(frozen=True, eq=False)
class Entries:
    """Sparse weights: entries row by row, and where in them each row starts, and the end."""

    entries: Array
    starts: Array


def entries(rows: Array) -> Entries:
    """Rows ``[rows, places]`` of weights of 9 bits at most as entries."""
    row, place = np.nonzero(rows)
    found = (place << 9) + rows[row, place].astype(np.int64) + 256
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(rows)))])
    return Entries(aligned(found.astype(np.uint32)), aligned(starts.astype(np.uint32)))


def sparse_taps(laid: Taps) -> tuple[Entries, Array, Array]:
    """The entries of a convolution's taps, and where they reach: ``from`` in rows of entries."""
    run = laid.weight.shape[-1]
    across, along = laid.across.copy(), laid.along.copy()
    across["from"] //= run
    along["from"], along["clipped"] = laid.along["from"] // run, laid.along["from"] % run
    return entries(laid.weight.reshape(-1, run)), across, along


def repeat_of(shape: tuple[int, ...]) -> int:
    """Elements after which the parameters of neurons of this shape repeat, in whole blocks."""
    return min(math.lcm(shape[-1], BLOCK), up(math.prod(shape), BLOCK))


def parameter(values: Array, shape: tuple[int, ...]) -> Array:
    """A parameter array ``[S, 1 or C]`` as int32 ``[S, repeat]``: what a value's elements take in turn."""
    repeat = repeat_of(shape)
    each = np.broadcast_to(values, (len(values), shape[-1]))
    return aligned(np.tile(each, (1, -(-repeat // shape[-1])))[:, :repeat].astype(np.int32))
