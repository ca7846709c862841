"""Products of integers of any width as products of bytes.

    x within 8 bits   y = (x - shift) W + shift * column sums of W      shift: 0 where x is int8, else its middle
    wider             y = sum over k of 128^k (d_k W)                    x = sum over k of 128^k d_k

The digits d_k lie in [0, 127] but the highest, which has the sign. Each product is one BATCH_MATMUL, int8 by int8 to
int32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.ir import Conv2d, Dense
from leanspike.ir.inttype import IntType
from leanspike.targets.tflite.graph import Graph, Tensor

BYTE = IntType(8, True)
DIGIT = 7


@dataclass(frozen=True, eq=False)
class Factors:
    """How a product is cut into products of bytes: ``x W = sum over k of scale_k part_k(x) W + correction``.

    Attributes:
        shift: taken off x before it becomes bytes; 0 where there are digits.
        digits: how many; 1 for bytes.
    """

    shift: int
    digits: int

    @staticmethod
    def of(lowest: int, highest: int, weight: npt.NDArray[np.int64]) -> Factors:
        """The cut of ``lowest <= x <= highest``.

        -128 times -128 is kept out: kernels that add two products in 16 bits would overflow.
        """
        safe = BYTE.lowest if int(weight.min()) > BYTE.lowest else BYTE.lowest + 1
        if lowest >= safe and highest <= BYTE.highest:
            return Factors(0, 1)
        if highest - lowest <= BYTE.highest - safe:
            return Factors(highest - BYTE.highest, 1)
        digits = 2
        while lowest >> (DIGIT * (digits - 1)) < safe or highest >> (DIGIT * (digits - 1)) > BYTE.highest:
            digits += 1
        return Factors(0, digits)

    def reach(self, lowest: int, highest: int, weight: npt.NDArray[np.int64]) -> int:
        """A bound of every sum on the way to the product, in magnitude."""
        total, columns = int(abs(weight).sum(0).max()), int(abs(weight.sum(0)).max())
        if self.digits == 1:
            return max(abs(lowest - self.shift), abs(highest - self.shift)) * total + abs(self.shift) * columns
        top = DIGIT * (self.digits - 1)
        return (max(abs(lowest >> top), abs(highest >> top)) + 1 << top) * total


def interval(operation: Dense | Conv2d, lowest: int, highest: int) -> tuple[int, int]:
    """What a product's left factor may hold: 0 too where a convolution pads."""
    return (min(0, lowest), max(0, highest)) if isinstance(operation, Conv2d) else (lowest, highest)


def parts(g: Graph, x: Tensor, factors: Factors) -> list[Tensor]:
    """``part_k(x)`` as int8, the lowest digit first."""
    if factors.digits == 1:
        if not factors.shift:
            return [g.cast(x, "int8")]
        return [g.cast(g.each("SUB", g.cast(x, "int32"), g.constant([factors.shift])), "int8")]
    left, found = g.cast(x, "int32"), []
    for _ in range(factors.digits - 1):
        carry = g.each("RIGHT_SHIFT", left, g.constant([DIGIT]))
        found.append(g.cast(g.each("SUB", left, g.each("MUL", carry, g.constant([1 << DIGIT]))), "int8"))
        left = carry
    return [*found, g.cast(left, "int8")]


def summed(g: Graph, left: list[Tensor], factors: Factors, weight: npt.NDArray[np.int64]) -> Tensor:
    """The product of :func:`parts` ``[rows, in]`` with a weight ``[in, out]``."""
    turned, total = g.constant(weight.T, "int8"), None
    for k, part in enumerate(left):
        shape = (part.shape[0], weight.shape[1])
        options = {"options": "BatchMatMulOptions", "adjX": False, "adjY": True}
        y = g.node("BATCH_MATMUL", part, turned, kind="int32", shape=shape, version=2, **options)
        if k:
            y = g.each("MUL", y, g.constant([1 << (DIGIT * k)]))
        total = y if total is None else g.each("ADD", total, y)
    assert total is not None
    correction = factors.shift * weight.sum(0)
    return g.each("ADD", total, g.constant(correction)) if correction.any() else total
