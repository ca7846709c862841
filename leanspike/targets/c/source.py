"""The header and the source of a program as text."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from typing import Any

import jinja2

from leanspike.ir.encodings import Delta, Direct, Latency, Rate, Sequence
from leanspike.ir.ops import Conv2d, Dense, arrays
from leanspike.ir.text import render
from leanspike.targets.c.constants import Constant, constant, sparse_constants
from leanspike.targets.c.functions import functions, readout
from leanspike.targets.c.layout import INPUT, Layout, Member
from leanspike.targets.c.neurons import Function, is_uniform
from leanspike.targets.templates import environment

_SMALL = ("shift_down", "bit", "set_bit", "mix")


@dataclass(frozen=True)
class Named:
    """A constant array with its name in C and a comment."""

    name: str
    meaning: str
    array: Constant


def constants(layout: Layout) -> list[Named]:
    """Every array that is needed as one; a parameter that is the same everywhere stands in the code."""
    program, found = layout.program, []
    weights, others = dict[str, list[str]](), dict[str, list[str]]()
    for op in program.operations:
        for name in arrays(op):
            users = weights if isinstance(op, Dense | Conv2d) else others
            users.setdefault(name, []).append(f"{op.keyword} {op.result.name}")
    for name, of in weights.items():
        sparse = program.arrays[name].form == "sparse"
        found += _sparse(layout, name, of) if sparse else [_named(layout, "weights", name, of)]
    varied = {name: users for name, users in others.items() if not is_uniform(program.arrays[name])}
    found += [_named(layout, "array", name, users) for name, users in varied.items()]
    if isinstance(program.input.encoding, Rate | Latency):
        found.append(_named(layout, "array", program.input.encoding.table, ["the encoding"]))
    return found


def _named(layout: Layout, word: str, name: str, users: list[str]) -> Named:
    array = layout.program.arrays[name]
    told = constant(array, packed=word == "weights")
    lanes = f", {told.packing.lanes} to a byte" if told.packing.lanes > 1 else ""
    shape = "x".join(map(str, array.values.shape))
    meaning = f"{name}: {array.type}[{shape}]{lanes}, of {' and '.join(users)}"
    return Named(f"{word}_{layout.names[name]}", meaning, told)


def _sparse(layout: Layout, name: str, users: list[str]) -> list[Named]:
    array, ending = layout.program.arrays[name], layout.names[name]
    form, entries, starts = sparse_constants(array)
    told = f"{name}: {array.type}[{'x'.join(map(str, array.values.shape))}], sparse, of {' and '.join(users)}"
    how = f"(w + {-form.entry.lowest}) {1 << form.entry.gap_bits} + how many columns to skip before it"
    rows = f"{name}: where the entries of every row start"
    return [Named(f"weights_{ending}", f"{told}: {how}", entries), Named(f"rows_{ending}", rows, starts)]


def header(layout: Layout, const_bytes: int) -> str:
    """The text of the header."""
    return _environment().get_template("header.h.jinja").render(_facts(layout, const_bytes))


def render_template(name: str, layout: Layout, **more: Any) -> str:
    """A template of this package with the facts of a program."""
    return _environment().get_template(name).render({**_facts(layout, 0), **more})


def source(layout: Layout, constant_arrays: list[Named]) -> str:
    """The text of the source."""
    program, text = layout.program, render(layout.program).splitlines()
    lines = {line.split(":")[0]: line for line in text if ": " in line}
    once, every = functions(layout, lines)
    reading = readout(layout)
    environment = _environment()
    operations: Any = environment.get_template("operations.c.jinja").make_module(_facts(layout, 0))
    bodies = [getattr(operations, function.macro)(function) for function in (*once, *every, *reading)]
    adders = {function.helper for function in (*once, *every) if "helper" in function.facts}
    ordered = sorted(adders, key=lambda adder: str(adder[0]))
    helpers = [(operations.add_entries if adder[-1] else operations.add_row)(*adder[:-1]) for adder in ordered]
    sequence = isinstance(program.input.encoding, Sequence)
    advance = environment.get_template("source.c.jinja")
    frame = f"sample + (size_t)s->steps * {math.prod(program.input.raw.shape[1:])}u" if sequence else "sample"
    if isinstance(program.input.encoding, Delta):
        frame = "sample + s->steps"
    step = _calls(once, every, reading)
    small = [name for name in _SMALL if re.search(rf"\b{name}\(", "".join([*bodies, *step["every"]]))]
    told = [getattr(operations, name)() for name in small]
    facts = _facts(layout, sum(array.array.bytes for array in constant_arrays))
    more = {"text": text, "constants": constant_arrays, "frame": frame, "exit": len(reading) > 1, **step}
    return advance.render(facts, functions=[*told, *helpers, *bodies], **more)


def _calls(once: list[Function], every: list[Function], reading: list[Function]) -> dict[str, list[str]]:
    return {"once": [f.call for f in once], "every": [f.call for f in every] + [reading[0].call]}


def _facts(layout: Layout, const_bytes: int) -> dict[str, Any]:
    program = layout.program
    raw, encoding = program.input.raw, program.input.encoding
    sizes = {"sample_count": math.prod(raw.shape), "input_count": math.prod(raw.shape)}
    meaning = "the sample; its first synapses are computed in the first step and kept until the reset"
    if isinstance(encoding, Rate | Latency):
        meaning = "the sample, the same in every step"
    elif isinstance(encoding, Sequence):
        meaning, sizes["input_count"] = "the frame of this step", math.prod(raw.shape[1:])
    elif isinstance(encoding, Delta):
        meaning, sizes["input_count"] = "the value of every channel in this step", raw.shape[0]
    return {
        "name": program.name,
        "p": layout.prefix,
        "upper": layout.prefix.upper(),
        "steps": program.steps,
        "classes": program.classes,
        "raw_text": f"{raw.type}[{'x'.join(map(str, raw.shape))}]",
        "raw_ctype": layout.raw_ctype,
        "raw_lowest": raw.type.lowest,
        "raw_highest": raw.type.highest,
        "members": layout.members,
        "const_bytes": const_bytes,
        "ram_bytes": layout.ram_bytes,
        "rate": isinstance(encoding, Rate),
        "delta": isinstance(encoding, Delta),
        "start": encoding.start if isinstance(encoding, Delta) else 0,
        "input_name": "sample" if isinstance(encoding, Direct | Rate | Latency) else "frame",
        "input_meaning": meaning,
        "input": INPUT,
        **sizes,
    }


def _declare(member: Member) -> str:
    size = "" if member.count is None else f"[{member.count}]"
    return f"{member.ctype} {member.name}{size}; /* {member.meaning} */"


@functools.cache
def _environment() -> jinja2.Environment:
    found = environment("leanspike.targets.c")
    found.globals["declare"] = _declare
    return found
