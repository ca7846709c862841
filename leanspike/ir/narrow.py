"""Types as narrow as the intervals of :mod:`leanspike.ir.ranges` allow; what a program computes does not change."""

from __future__ import annotations

from dataclasses import replace

from leanspike.ir.inttype import MOST_BITS, IntType
from leanspike.ir.ops import LIF, Delay, Integrate, Operation
from leanspike.ir.program import Program
from leanspike.ir.ranges import Range, ranges


def fitted(program: Program) -> Program:
    """The program with every exact value (all but states, delays and what neurons give) declared in its narrowest type.

    A value that no type holds takes the widest; the verifier refuses it.
    """
    found = ranges(program)

    def fit(operation: Operation) -> Operation:
        if isinstance(operation, LIF | Integrate | Delay):
            return operation
        value = found.values[operation.result.name]
        fits = value.bits <= MOST_BITS
        kind = IntType.holding(value.lowest, value.highest) if fits else IntType(MOST_BITS, signed=True)
        return replace(operation, result=replace(operation.result, type=kind))

    return replace(program, operations=tuple(map(fit, program.operations)))


def narrowed(program: Program) -> Program:
    """The program with every potential as narrow as its sums and thresholds allow; what can saturate keeps its type."""
    found = ranges(program)
    wanted = {}
    for operation in program.operations:
        if isinstance(operation, LIF | Integrate):
            bits = max(found.sums[operation.result.name].bits, found.carried[operation.state].bits, 2)
            if isinstance(operation, LIF):
                limit, amount = (program.arrays[name].values for name in (operation.threshold, operation.amount))
                left = Range(min(0, int(limit.min()) - int(amount.max())), 0)
                bits = max(bits, 1 + int(limit.max()).bit_length(), left.bits)
            state = program.state[operation.state]
            if state.codec is not None:
                ends = (code << state.codec.shift for code in (state.codec.lowest, state.codec.highest))
                bits = max(bits, Range(*ends).bits)
            wanted[operation.state] = IntType(min(bits, state.type.bits), True)
            if isinstance(operation, LIF) and operation.adapt is not None:
                wanted[operation.adapt] = IntType.holding(0, max(1, found.states[operation.adapt].highest))

    def narrow(operation: Operation) -> Operation:
        if not isinstance(operation, Integrate):
            return operation
        return replace(operation, result=replace(operation.result, type=wanted[operation.state]))

    states = tuple(replace(state, type=wanted.get(state.name, state.type)) for state in program.states)
    return replace(program, states=states, operations=tuple(map(narrow, program.operations)))
