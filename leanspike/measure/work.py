"""The arithmetic a program executes for an answer, by layer, kind and width; a sample, on average, and step by step.

    mac       x w added to a sum                      a synapse whose input is wider than 1 bit
    ac        w added to a sum                        a synapse of spikes; one a spike and connection
    update    one new potential                       a neuron and step; what it takes is counted in the next four
    leak      v m                                     of an update; none where every m is 2^k: v is then kept
    adapt     a n and theta + (a >> f)                a neuron that adapts and step; and + jump, a spike
    current   (leaked v) + I, and + b                 of an update, one or two
    compare   u >= theta                              of an update; and wider values against each other in a max pool
    reset     u - theta                               a spike, where the reset subtracts
    join      a + b, and the adds of a sum pool       a value and step; once where the input is constant

Two variants. ``event``: a zero costs nothing, and what a constant input feeds is computed once. ``dense``: every input
in every step. Not counted: the encoder, refractory counters, the maximum (a logical or) of spikes, the readout.
Neurons that a refractory period holds are not updated.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leanspike.ir import Program
from leanspike.ir.counts import Working, constant_values, multiplies
from leanspike.ir.inttype import SPIKE
from leanspike.ir.ops import LIF, Add, Conv2d, Dense, Integrate, Matmul, MaxPool, Operation, Scale, SumPool, sources
from leanspike.measure.tally import Floats, Tally, whole

Kind = Literal["mac", "ac", "update", "leak", "adapt", "current", "compare", "reset", "join"]
Variant = Literal["event", "dense"]
VARIANTS: tuple[Variant, ...] = ("event", "dense")


@dataclass(frozen=True)
class Work:
    """Operations of one kind in one layer.

    Attributes:
        layer: name of the operation's value.
        bits: width of the sum or difference.
        count: a sample, mean.
        factors: widths of the two factors, where something is multiplied.
        steps: the same in every step; empty where only the sum is known.
    """

    layer: str
    kind: Kind
    bits: int
    count: float
    factors: tuple[int, int] | None = None
    steps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Traffic:
    """Accesses to memory of one kind in one layer; :mod:`leanspike.measure.traffic` says of which machine.

    Attributes:
        bits: width of an access; a fraction where codes share a byte.
        count: a sample, mean.
        memory: bytes of the memory that is accessed, which a price goes by.
        steps: as in :class:`Work`.
    """

    layer: str
    what: Literal[
        "weight",
        "address",
        "sum",
        "potential",
        "counter",
        "adaptation",
        "delay",
        "spike",
        "input",
        "bias",
        "threshold",
        "leak",
    ]
    access: Literal["read", "write"]
    bits: float
    count: float
    memory: float
    steps: tuple[float, ...] = ()


@dataclass(frozen=True)
class Executed:
    """What was executed a sample; ``traffic`` and ``instructions`` (of a processor) are None where not counted."""

    work: tuple[Work, ...]
    traffic: tuple[Traffic, ...] | None = None
    instructions: float | None = None


def arithmetic(
    program: Program, found: Tally, variant: Variant = "event", still: Variant = "event"
) -> tuple[Work, ...]:
    """The arithmetic of a program whose steps are tallied.

    Args:
        still: the variant of what has a constant input, where the others are of the ``event`` variant: it runs once.
    """
    constant = constant_values(program) if variant == "event" else set()
    once = (np.arange(len(found.used)) == 0).astype(np.float64)
    work: list[Work] = []
    for op in program.operations:
        if isinstance(op, Dense | Conv2d | Scale | Matmul):
            name, every = op.result.name, whole(op, program)["operations"]
            done = found.used * every if variant == "dense" else found.operations[name]
            work.append(_working(op, program, once * every if name in constant and still == "dense" else done))
        elif isinstance(op, LIF | Integrate):
            work += _neurons(op, program, found)
        else:
            work += _rest(op, program, once if op.result.name in constant else found.used)
    return tuple(work)


def _work(layer: str, kind: Kind, bits: int, steps: Floats, factors: tuple[int, int] | None = None) -> Work:
    return Work(layer, kind, bits, float(steps.sum()), factors, tuple(map(float, steps)))


def _working(op: Working, program: Program, steps: Floats) -> Work:
    name, bits = op.result.name, op.result.type.bits
    if not multiplies(op, program):
        return _work(name, "ac", bits, steps)
    sides = [program.values[source].type.bits for source in sources(op)]
    if not isinstance(op, Matmul):
        sides.append(program.arrays[op.factor if isinstance(op, Scale) else op.weight].type.bits)
    return _work(name, "mac", bits, steps, (sides[0], sides[1]))


def leaks(op: LIF | Integrate, program: Program) -> bool:
    """Whether the potential is multiplied at all."""
    return bool((program.arrays[op.leak].values != 1 << op.shift).any())


def _neurons(op: LIF | Integrate, program: Program, found: Tally) -> Iterator[Work]:
    name, bits, updates = op.result.name, program.state[op.state].type.bits, found.active[op.result.name]
    yield _work(name, "update", bits, updates)
    if leaks(op, program):
        yield _work(name, "leak", bits, updates, (bits, program.arrays[op.leak].type.bits))
    yield _work(name, "current", bits, updates * (1 if op.bias is None else 2))
    if isinstance(op, LIF):
        yield _work(name, "compare", bits, updates)
        if op.reset == "subtract":
            yield _work(name, "reset", bits, found.nonzero[name])
        if op.adapt is not None and op.adapt_leak is not None:
            wide, size = program.state[op.adapt].type.bits, math.prod(op.result.shape)
            factors = (wide, program.arrays[op.adapt_leak].type.bits)
            yield _work(name, "adapt", wide, size * found.used, factors)
            yield _work(name, "adapt", wide, found.nonzero[name])


def _rest(op: Operation, program: Program, steps: Floats) -> Iterator[Work]:
    name, size, bits = op.result.name, math.prod(op.result.shape), op.result.type.bits
    if isinstance(op, Add):
        yield _work(name, "join", bits, size * steps)
    elif isinstance(op, SumPool):
        yield _work(name, "join", bits, size * (op.size**2 - 1) * steps)
    elif isinstance(op, MaxPool) and program.values[op.source].type != SPIKE:
        yield _work(name, "compare", bits, size * (op.size**2 - 1) * steps)
