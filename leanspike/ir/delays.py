"""Recurrent edges: what a delay may delay, and which operations must run step by step because of one.

A delay whose value ``of`` is given before it only looks back; one whose value comes after it closes a loop, and all
operations from the delay to that value depend on one another over time.
"""

from __future__ import annotations

from collections.abc import Iterator

from leanspike.ir.inttype import SPIKE
from leanspike.ir.ops import LIF, Delay, MaxPool, Operation, Reshape
from leanspike.ir.program import Program
from leanspike.ir.ranges import Ranges
from leanspike.ir.violation import Violation


def delays(program: Program) -> tuple[Delay, ...]:
    """Every delay, in order."""
    return tuple(op for op in program.operations if isinstance(op, Delay))


def broken(program: Program) -> Iterator[Violation]:
    """Delays whose state is another, or that delay a later delay; names and shapes are sound."""
    seen = set[str]()
    laters = {op.result.name for op in delays(program)}
    for op in delays(program):
        where, state = op.result.name, program.state[op.state]
        if state.type != op.result.type or state.shape != op.result.shape:
            yield Violation(where, f"its state is {state.type}{list(state.shape)}", "the type and shape of its value")
        if state.codec is not None:
            yield Violation(where, "its state has a codec", "a delay keeps its value as it is")
        if root(program, op.of) in laters - seen:
            yield Violation(where, f"delays {op.of}, which a later delay gives", "put that delay first")
        seen.add(where)


def too_narrow(program: Program, found: Ranges) -> Iterator[Violation]:
    """Delays of a type that does not hold what they delay."""
    for op in delays(program):
        value, kind = found.values[op.of], op.result.type
        if not kind.holds(value.lowest, value.highest):
            what = f"delays {value.lowest} to {value.highest}, which {kind} does not hold"
            yield Violation(op.result.name, what, f"declare {value.bits} bits with sign")


def root(program: Program, name: str) -> str:
    """The value whose elements a chain of reshapes shows."""
    shown = {op.result.name: op.source for op in program.operations if isinstance(op, Reshape)}
    while name in shown:
        name = shown[name]
    return name


def groups(program: Program) -> list[tuple[Operation, ...]]:
    """The operations in order: those of one loop together, every other one alone."""
    place = {op.result.name: i for i, op in enumerate(program.operations)}
    ends = {i: i for i in range(len(program.operations))}
    for op in delays(program):
        ends[place[op.result.name]] = max(place[op.result.name], place.get(op.of, -1))
    found, start = [], 0
    while start < len(program.operations):
        at, end = start, ends[start]
        while at < end:
            at += 1
            end = max(end, ends[at])
        found.append(program.operations[start : end + 1])
        start = end + 1
    return found


def fires(program: Program, name: str, *, input_too: bool = True) -> bool:
    """Whether a value holds spikes as neurons gave them: a target may keep it as bits wherever it comes from.

    Args:
        input_too: an input of spikes counts as such.
    """
    given, seen = {op.result.name: op for op in program.operations}, set[str]()
    while name not in seen:
        seen.add(name)
        op = given.get(name)
        if op is None:
            return input_too and program.input.result.type == SPIKE
        if not isinstance(op, MaxPool | Reshape | Delay):
            return isinstance(op, LIF)
        name = op.of if isinstance(op, Delay) else op.source
    return False
