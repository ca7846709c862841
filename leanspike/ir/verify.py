"""The rules of a program, each with its remedy; all violations are found at once.

Structure is checked first (names, order, shapes, parameter arrays, limits); where it is sound, the intervals of
:mod:`leanspike.ir.ranges` prove that no value leaves its type and no sum leaves 32 bits.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from leanspike.core.errors import ProgramError
from leanspike.ir import delays, neuron_rules
from leanspike.ir.encodings import Delta, Direct, Latency, Rate, Sequence
from leanspike.ir.inttype import MOST_BITS, SPIKE, Ints
from leanspike.ir.ops import (
    LIF,
    MOST_AXES,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Operation,
    Shape,
    arrays,
    reads,
    sources,
    states,
)
from leanspike.ir.program import READOUTS, Program
from leanspike.ir.ranges import Range, ranges
from leanspike.ir.shapes import result_shape
from leanspike.ir.sparse import MOST_WEIGHT_BITS
from leanspike.ir.violation import Violation

NAME = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_.]{0,63}")
TITLE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
MOST_STEPS = 65_535
MOST_ELEMENTS = 1 << 22
MOST_TOGETHER = 1 << 25
MOST_CHANNELS = 1 << 18
MOST_CONSTANTS = 1 << 28
MOST_OPERATIONS = 4_096
MOST_STATES = 2 * MOST_OPERATIONS
MOST_MARGIN = (1 << 31) - 1
_SHOWN = 20


def verify(program: Program) -> Program:
    """The program, if it is sound.

    Raises:
        ProgramError: with every violation and its remedy; of very many, the first, and how many there are.
    """
    found = violations(program)
    if found:
        told = [str(violation)[:400] for violation in found[:_SHOWN]]
        told += [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        raise ProgramError("; ".join(told), where=f"program {program.name[:100]}")
    return program


def violations(program: Program) -> list[Violation]:
    """Every broken rule; those of shapes only where names and sizes are sound, those of widths where shapes are.

    Time and memory are bounded by the program's text and arrays, whatever it declares.
    """
    structure = [*_limits(program), *_names(program)]
    if not structure:
        structure = [
            *_together(program),
            *_input(program),
            *_forms(program),
            *_shapes(program),
            *neuron_rules.broken(program),
            *delays.broken(program),
            *_readout(program),
        ]
    return structure or list(_widths(program))


def _limits(program: Program) -> Iterator[Violation]:
    if not 1 <= program.steps <= MOST_STEPS:
        yield Violation("steps", f"{program.steps} is no number of steps", f"take 1 to {MOST_STEPS}")
    if not 1 <= len(program.operations) <= MOST_OPERATIONS:
        yield Violation("operations", f"there are {len(program.operations)}", f"take 1 to {MOST_OPERATIONS}")
    shaped: list[tuple[str, Shape]] = [(value.name, value.shape) for value in program.values.values()]
    shaped += [(state.name, state.shape) for state in program.states] + [("raw", program.input.raw.shape)]
    for name, shape in shaped:
        if not 1 <= len(shape) <= MOST_AXES or min(shape) < 1 or math.prod(shape) > MOST_ELEMENTS:
            remedy = f"1 to {MOST_AXES} axes, each from 1 up, {MOST_ELEMENTS} elements at most"
            yield Violation(name, f"shape {list(shape[: MOST_AXES + 1])}", remedy)
    if len(program.states) > MOST_STATES:
        yield Violation("states", f"there are {len(program.states)}", f"take {MOST_STATES} at most")
    for name, array in program.arrays.items():
        if array.values.ndim == 0 or array.values.size == 0:
            yield Violation(name, f"array of shape {list(array.values.shape)}", "give it at least one element")


def _together(program: Program) -> Iterator[Violation]:
    """Sums over the whole program, which bound the work of the analysis."""
    neurons = [op for op in program.operations if isinstance(op, LIF | Integrate)]
    constants = sum(program.arrays[name].values.size for op in program.operations for name in arrays(op))
    for what, found, most in (
        ("elements of all values", sum(math.prod(value.shape) for value in program.values.values()), MOST_TOGETHER),
        ("channels of all neurons", sum(op.result.shape[-1] for op in neurons), MOST_CHANNELS),
        ("constants that operations read", constants, MOST_CONSTANTS),
    ):
        if found > most:
            yield Violation("operations", f"{found} {what}", f"{most} at most: take a smaller network")


def _names(program: Program) -> Iterator[Violation]:
    if not TITLE.fullmatch(program.name):
        yield Violation("name", f"{program.name[:40]!r}", "one word of letters, digits and _.+-, 100 at most")
    known = {state.name for state in program.states}
    every = [program.input.result.name, *(op.result.name for op in program.operations), *program.arrays]
    every += [state.name for state in program.states]
    for name in sorted({name for name in every if not NAME.fullmatch(name)}):
        yield Violation(name[:40], "is no name", "letters, digits, _ and ., 64 at most, no digit and no __ first")
    for name in sorted(_twice(every)):
        yield Violation(name, "is defined more than once", "give every value, state and array its own name")
    ready, written = {program.input.result.name}, set[str]()
    for op in program.operations:
        for name in sources(op):
            if name not in ready:
                yield Violation(op.result.name, f"reads {name}, which nothing before it gives", "reorder or rename")
        for name in states(op):
            if name not in known or name in written:
                yield Violation(op.result.name, f"uses state {name}", "declare it, one for each layer of neurons")
            written.add(name)
        if isinstance(op, Delay) and op.of not in program.values:
            yield Violation(op.result.name, f"delays {op.of}, which nothing gives", "name a value")
        for name in arrays(op):
            if name not in program.arrays:
                yield Violation(op.result.name, f"reads array {name}, which is missing", "add the array")
        ready.add(op.result.name)
    table = getattr(program.input.encoding, "table", None)
    if table is not None and table not in program.arrays:
        yield Violation("input", f"reads array {table}, which is missing", "add the table")
    if program.readout.source not in ready:
        yield Violation("readout", f"reads {program.readout.source}, which no operation gives", "name a value")
    for name in sorted(known - written):
        yield Violation(name, "is a state that no operation uses", "remove it")
    used = {name for op in program.operations for name in arrays(op)} | {table}
    for name in sorted(set(program.arrays) - used):
        yield Violation(name, "is an array that nothing reads", "remove it")


def _forms(program: Program) -> Iterator[Violation]:
    weights = {op.weight for op in program.operations if isinstance(op, Dense | Conv2d)}
    for name, array in program.arrays.items():
        if array.form == "sparse" and (name not in weights or array.type.bits > MOST_WEIGHT_BITS):
            what = f"{array.type} {'of a synapse' if name in weights else 'of no synapse'} is stored sparse"
            yield Violation(name, what, f"only weights of {MOST_WEIGHT_BITS} bits or fewer are; store it dense")


def _twice(names: list[str]) -> set[str]:
    seen, twice = set[str](), set[str]()
    for name in names:
        (twice if name in seen else seen).add(name)
    return twice


def _input(program: Program) -> Iterator[Violation]:
    raw, result, encoding = program.input.raw, program.input.result, program.input.encoding
    kind, shape = SPIKE, raw.shape
    if isinstance(encoding, Direct):
        kind = raw.type
    elif isinstance(encoding, Sequence):
        kind, shape = raw.type, raw.shape[1:]
        if raw.shape[0] != program.steps:
            yield Violation("input", f"a sequence of {raw.shape[0]} steps", f"the program has {program.steps}")
    elif isinstance(encoding, Delta):
        shape = (2 * raw.shape[0],)
        if len(raw.shape) != 2 or raw.shape[-1] != program.steps:
            yield Violation("input", f"delta of {list(raw.shape)}", f"a series [channels, {program.steps}]")
        if encoding.threshold < 1 or not raw.type.lowest <= encoding.start <= raw.type.highest:
            yield Violation("input", "delta threshold or start out of range", "1 or more; within the raw type")
        if encoding.threshold > raw.type.highest:
            yield Violation("input", "a delta threshold that no change reaches", "make it smaller than the raw range")
    if isinstance(encoding, Rate | Latency):
        table = program.arrays[encoding.table].values
        if raw.type.signed or table.shape != (raw.type.highest + 1,) or int(table.min()) < 0:
            what = f"a table of shape {list(table.shape)}"
            yield Violation("input", what, "one entry >= 0 a level of the unsigned raw")
    if isinstance(encoding, Rate):
        if int(table.max()) > 65_535:
            yield Violation("input", f"rate threshold {table.max()}", "16-bit thresholds, 0 to 65535")
        if not 0 <= encoding.seed < 1 << 32:
            yield Violation("input", f"seed {encoding.seed}", "0 to 4294967295")
    if result.type != kind or result.shape != shape:
        wanted = f"{kind}{list(shape)}"
        yield Violation("input", f"gives {result.type}{list(result.shape)}, the encoding {wanted}", f"declare {wanted}")
    if not 1 <= program.input.levels <= raw.type.highest:
        yield Violation("input", f"levels {program.input.levels}", f"1 to {raw.type.highest}, the raw type's highest")


def _shapes(program: Program) -> Iterator[Violation]:
    values = program.values
    for op in program.operations:
        try:
            shape = result_shape(op, program, [values[name].shape for name in sources(op)])
        except ValueError as error:
            yield Violation(op.result.name, str(error), "mend the shapes")
            continue
        before = values[reads(op)[0]].shape
        if shape != op.result.shape or (math.prod(shape) != math.prod(before) and op.keyword == "reshape"):
            what = f"declares {list(op.result.shape)} of {list(before)}"
            yield Violation(op.result.name, what, f"{op.keyword} gives {list(shape)}")


def _readout(program: Program) -> Iterator[Violation]:
    kind, exit_ = program.readout.kind, program.readout.exit
    source = program.values[program.readout.source]
    giver = next((op for op in program.operations if op.result.name == source.name), None)
    if kind not in READOUTS:
        yield Violation("readout", f"{kind!r}", f"one of {', '.join(READOUTS)}")
    wanted = Integrate if kind.startswith("membrane") else LIF
    if not isinstance(giver, wanted):
        yield Violation("readout", f"{kind} of {source.name}", f"reads the scores of {wanted.__name__} neurons")
    if exit_ is not None and not (1 <= exit_.margin <= MOST_MARGIN and 1 <= exit_.earliest <= program.steps):
        remedy = f"a margin of 1 to {MOST_MARGIN}, earliest step 1 to {program.steps}"
        yield Violation("readout", f"early exit by {exit_.margin} from step {exit_.earliest}", remedy)


def _widths(program: Program) -> Iterator[Violation]:
    found = ranges(program)
    yield from delays.too_narrow(program, found)
    for op in program.operations:
        if isinstance(op, LIF) and op.reset_by is not None:
            kind = program.state[op.state].type
            least = _least_difference(program.array(op.threshold), program.array(op.reset_by))
            if least < kind.lowest:
                yield Violation(op.result.name, f"a reset leaves {least}, which {kind} does not hold", "a wider state")
        yield from _width(op, found.values[op.result.name], found.partials.get(op.result.name))
        name = op.result.name
        for what, range_ in (
            ("leak(v) + I + b", found.sums.get(name)),
            ("v m", found.products.get(name)),
            ("a n, or what it decays to and a jump,", found.adaptations.get(name)),
            ("theta + (a >> adapt_fraction)", found.thresholds.get(name)),
        ):
            if range_ is not None and range_.bits > MOST_BITS:
                remedy = "fewer bits in state, multiplier or weights"
                yield Violation(name, f"{what} takes {range_.bits} bits, {MOST_BITS} are there", remedy)
    if program.readout.kind == "membrane_mean":
        total = found.values[program.readout.source].magnitude * program.steps
        if total.bit_length() >= MOST_BITS:
            yield Violation("readout", f"the sum of {program.steps} potentials exceeds 32 bits", "a narrower state")


def _least_difference(a: Ints, b: Ints) -> int:
    """The minimum of ``a - b``, without the rows and columns that only broadcasting would make."""
    for axis in (0, 1):
        if 1 in (a.shape[axis], b.shape[axis]):
            a, b = a.min(axis, keepdims=True), b.max(axis, keepdims=True)
    return int((a - b).min())


def _width(op: Operation, value: Range, partial: Range | None) -> Iterator[Violation]:
    kind = op.result.type
    if not isinstance(op, LIF | Integrate) and not kind.holds(value.lowest, value.highest):
        what = f"gives {value.lowest} to {value.highest}, which {kind} does not hold"
        remedy = (
            f"declare {value.bits} bits with sign" if value.bits <= MOST_BITS else "fewer bits in weights or inputs"
        )
        yield Violation(op.result.name, what, remedy)
    if partial is not None and partial.bits > MOST_BITS:
        kind_of = "inputs" if isinstance(op, Dense) else "taps"
        yield Violation(op.result.name, f"a sum over some {kind_of} takes {partial.bits} bits", "fewer bits in weights")
