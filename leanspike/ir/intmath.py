"""The arithmetic of a program, on integer arrays of NumPy and of torch alike.

    leak(v)     = floor(v m / 2^k)                  an arithmetic right shift, also of negative products
    sat(x)      = min(max(x, lowest), highest)      of the state's type
    u           = sat(leak(v) + I + b)
    s           = u >= theta
    v           = u - s theta       (subtract)      v = 0 where s, else u       (zero)

    c           = clip((v + 2^(d-1)) >> d, lowest, highest)       of a state with a codec of shift d; v >> 0 for d = 0
    v           = c 2^d                                           what the next step reads

    w           = theta + (a >> f)                  the threshold of a neuron that adapts; a << -f where f < 0
    a           = min(((a n) >> k') + j s, highest)                     of its state's type; a is never negative

Where a neuron has an amount of its own, a subtract reset takes that in place of theta.
A neuron that fired is held for R steps: v stays, it sees no leak, no input and no bias, and does not fire. These
functions are the only place where the equations stand: the interpreters and quantisation-aware training call them.
"""

from __future__ import annotations

from typing import Any

from leanspike.ir.inttype import IntType
from leanspike.ir.program import Codec

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


def raised(threshold: Numbers, a: Numbers, fraction: int) -> Numbers:
    """The threshold that adaptation ``a`` makes of one: ``threshold + (a >> fraction)``, or ``a << -fraction``."""
    return threshold + (a >> fraction if fraction >= 0 else a << -fraction)


def adapted(a: Numbers, fired: Numbers, jump: Numbers, multiplier: Numbers, shift: int, kind: IntType) -> Numbers:
    """Adaptation after the spikes: ``sat(leak(a) + fired jump)``."""
    return saturate(leak(a, multiplier, shift) + fired * jump, kind)


def reset(u: Numbers, fired: Numbers, amount: Numbers, kind: str) -> Numbers:
    """The potential that is carried to the next step.

    Args:
        amount: what a subtract reset takes: the threshold, or the neuron's own amount.
        kind: ``subtract`` or ``zero``.
    """
    return u - fired * amount if kind == "subtract" else u * ~fired


def encoded(v: Numbers, codec: Codec) -> Numbers:
    """The code that is kept of a potential: rounded to the nearest multiple of ``2^shift``, halves up, and clipped."""
    half = (1 << codec.shift) >> 1
    return ((v + half) >> codec.shift).clip(codec.lowest, codec.highest)


def stored(v: Numbers, codec: Codec | None) -> Numbers:
    """What the next step reads of a potential: the code as a potential again, or v itself where there is no codec."""
    return v if codec is None else encoded(v, codec) << codec.shift
