"""A program as text, one line an operation, and back: what a person reads and a golden test compares.

    leanspike program 1
    name digits
    steps 5
    raw u5[64] levels=16
    x: u5[64] = direct
    i1: i18[32] = dense x weight=w1
    state v1 i19[32]
    s1: u1[32] = lif i1 state=v1 leak=m1 shift=8 threshold=t1 bias=b1
    readout count s1
    array w1 i8[64x32]

A state stands before the operation that uses it, with ``lowest=-1 highest=1 shift=4`` behind it where it has a codec;
arrays at the end, with ``form=sparse`` where they are; their values are not in the text. A setting that has its default
is left out. The version is the oldest that has all that the program uses: 2 has codecs and sparse arrays, 3 thresholds
that adapt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

import numpy.typing as npt

from leanspike.core.errors import ProgramError
from leanspike.ir.encodings import ENCODINGS
from leanspike.ir.inttype import IntType
from leanspike.ir.ops import MOST_AXES, OPERATIONS, Operation, Shape, Value, sources, states
from leanspike.ir.program import FORMS, Array, Codec, Exit, Form, Input, Program, Readout, State

VERSIONS = (1, 2, 3)
MOST_CHARACTERS = 1 << 20
_SOURCES = ("source", "left", "right")
_TYPED = re.compile(rf"([iu][0-9]{{1,2}})\[([0-9]{{1,9}}(?:x[0-9]{{1,9}}){{0,{MOST_AXES - 1}}})\]")


def version(program: Program) -> int:
    """The oldest version of the text that has all that this program uses."""
    if any(op.adapt is not None for op in program.spiking):
        return 3
    sparse = any(array.form != "dense" for array in program.arrays.values())
    return 2 if sparse or any(state.codec for state in program.states) else 1


def render(program: Program) -> str:
    """The program as text; equal programs give equal text."""
    raw, start = program.input.raw, program.input.result
    lines = [f"leanspike program {version(program)}", f"name {program.name}", f"steps {program.steps}"]
    lines.append(f"raw {_typed(raw.type, raw.shape)} levels={program.input.levels}")
    encoding = " ".join([program.input.encoding.keyword, *_settings(program.input.encoding, ())])
    lines.append(f"{start.name}: {_typed(start.type, start.shape)} = {encoding}")
    for op in program.operations:
        for name in states(op):
            state = program.state[name]
            codec = _settings(state.codec, ()) if state.codec else ()
            lines.append(" ".join([f"state {name} {_typed(state.type, state.shape)}", *codec]))
        words = [op.keyword, *sources(op), *_settings(op, ("result", *_SOURCES))]
        lines.append(f"{op.result.name}: {_typed(op.result.type, op.result.shape)} = {' '.join(words)}")
    readout = program.readout
    exit_ = f" margin={readout.exit.margin} earliest={readout.exit.earliest}" if readout.exit else ""
    lines.append(f"readout {readout.kind} {readout.source}{exit_}")
    for name in sorted(program.arrays):
        array = program.arrays[name]
        form = _settings(_Formed(array.form), ())
        lines.append(" ".join([f"array {name} {_typed(array.type, array.values.shape)}", *form]))
    return "\n".join(lines) + "\n"


def _typed(kind: IntType, shape: Shape) -> str:
    return f"{kind}[{'x'.join(map(str, shape))}]"


def _settings(record: Any, without: tuple[str, ...]) -> list[str]:
    named = [(field, getattr(record, field.name)) for field in fields(record) if field.name not in without]
    return [f"{field.name}={value}" for field, value in named if field.default is MISSING or value != field.default]


@dataclass(frozen=True)
class _Formed:
    form: str = "dense"


@dataclass(frozen=True)
class Declared:
    """An array without its values."""

    type: IntType
    shape: Shape
    form: Form = "dense"

    def filled(self, values: npt.NDArray[Any]) -> Array:
        """The array of these values.

        Raises:
            ValueError: values of another type.
        """
        return Array(self.type, values, self.form)


def declared(text: str) -> dict[str, Declared]:
    """The arrays that a program's text declares.

    Raises:
        ProgramError: see :func:`parse`.
    """
    reader = _Reader()
    for number, line in enumerate(_lines(text), 1):
        if line.startswith("array "):
            with _At(number):
                reader.read(line)
    return reader.arrays


def parse(text: str, arrays: Mapping[str, Array]) -> Program:
    """The inverse of :func:`render`; the result is not verified.

    Raises:
        ProgramError: a line that is none; an array that is missing or of another type or shape.
    """
    reader = _Reader()
    for number, line in enumerate(_lines(text)[1:], 2):
        with _At(number):
            reader.read(line)
    program = reader.program(arrays)
    for name, wanted in reader.arrays.items():
        array = arrays.get(name)
        if array is None or Declared(array.type, array.values.shape, array.form) != wanted:
            told = f"{wanted.form} {_typed(wanted.type, wanted.shape)}".removeprefix("dense ")
            raise ProgramError(f"array {name} is missing or not {told}", where="program text")
    for name in sorted(arrays.keys() - reader.arrays.keys()):
        raise ProgramError(f"has no line for the array {name}", where="program text")
    return program


def _lines(text: str) -> list[str]:
    if len(text) > MOST_CHARACTERS:
        raise ProgramError(f"has {len(text)} characters, more than any program", where="program text")
    lines = text.removesuffix("\n").split("\n")
    if lines[0] not in [f"leanspike program {version}" for version in VERSIONS]:
        remedy = f"this leanspike reads 'leanspike program {VERSIONS[-1]}' and older"
        raise ProgramError(f"starts with {lines[0][:60]!r}", where="program text", remedy=remedy)
    return lines


class _At:
    """Turns what a malformed line raises into an error that names the line."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ValueError):
            raise ProgramError(str(error)[:200], where=f"program text, line {self.number}") from error


@dataclass(frozen=True)
class _Levels:
    levels: int


class _Reader:
    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.states: list[State] = []
        self.operations: list[Operation] = []
        self.arrays: dict[str, Declared] = {}

    def read(self, line: str) -> None:
        first, _, rest = line.partition(" ")
        if first.endswith(":"):
            self._value(first[:-1], rest)
        elif first == "state":
            (name, typed), keyed = _words(rest, 2, "NAME TYPE[SHAPE], or with lowest=N highest=N shift=N")
            kind, shape = _parse_typed(typed)
            self.states.append(State(name, shape, kind, Codec(**_settled(Codec, keyed)) if keyed else None))
        elif first == "array":
            (name, typed), keyed = _words(rest, 2, "NAME TYPE[SHAPE], or with form=sparse")
            if name in self.arrays:
                raise ValueError(f"a second array {name[:40]}")
            form = _Formed(**_settled(_Formed, keyed)).form
            if form not in FORMS:
                raise ValueError(f"{form[:20]!r} is no form; there are {', '.join(FORMS)}")
            self.arrays[name] = Declared(*_parse_typed(typed), form)  # type: ignore[arg-type]
        elif first == "raw":
            (typed,), keyed = _words(rest, 1, "TYPE[SHAPE] levels=N")
            kind, shape = _parse_typed(typed)
            self._once("raw", (Value("raw", shape, kind), _Levels(**_settled(_Levels, keyed)).levels))
        elif first == "readout":
            (kind_, source), keyed = _words(rest, 2, "KIND VALUE, or with margin=N earliest=N")
            exit_ = Exit(**_settled(Exit, keyed)) if keyed else None
            self._once("readout", Readout(kind_, source, exit_))  # type: ignore[arg-type]
        elif first in ("name", "steps"):
            self._once(first, rest if first == "name" else _integer(rest))
        else:
            raise ValueError(f"{line[:60]!r} is no line of a program")

    def _value(self, name: str, rest: str) -> None:
        typed, _, operation = rest.partition(" = ")
        kind, shape = _parse_typed(typed)
        value = Value(name, shape, kind)
        keyword, _, more = operation.partition(" ")
        if keyword in ENCODINGS:
            _, keyed = _words(more, 0, "an encoding with its settings")
            encoding = ENCODINGS[keyword]
            self._once("input", (value, encoding(**_settled(encoding, keyed))))
        elif keyword in OPERATIONS:
            chosen: type[Any] = OPERATIONS[keyword]
            read = [field.name for field in fields(chosen) if field.name in _SOURCES]
            plain, keyed = _words(more, len(read), f"{keyword} of {' and '.join(read)} with its settings")
            self.operations.append(chosen(value, *plain, **_settled(chosen, keyed)))
        else:
            raise ValueError(f"{keyword[:40]!r} is no operation; there are {', '.join((*ENCODINGS, *OPERATIONS))}")

    def _once(self, key: str, value: Any) -> None:
        if key in self.head:
            raise ValueError(f"a second {key}")
        self.head[key] = value

    def program(self, arrays: Mapping[str, Array]) -> Program:
        missing = {"name", "steps", "raw", "input", "readout"} - self.head.keys()
        if missing:
            raise ProgramError(f"has no line for {', '.join(sorted(missing))}", where="program text")
        head = self.head
        (value, encoding), (raw, levels) = head["input"], head["raw"]
        start = Input(value, raw, levels, encoding)
        steps, operations = head["steps"], tuple(self.operations)
        return Program(head["name"], steps, start, tuple(self.states), operations, head["readout"], dict(arrays))


def _parse_typed(text: str) -> tuple[IntType, Shape]:
    found = _TYPED.fullmatch(text)
    if not found:
        raise ValueError(f"{text[:60]!r} is no type and shape such as i8[784x400]")
    return IntType.parse(found[1]), tuple(map(int, found[2].split("x")))


def _words(text: str, count: int, form: str) -> tuple[list[str], dict[str, str]]:
    """``count`` plain words, and the settings ``a=b`` behind them."""
    words = text.split(" ") if text else []
    plain, keyed = words[:count], dict[str, str]()
    if len(plain) < count or any("=" in word for word in plain):
        raise ValueError(f"{text[:60]!r} is not {form}")
    for word in words[count:]:
        key, equals, value = word.partition("=")
        if not equals or key in keyed:
            raise ValueError(f"{word[:40]!r} is no setting, or a second one; the line's form is {form}")
        keyed[key] = value
    return plain, keyed


def _integer(text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,10}", text):
        raise ValueError(f"{text[:20]!r} is no integer")
    return int(text)


def _settled(kind: type[Any], keyed: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a record of this kind: all that have no default, and none that it does not know."""
    known = {field.name: field for field in fields(kind) if field.name not in ("result", *_SOURCES)}
    unknown = [key for key in keyed if key not in known]
    missing = [name for name, field in known.items() if field.default is MISSING and name not in keyed]
    if unknown or missing:
        what = f"{unknown[0][:40]!r} is no setting" if unknown else f"no {', '.join(missing)}"
        raise ValueError(f"{what}; settings are {', '.join(known) or 'none'}")
    return {key: _integer(value) if known[key].type == "int" else value for key, value in keyed.items()}
