"""Where every value of a program lies in the RAM of a device, and how many bytes that takes.

spikes, encoded inputs    bits, 32 to a word: silent inputs are skipped a word at a time
numbers                   the narrowest of 8, 16 and 32 bits that holds every partial sum
values of one step        share memory with others that are not needed at the same time (a union)
delays                    in the place of their state, which is written at the end of the step
constant values           of a direct input: computed in the first step and kept
states, spikes            a place of their own, so that a caller can look at them after every step; few-bit states as
                          packed codes: code j of an array is digit j % n in base B of byte j / n, and a digit above
                          the highest code stands for itself less B
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from leanspike.ir import ranges
from leanspike.ir.delays import fires
from leanspike.ir.encodings import Delta, Direct, Sequence
from leanspike.ir.inttype import IntType
from leanspike.ir.ops import LIF, Delay, Integrate, MaxPool, Operation, Reshape, reads, sources, states
from leanspike.ir.program import Codec, Program
from leanspike.ir.ranges import Ranges
from leanspike.targets.c import names

INPUT = "input"
BIT = "neuron j is bit j % 32 of word j / 32"
_Operations = tuple[Operation, ...]
WIDTHS = {"bool": 1, "int8_t": 1, "uint8_t": 1, "int16_t": 2, "uint16_t": 2, "int32_t": 4, "uint32_t": 4, "uint64_t": 8}


@dataclass(frozen=True)
class Member:
    """An array, or a single number if ``count`` is None, in the struct of a program's state."""

    name: str
    ctype: str
    count: int | None
    meaning: str

    @property
    def alignment(self) -> int:
        """In bytes."""
        return WIDTHS[self.ctype]

    @property
    def size(self) -> int:
        """In bytes."""
        return WIDTHS[self.ctype] * (1 if self.count is None else self.count)


@dataclass
class Shared:
    """A union: values that are never needed at the same time; ``spans`` are their lives in operations."""

    name: str
    members: list[Member] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)

    @property
    def alignment(self) -> int:
        """In bytes."""
        return max(member.alignment for member in self.members)

    @property
    def size(self) -> int:
        """In bytes, with the filling up to its alignment."""
        return _up(max(member.size for member in self.members), self.alignment)

    def free(self, span: tuple[int, int]) -> bool:
        """Whether nothing in it is needed during ``span``."""
        return all(span[1] < start or end < span[0] for start, end in self.spans)


@dataclass(frozen=True)
class Place:
    """A value in C: an expression, the type of an element, and whether elements are bits of 32-bit words."""

    expression: str
    ctype: str
    bits: bool
    count: int

    @property
    def words(self) -> int:
        """Elements of the C array."""
        return -(-self.count // 32) if self.bits else self.count


@dataclass(frozen=True)
class Layout:
    """A program laid out in memory.

    Attributes:
        prefix: the start of every identifier, and the name of the files.
        names: ending of identifiers by name of a value, state or array.
        once: operations on constant values only, which the first step computes.
        every: the other operations.
        places: by name of a value.
        members: of the state's struct, in order.
        ram_bytes: size of the struct where every type is aligned to its own size.
    """

    program: Program
    ranges: Ranges
    prefix: str
    names: dict[str, str]
    once: tuple[Operation, ...]
    every: tuple[Operation, ...]
    places: dict[str, Place]
    members: tuple[Member | Shared, ...]
    ram_bytes: int

    @property
    def raw_ctype(self) -> str:
        """Type of the numbers of a raw sample."""
        return ctype(self.program.input.raw.type)


def ctype(kind: IntType) -> str:
    """The narrowest type of <stdint.h> that holds an integer type."""
    return f"{kind.dtype}_t"


def base(codec: Codec) -> int:
    """How many values a code has in its byte: 3 where five share one, else a power of 2."""
    return 3 if codec.per_byte == 5 else 1 << 8 // codec.per_byte


def counter(highest: int) -> str:
    """The type of a number that may grow to ``highest``."""
    return "uint32_t" if highest < 1 << 32 else "uint64_t"


def lay_out(program: Program) -> Layout:
    """Lay out a program that :func:`~leanspike.ir.verify.verify` accepts."""
    found = ranges(program)
    every = [program.input.result.name, *(op.result.name for op in program.operations), *program.arrays]
    endings = names.unique([*every, *(state.name for state in program.states)])
    constant = _constant(program)
    once = tuple(op for op in program.operations if op.result.name in constant)
    rest = tuple(op for op in program.operations if op.result.name not in constant)
    builder = _Builder(program, found, endings, once, rest)
    builder.build()
    # The widest types first: nothing has to be filled up between them.
    members = tuple(sorted(builder.members, key=lambda member: -member.alignment))
    prefix = names.prefix(program.name)
    return Layout(program, found, prefix, endings, once, rest, builder.places, members, _size(members))


def _constant(program: Program) -> set[str]:
    """Names of values that are the same in every step."""
    constant = {program.input.result.name} if isinstance(program.input.encoding, Direct) else set[str]()
    for op in program.operations:
        if not states(op) and constant.issuperset(sources(op)):
            constant.add(op.result.name)
    return constant


def _up(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _size(members: Iterable[Member | Shared]) -> int:
    size, widest = 0, 1
    for member in members:
        size, widest = _up(size, member.alignment) + member.size, max(widest, member.alignment)
    return _up(size, widest)


@dataclass(frozen=True)
class _Scratch:
    """A value that is needed for a while only: from one operation to another, counted from 1; 0 is the input."""

    name: str
    member: Member
    bits: bool
    count: int
    span: tuple[int, int]


class _Builder:
    """Gives every value its place, in the order in which values come to be."""

    def __init__(self, program: Program, found: Ranges, endings: dict[str, str], once: _Operations, rest: _Operations):
        self.program, self.ranges, self.endings = program, found, endings
        self.once, self.order = once, (*once, *rest)
        self.places: dict[str, Place] = {}
        self.members: list[Member | Shared] = []
        self.scratch: list[_Scratch] = []
        self.source_of = {op.result.name: op.source for op in self.order if isinstance(op, Reshape)}
        # What a delay keeps is needed until the end of the step, and so is what the readout reads.
        end = len(self.order) + 1
        self.last = {self._root(program.readout.source): end}
        for index, op in enumerate(self.order, 1):
            for name in map(self._root, reads(op)):
                self.last[name] = max(self.last.get(name, 0), end if isinstance(op, Delay) else index)

    def _root(self, name: str) -> str:
        while name in self.source_of:
            name = self.source_of[name]
        return name

    def build(self) -> None:
        self._input()
        for index, op in enumerate(self.order, 1):
            self._result(op, index)
        self._share()
        for name in self.source_of:
            self.places[name] = self.places[self._root(name)]
        self.members.append(Member("scores", "int32_t", self.program.classes, "of the steps so far"))
        self.members.append(Member("steps", "uint32_t", None, "steps since the reset"))
        self.members.append(Member("done", "bool", None, "the last step, or the exit, was reached"))

    def _input(self) -> None:
        start, raw = self.program.input.result, self.program.input.raw
        encoding, count = self.program.input.encoding, math.prod(start.shape)
        if isinstance(encoding, Direct | Sequence):
            self.places[start.name] = Place(INPUT, ctype(raw.type), False, count)
            return
        self._brief(start.name, "uint32_t", True, count, 0)
        if isinstance(encoding, Delta):
            self.members.append(Member("track", ctype(raw.type), raw.shape[0], "the series as its spikes tell it"))

    def _result(self, op: Operation, index: int) -> None:
        name, count = op.result.name, math.prod(op.result.shape)
        if isinstance(op, LIF):
            self._firing(op, count)
        elif isinstance(op, Integrate):
            place = self._state(op)
            if self.program.state[op.state].codec is None:
                self.places[name] = place
            else:
                self._brief(name, ctype(op.result.type), False, count, index)
        elif isinstance(op, Delay):
            self._delay(op, count)
        elif not isinstance(op, Reshape):
            bits = isinstance(op, MaxPool) and self._is_bits(op.source)
            kind = "uint32_t" if bits else self._width(op)
            if op in self.once and self.last.get(name, 0) > len(self.once):
                self.places[name] = self._own(f"kept_{self.endings[name]}", kind, count, f"{name}, from the first step")
            else:
                self._brief(name, kind, bits, count, index)

    def _is_bits(self, name: str) -> bool:
        root = self._root(name)
        return any(item.name == root and item.bits for item in self.scratch) or (
            root in self.places and self.places[root].bits
        )

    def _firing(self, op: LIF, count: int) -> None:
        name, ending = op.result.name, self.endings[op.result.name]
        self._state(op)
        if op.hold is not None:
            kind = ctype(self.program.state[op.hold].type)
            self._own(f"hold_{self.endings[op.hold]}", kind, count, f"{name}: steps that a neuron is still held")
        if op.adapt is not None:
            kind = ctype(self.program.state[op.adapt].type)
            self._own(f"state_{self.endings[op.adapt]}", kind, count, f"{name}: adaptation of the thresholds")
        self.places[name] = self._own(f"spikes_{ending}", "uint32_t", count, f"{name}: {BIT}", bits=True)
        self._own(f"count_{ending}", counter(count * self.program.steps), None, f"{name}: spikes since the reset")

    def _state(self, op: LIF | Integrate) -> Place:
        state, count = self.program.state[op.state], math.prod(op.result.shape)
        name = f"state_{self.endings[op.state]}"
        if state.codec is None:
            return self._own(name, ctype(state.type), count, f"{op.result.name}: potentials")
        packed = f"{op.result.name}: potentials / {1 << state.codec.shift}, {state.codec.per_byte} to a byte"
        return self._own(name, "uint8_t", state.stored_bytes, f"{packed}, in base {base(state.codec)}")

    def _delay(self, op: Delay, count: int) -> None:
        bits = fires(self.program, op.of, input_too=not isinstance(self.program.input.encoding, Direct | Sequence))
        kind, meaning = "uint32_t" if bits else ctype(op.result.type), f"{op.of} of the step before"
        name = f"state_{self.endings[op.state]}"
        self.places[op.result.name] = self._own(name, kind, count, f"{meaning}: {BIT}" if bits else meaning, bits=bits)

    def _width(self, op: Operation) -> str:
        if op.result.name not in self.ranges.partials:
            return ctype(op.result.type)
        partial, value = self.ranges.partials[op.result.name], self.ranges.values[op.result.name]
        lowest, highest = min(partial.lowest, value.lowest), max(partial.highest, value.highest)
        return ctype(IntType.holding(lowest, highest, signed=True))

    def _own(self, name: str, kind: str, count: int | None, meaning: str, *, bits: bool = False) -> Place:
        place = Place(f"s->{name}", kind, bits, count or 1)
        self.members.append(Member(name, kind, place.words if count else None, meaning))
        return place

    def _brief(self, name: str, kind: str, bits: bool, count: int, index: int) -> None:
        words = Place("", kind, bits, count).words
        member = Member(f"value_{self.endings[name]}", kind, words, f"{name}: {BIT}" if bits else name)
        self.scratch.append(_Scratch(name, member, bits, count, (index, max(index, self.last.get(name, 0)))))

    def _share(self) -> None:
        """Each brief value into the union that grows least, among those that are free while it is needed."""
        unions: list[Shared] = []
        for item in self.scratch:
            free = [union for union in unions if union.free(item.span)]
            growth = {id(union): max(0, item.member.size - union.size) for union in free}
            chosen = min(free, key=lambda union: (growth[id(union)], union.size), default=None)
            if chosen is None:
                chosen = Shared(f"shared_{len(unions)}")
                unions.append(chosen)
            chosen.members.append(item.member)
            chosen.spans.append(item.span)
        self.members += [union if len(union.members) > 1 else union.members[0] for union in unions]
        within = {member.name: f"s->{union.name}." for union in unions if union.members[1:] for member in union.members}
        for item in self.scratch:
            place = within.get(item.member.name, "s->") + item.member.name
            self.places[item.name] = Place(place, item.member.ctype, item.bits, item.count)
