"""The arithmetic a program executes for an answer, by layer, kind and width; a sample, on average.

    mac       x w added to a sum                      a synapse whose input is wider than 1 bit
    ac        w added to a sum                        a synapse of spikes; one a spike and connection
    leak      v m                                     a neuron and step; none where every m is 2^k: v is then kept
    current   (leaked v) + I, and + b                 one or two a neuron and step
    compare   u >= theta                              a neuron and step
    reset     u - theta                               a spike, where the reset subtracts
    join      a + b, and the adds of a sum pool       a value and step; once where the input is constant

MACs and ACs are executed operations (:mod:`leanspike.ir.counts`); the others follow exactly from neurons, the steps
that each sample used, and its spikes. Not counted: refractory counters, the encoder, the maximum of a pool,
the readout.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from leanspike.ir import Program
from leanspike.ir.counts import constant_values, multiplies
from leanspike.ir.ops import LIF, Add, Conv2d, Dense, Integrate, MaxPool, Operation, Reshape, SumPool

Kind = Literal["mac", "ac", "leak", "current", "compare", "reset", "join", "uncounted"]


@dataclass(frozen=True)
class Work:
    """Operations of one kind in one layer.

    Attributes:
        layer: name of the operation's value.
        bits: width of the sum or difference.
        factors: widths of the two factors, where something is multiplied.
        count: a sample, mean.
    """

    layer: str
    kind: Kind
    bits: int
    count: float
    factors: tuple[int, int] | None = None


@dataclass(frozen=True)
class Traffic:
    """Accesses to memory of one kind in one layer: what an energy model with memory figures prices."""

    layer: str
    what: Literal["weight", "potential", "spike", "bias", "address"]
    access: Literal["read", "write"]
    bits: int
    count: float


@dataclass(frozen=True)
class Executed:
    """What was executed; ``traffic`` is None where it was not counted."""

    work: tuple[Work, ...]
    traffic: tuple[Traffic, ...] | None = None


def executed(
    program: Program, synaptic: Mapping[str, float], spikes: Mapping[str, float], mean_steps: float
) -> Executed:
    """The arithmetic of a program.

    Args:
        synaptic: executed synaptic operations a sample, by the name of the synapse's value.
        spikes: a sample, by the name of the layer's value.
        mean_steps: steps that a sample used.
    """
    found: list[Work] = []
    constant = constant_values(program)
    for op in program.operations:
        name = op.result.name
        if isinstance(op, Dense | Conv2d):
            found.append(_synapse(op, program, synaptic[name]))
        elif isinstance(op, LIF | Integrate):
            found += _neurons(op, program, mean_steps, spikes.get(name, 0.0))
        else:
            steps = 1.0 if name in constant else mean_steps
            found += _rest(op, steps)
    return Executed(tuple(found))


def _synapse(op: Dense | Conv2d, program: Program, count: float) -> Work:
    bits = op.result.type.bits
    if not multiplies(op, program):
        return Work(op.result.name, "ac", bits, count)
    factors = program.values[op.source].type.bits, program.arrays[op.weight].type.bits
    return Work(op.result.name, "mac", bits, count, factors)


def _neurons(op: LIF | Integrate, program: Program, steps: float, spikes: float) -> Iterator[Work]:
    name, bits = op.result.name, program.state[op.state].type.bits
    updates = math.prod(op.result.shape) * steps
    leak = program.arrays[op.leak]
    if (leak.values != 1 << op.shift).any():
        yield Work(name, "leak", bits, updates, (bits, leak.type.bits))
    yield Work(name, "current", bits, updates * (1 if op.bias is None else 2))
    if isinstance(op, LIF):
        yield Work(name, "compare", bits, updates)
        if op.reset == "subtract":
            yield Work(name, "reset", bits, spikes)


def _rest(op: Operation, steps: float) -> Iterator[Work]:
    size, bits = math.prod(op.result.shape), op.result.type.bits
    if isinstance(op, Add):
        yield Work(op.result.name, "join", bits, size * steps)
    elif isinstance(op, SumPool):
        yield Work(op.result.name, "join", bits, size * (op.size**2 - 1) * steps)
    elif not isinstance(op, Reshape | MaxPool):
        yield Work(op.result.name, "uncounted", bits, math.nan)
