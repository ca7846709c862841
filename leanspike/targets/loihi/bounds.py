"""Between which integers a layer's currents and potentials lie, and whether its leak ever rounds: proofs, no samples.

With reset to zero what is carried lies below the threshold, and a leak of 1 at most makes nothing larger:

    T min(I + b, 0)  <=  u  <=  T max(I + b, 0),  or max(theta - 1, 0) + max(I + b, 0) of neurons that fire

Where all weights and biases are multiples of d^(T - 1) and the leak is m' / d in lowest terms, every potential of T
steps is a multiple of what the next leak divides by: it never rounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leanspike.ir import LIF, Add, Conv2d, Dense, Integrate, MaxPool, Operation, Program, reference
from leanspike.ir.inttype import Ints
from leanspike.ir.ranges import Range, Ranges

Neurons = LIF | Integrate | MaxPool


@dataclass(frozen=True)
class Bounds:
    """Of ``I + b``, I and ``leak(v) + I + b``, whatever goes in."""

    driven: Range
    current: Range
    sums: Range


def own_bias(program: Program, op: Neurons) -> Ints:
    """b, ``[C]`` or ``[1]``."""
    return reference.row(program, None if isinstance(op, MaxPool) else op.bias, 0)


def leak(program: Program, op: LIF | Integrate) -> Ints:
    """m, ``[C]`` or ``[1]``."""
    return reference.row(program, op.leak, 0)


def bounds(program: Program, found: Ranges, op: LIF | Integrate) -> Bounds:
    """Bounds of a layer over the program's steps."""
    current, bias = found.values[op.source], own_bias(program, op)
    driven = Range(current.lowest + int(bias.min()), current.highest + int(bias.max()))
    sums, steps = found.sums[op.result.name], program.steps
    if isinstance(op, LIF) and op.reset == "subtract":
        return Bounds(driven, current, sums)
    lowest, highest = steps * min(driven.lowest, 0), steps * max(driven.highest, 0)
    if isinstance(op, LIF):
        highest = min(highest, int(program.array(op.threshold).max()) - 1 + max(driven.highest, 0))
    return Bounds(driven, current, Range(max(lowest, sums.lowest), min(highest, sums.highest)))


def leak_rounds(program: Program, op: LIF | Integrate, *, host: bool) -> bool:
    """Whether some potential may be no multiple of what the leak divides it by."""
    whole = 1 << op.shift
    multiplier = leak(program, op)
    divides = whole // int(np.gcd.reduce(np.append(multiplier, whole)))
    if divides == 1 or not multiplier.any():
        return False
    if host:
        return True
    giver = {other.result.name: other for other in program.operations}
    unit = int(np.gcd.reduce([_unit(program, giver, op.source), *own_bias(program, op).tolist()]))
    return bool(unit % divides ** (program.steps - 1))


def _unit(program: Program, giver: Mapping[str, Operation], name: str) -> int:
    """What divides every current of a value; 0 where all are 0."""
    op = giver.get(name)
    if isinstance(op, Dense | Conv2d):
        return int(np.gcd.reduce(program.array(op.weight).ravel(), initial=0))
    if isinstance(op, Add):
        return int(np.gcd(_unit(program, giver, op.left), _unit(program, giver, op.right)))
    return 1
