"""The rules of neurons: their states, parameter arrays, leaks, thresholds, resets, holds and codecs."""

from __future__ import annotations

from collections.abc import Iterator

from leanspike.ir.inttype import MOST_BITS, SPIKE, IntType
from leanspike.ir.ops import LIF, Integrate, parameters
from leanspike.ir.program import Codec, Program
from leanspike.ir.violation import Violation

MOST_SHIFT = 30
MOST_MULTIPLIER = 65_535
CODES = IntType(8, True)
MOST_ADAPTATION_BITS = 31


def broken(program: Program) -> Iterator[Violation]:
    """Every broken rule of every operation with a potential, of a program whose names are sound."""
    for op in program.operations:
        if isinstance(op, LIF | Integrate):
            yield from _neuron(op, program)


def _neuron(op: LIF | Integrate, program: Program) -> Iterator[Violation]:
    where, channels, kind = op.result.name, op.result.shape[-1], program.state[op.state].type
    if program.state[op.state].shape != op.result.shape:
        yield Violation(where, f"its state has shape {list(program.state[op.state].shape)}", "the value's own shape")
    if not kind.signed:
        yield Violation(where, f"its potential is {kind}", "potentials are signed")
    wanted = SPIKE if isinstance(op, LIF) else kind
    if op.result.type != wanted:
        yield Violation(where, f"declares {op.result.type}", f"it gives {wanted}")
    for name in parameters(op):
        rows = program.arrays[name].values.shape
        if len(rows) != 2 or rows[0] not in (1, program.steps) or rows[1] not in (1, channels):
            remedy = f"[1 or {program.steps}, 1 or {channels}]"
            yield Violation(where, f"array {name} has shape {list(rows)}", remedy)
    multiplier = program.arrays[op.leak].values
    if not 0 <= op.shift <= MOST_SHIFT or int(multiplier.min()) < 0 or int(multiplier.max()) > MOST_MULTIPLIER:
        remedy = f"shift 0 to {MOST_SHIFT}, multipliers 0 to {MOST_MULTIPLIER}"
        yield Violation(where, f"leak by {multiplier.min()} to {multiplier.max()} >> {op.shift}", remedy)
    codec = program.state[op.state].codec
    if codec is not None:
        yield from _codec(op.state, kind, codec)
    if isinstance(op, LIF):
        yield from _firing(op, program)


def _codec(where: str, kind: IntType, codec: Codec) -> Iterator[Violation]:
    told = f"codes {codec.lowest} to {codec.highest}"
    if not (CODES.lowest <= codec.lowest <= 0 <= codec.highest <= CODES.highest) or codec.levels < 2:
        yield Violation(where, told, f"two codes or more between {CODES.lowest} and {CODES.highest}, one of them 0")
    if not 0 <= codec.shift <= MOST_SHIFT:
        yield Violation(where, f"a codec of shift {codec.shift}", f"0 to {MOST_SHIFT}")
    elif not kind.holds(codec.lowest << codec.shift, codec.highest << codec.shift):
        yield Violation(where, f"{told} << {codec.shift}, which {kind} does not hold", "a wider state, or fewer codes")
    elif kind.highest + ((1 << codec.shift) >> 1) >= 1 << (MOST_BITS - 1):
        yield Violation(where, f"rounding {kind} by {codec.shift} leaves 32 bits", "a narrower state")


def _firing(op: LIF, program: Program) -> Iterator[Violation]:
    where, threshold = op.result.name, program.arrays[op.threshold].values
    if int(threshold.min()) < 1 or int(threshold.max()) > program.state[op.state].type.highest:
        what = f"thresholds {threshold.min()} to {threshold.max()}"
        yield Violation(where, what, f"1 to {program.state[op.state].type.highest}, what v can reach")
    if op.reset not in ("subtract", "zero"):
        yield Violation(where, f"reset {op.reset!r}", "subtract or zero")
    if op.reset_by is not None:
        amount = program.arrays[op.reset_by].values
        if op.reset != "subtract" or int(amount.min()) < 0:
            what = f"a reset {op.reset} by {amount.min()} to {amount.max()}"
            yield Violation(where, what, "reset_by goes with reset=subtract, 0 or more")
    yield from _adapting(op, program)
    if (op.refractory > 0) != (op.hold is not None) or op.refractory < 0:
        yield Violation(where, "a refractory period and its counter go together", "give both or neither")
    elif op.hold is not None:
        hold = program.state[op.hold]
        if hold.codec is not None:
            yield Violation(op.hold, "is a counter with a codec", "only potentials have one")
        if hold.shape != op.result.shape or hold.type.signed or hold.type.highest < op.refractory:
            what = f"counter {hold.type}{list(hold.shape)}"
            yield Violation(where, what, f"unsigned, up to {op.refractory}, same shape")


def _adapting(op: LIF, program: Program) -> Iterator[Violation]:
    where = op.result.name
    if op.adapt is None or op.adapt_leak is None or op.adapt_jump is None:
        if op.adapt or op.adapt_leak or op.adapt_jump or op.adapt_shift or op.adapt_fraction:
            what = "an adaptation, its leak and its jump go together"
            yield Violation(where, what, "give adapt, adapt_leak and adapt_jump, or no setting of adapt at all")
        return
    state, multiplier, jump = program.state[op.adapt], program.array(op.adapt_leak), program.array(op.adapt_jump)
    if state.codec is not None:
        yield Violation(op.adapt, "is an adaptation with a codec", "only potentials have one")
    if state.shape != op.result.shape or state.type.signed or state.type.bits > MOST_ADAPTATION_BITS:
        what = f"adaptation {state.type}{list(state.shape)}"
        yield Violation(where, what, f"unsigned, {MOST_ADAPTATION_BITS} bits at most, same shape")
    if not 0 <= op.adapt_shift <= MOST_SHIFT or abs(op.adapt_fraction) > MOST_SHIFT:
        what = f"adapt_shift {op.adapt_shift}, adapt_fraction {op.adapt_fraction}"
        yield Violation(where, what, f"0 to {MOST_SHIFT}; -{MOST_SHIFT} to {MOST_SHIFT}")
    if int(multiplier.min()) < 0 or int(multiplier.max()) > MOST_MULTIPLIER or int(jump.min()) < 0:
        what = f"adaptation decays by {multiplier.min()} to {multiplier.max()} and jumps by {jump.min()} or more"
        yield Violation(where, what, f"multipliers 0 to {MOST_MULTIPLIER}, jumps 0 or more")
