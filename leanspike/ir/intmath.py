"""The arithmetic of a program, on integer arrays of NumPy and of torch alike.

    leak(v)     = floor(v m / 2^k)                  an arithmetic right shift, also of negative products
    sat(x)      = min(max(x, lowest), highest)      of the state's type
    u           = sat(leak(v) + I + b)
    s           = u >= theta
    v           = u - s theta       (subtract)      v = 0 where s, else u       (zero)

Where a neuron has an amount of its own, a subtract reset takes that in place of theta.
A neuron that fired is held for R steps: v stays, it sees no leak, no input and no bias, and does not fire. These
functions are the only place where the equations stand: the interpreters and quantisation-aware training call them.
"""

from __future__ import annotations

from typing import Any

from leanspike.ir.inttype import IntType

Numbers = Any
"""An integer array of NumPy or an integer tensor of torch; both share the operators used here."""


def leak(v: Numbers, multiplier: Numbers, shift: int) -> Numbers:
    """``floor(v multiplier / 2^shift)``."""
    return (v * multiplier) >> shift


def saturate(x: Numbers, kind: IntType) -> Numbers:
    """``x`` cut to the range of ``kind``."""
    return x.clip(kind.lowest, kind.highest)


def integrate(v: Numbers, current: Numbers, bias: Numbers, multiplier: Numbers, shift: int, kind: IntType) -> Numbers:
    """The membrane potential before firing: ``sat(leak(v) + current + bias)``."""
    return saturate(leak(v, multiplier, shift) + current + bias, kind)


def fire(u: Numbers, threshold: Numbers) -> Numbers:
    """``u >= threshold``, as booleans."""
    return u >= threshold


def reset(u: Numbers, fired: Numbers, amount: Numbers, kind: str) -> Numbers:
    """The potential that is carried to the next step.

    Args:
        amount: what a subtract reset takes: the threshold, or the neuron's own amount.
        kind: ``subtract`` or ``zero``.
    """
    return u - fired * amount if kind == "subtract" else u * ~fired
