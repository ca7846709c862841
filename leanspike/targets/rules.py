"""Limits that several targets share, as named rules."""

from __future__ import annotations

from collections.abc import Iterator

from leanspike.ir import LIF, Integrate, IntType, Program
from leanspike.ir.ranges import Ranges
from leanspike.ir.violation import Violation

WORD = IntType(32, True)


def early_sums(program: Program, found: Ranges) -> list[Violation]:
    """Neurons whose ``leak(v) + I`` leaves 32 bits although ``leak(v) + I + b`` does not.

    For targets that add in this order and whose runtimes do not define what an overflow gives.
    """
    return list(_early_sums(program, found))


def _early_sums(program: Program, found: Ranges) -> Iterator[Violation]:
    for op in program.operations:
        if not isinstance(op, LIF | Integrate) or op.bias is None:
            continue
        products, current = found.products[op.result.name], found.values[op.source]
        lowest = (products.lowest >> op.shift) + current.lowest
        highest = (products.highest >> op.shift) + current.highest
        if not WORD.holds(lowest, highest):
            what = f"leak(v) + I, before the bias is added, reaches {lowest} to {highest}"
            yield Violation(op.result.name, what, "fewer bits in weights, state or bias")
