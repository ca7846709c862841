"""What the templates need of every operation: places, sizes, parameters, and how the step calls its function."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from leanspike.core import rng
from leanspike.ir.delays import delays
from leanspike.ir.encodings import Delta, Latency, Rate
from leanspike.ir.ops import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Matmul,
    MaxPool,
    Operation,
    Reshape,
    Scale,
    SumPool,
    sources,
)
from leanspike.ir.program import Array
from leanspike.targets.c.constants import literal
from leanspike.targets.c.layout import INPUT, Layout, base, ctype
from leanspike.targets.c.weights import weights

_INT32 = range(-(1 << 31), 1 << 31)


@dataclass(frozen=True)
class Function:
    """A static function: the template's macro, its facts, and the statement that calls it."""

    macro: str
    facts: dict[str, Any]
    call: str

    def __getattr__(self, name: str) -> Any:
        try:
            return self.facts[name]
        except KeyError:
            raise AttributeError(name) from None


@dataclass(frozen=True)
class Parameter:
    """A neuron's parameter array: whether it has a row a step and a column a channel, and what to write for it."""

    short: str
    array: str
    ctype: str
    steps: bool
    columns: bool
    first: int

    def expression(self, wide: str, column: str) -> str:
        """Its number for a column in step t."""
        if not self.steps and not self.columns:
            value = literal(self.first)
            return f"({value})" if value.startswith("-") else value
        if self.steps and self.columns:
            return f"({wide}){self.short}[{column}]"
        return f"({wide}){self.array}[{'t' if self.steps else column}]"


def functions(layout: Layout, texts: dict[str, str]) -> tuple[list[Function], list[Function]]:
    """The functions of the operations on constant values, and those of every step, each in order.

    Args:
        texts: the program's line by name of a value.
    """
    once, every = (
        [_function(op, layout, texts[op.result.name]) for op in group if not isinstance(op, Reshape | Delay)]
        for group in (layout.once, layout.every)
    )
    kept = [_kept(op, layout, texts[op.result.name]) for op in reversed(delays(layout.program))]
    return once, [*_encoder(layout), *every, *kept]


def _kept(op: Delay, layout: Layout, text: str) -> Function:
    """What a delay does at the end of a step; a delay of a delay comes before that one, which it still needs."""
    x, y = layout.places[op.of], layout.places[op.result.name]
    name = f"keep_{layout.names[op.result.name]}"
    return Function("delay", {"name": name, "x": x, "y": y, "text": text}, _call(name, x.expression, y.expression))


@singledispatch
def _function(op: Operation, layout: Layout, text: str) -> Function:
    raise TypeError(f"{type(op).__name__} of {layout.prefix}: {text}")


def _binary(macro: str, word: str, op: Operation, layout: Layout, **facts: Any) -> Function:
    """A function of one or two sources and a result."""
    x, *others = (layout.places[name] for name in sources(op))
    y, name = layout.places[op.result.name], f"{word}_{layout.names[op.result.name]}"
    call = _call(name, *(place.expression for place in (x, *others, y)))
    return Function(macro, {"name": name, "x": x, "y": y, "other": others[-1] if others else None, **facts}, call)


@_function.register
def _(op: Dense, layout: Layout, text: str) -> Function:
    return _binary("dense", "dense", op, layout, text=text, **weights(op, layout))


@_function.register
def _(op: Conv2d, layout: Layout, text: str) -> Function:
    kernel = layout.program.arrays[op.weight].values.shape
    shapes = {"kernel": kernel[:2], "channels": kernel[2], "outputs": kernel[3], **_sides(op, layout)}
    scatter = f"scatter_{layout.names[op.result.name]}"
    settings = {"stride": op.stride, "padding": op.padding, "scatter": scatter, "text": text}
    return _binary("conv2d", "conv2d", op, layout, **settings, **shapes, **weights(op, layout))


def _sides(op: Conv2d | SumPool | MaxPool, layout: Layout) -> dict[str, int]:
    """Width of the image that goes in, height and width of the one that comes out."""
    out = op.result.shape
    return {"width": layout.program.values[op.source].shape[1], "out_height": out[0], "out_width": out[1]}


@_function.register(SumPool)
@_function.register(MaxPool)
def _(op: SumPool | MaxPool, layout: Layout, text: str) -> Function:
    settings = {"size": op.size, "channels": op.result.shape[2], "text": text, **_sides(op, layout)}
    return _binary(op.keyword, op.keyword.replace("_", ""), op, layout, **settings)


@_function.register
def _(op: Add, layout: Layout, text: str) -> Function:
    return _binary("add", "plus", op, layout, text=text)


@_function.register
def _(op: Scale, layout: Layout, text: str) -> Function:
    factor, uniform = layout.program.arrays[op.factor], is_uniform(layout.program.arrays[op.factor])
    told = literal(int(factor.values[0])) if uniform else f"array_{layout.names[op.factor]}[o % {op.result.shape[-1]}u]"
    return _binary("scale", "scale", op, layout, text=text, factor=told)


@_function.register
def _(op: Matmul, layout: Layout, text: str) -> Function:
    right = layout.program.values[op.right].shape
    left = layout.program.values[op.left].shape[0 if op.form == "scores" else 1]
    sizes = {"heads": op.heads, "rows": left, "columns": right[0], "channels": right[1] // op.heads}
    return _binary(f"matmul_{op.form}", op.form, op, layout, text=text, **sizes)


def _neurons(op: LIF | Integrate, layout: Layout, text: str) -> tuple[dict[str, Any], list[Parameter]]:
    """What LIF and Integrate share."""
    state = layout.program.state[op.state]
    kind, codec = state.type, state.codec
    sums, bias = layout.ranges.sums[op.result.name], range(1)
    found = [_parameter(op.leak, "m", layout)]
    if op.bias is not None:
        found.append(_parameter(op.bias, "b", layout))
        values = layout.program.arrays[op.bias].values
        bias = range(int(values.min()), int(values.max()) + 1)
    # Without its bias the sum may leave 32 bits, although with it it does not.
    fits = sums.lowest - bias[-1] in _INT32 and sums.highest - bias[0] in _INT32
    wide = "int32_t" if fits else "int64_t"
    shape = op.result.shape
    column = "j" if len(shape) == 1 else "c"
    facts = {
        "text": text,
        "x": layout.places[op.source],
        "v": ctype(kind) if codec is None else "uint8_t",
        "codec": codec,
        "packed": codec is not None and codec.per_byte > 1,
        "base": base(codec) if codec else None,
        "wide": wide,
        "leaked": _leaked(op, found[0], column, "v[j]" if codec is None else "v"),
        "shift": op.shift,
        "width": kind.bits,
        "bias": found[1].expression(wide, column) if op.bias is not None else None,
        "above": sums.highest > kind.highest,
        "below": sums.lowest < kind.lowest,
        "highest": kind.highest,
        "lowest": literal(kind.lowest),
        "channels": shape[-1],
        "count": math.prod(shape),
        "column": column,
        "name": f"{op.keyword}_{layout.names[op.result.name]}",
    }
    return facts, found


def _leaked(op: LIF | Integrate, leak: Parameter, column: str, v: str) -> str:
    if not leak.steps and not leak.columns and leak.first == 1 << op.shift:
        return v
    product = f"(int32_t){v} * {leak.expression('int32_t', column)}"
    return f"shift_down({product}, {op.shift}u)" if op.shift else product


def is_uniform(array: Array) -> bool:
    """Whether all numbers of an array are equal, so that one stands for all."""
    return bool((array.values == array.values.flat[0]).all())


def _parameter(name: str, short: str, layout: Layout) -> Parameter:
    array = layout.program.arrays[name]
    rows, columns = (1, 1) if is_uniform(array) else array.values.shape
    first = int(array.values.flat[0])
    return Parameter(short, f"array_{layout.names[name]}", ctype(array.type), rows > 1, columns > 1, first)


def _call(name: str, *arguments: str | None) -> str:
    return f"{name}({', '.join(argument for argument in arguments if argument)});"


@_function.register
def _(op: LIF, layout: Layout, text: str) -> Function:
    facts, found = _neurons(op, layout, text)
    found.append(_parameter(op.threshold, "theta", layout))
    threshold = amount = found[-1].expression(facts["wide"], facts["column"])
    if op.reset_by is not None:
        found.append(_parameter(op.reset_by, "amount", layout))
        amount = found[-1].expression(facts["wide"], facts["column"])
    adaptation, more = _adaptation(op, layout, facts["column"])
    found += more
    ending, time = layout.names[op.result.name], any(parameter.steps for parameter in found)
    hold = None if op.hold is None else ctype(layout.program.state[op.hold].type)
    facts |= {
        "parameters": found,
        "threshold": threshold,
        "amount": amount,
        "own_amount": op.reset_by is not None,
        "subtract": op.reset == "subtract",
        "refractory": op.refractory,
        "hold": hold,
        **adaptation,
        "t": time,
        "y": layout.places[op.result.name],
    }
    held = None if op.hold is None else f"s->hold_{layout.names[op.hold]}"
    state, spikes = f"s->state_{layout.names[op.state]}", layout.places[op.result.name].expression
    risen = None if op.adapt is None else f"s->state_{layout.names[op.adapt]}"
    call = _call(facts["name"], facts["x"].expression, state, held, risen, spikes, "t" if time else None)
    return Function("lif", facts, f"s->count_{ending} += {call}")


def _adaptation(op: LIF, layout: Layout, column: str) -> tuple[dict[str, Any], list[Parameter]]:
    """What the template needs of thresholds that adapt, and the parameters of that."""
    if op.adapt is None or op.adapt_leak is None or op.adapt_jump is None:
        return {"adapt": None}, []
    found = [_parameter(op.adapt_leak, "decay", layout), _parameter(op.adapt_jump, "jump", layout)]
    decay, jump = (parameter.expression("uint32_t", column) for parameter in found)
    kind = layout.program.state[op.adapt].type
    facts = {
        "adapt": ctype(kind),
        "decayed": f"((uint32_t)adapt[j] * {decay}){f' >> {op.adapt_shift}u' if op.adapt_shift else ''}",
        "raised": _shifted(op.adapt_fraction),
        "fraction": op.adapt_fraction,
        "adapt_shift": op.adapt_shift,
        "jump": jump,
        "adapt_highest": kind.highest if layout.ranges.states[op.adapt].highest == kind.highest else None,
    }
    return facts, found


def _shifted(fraction: int) -> str:
    if fraction < 0:
        return f"((uint32_t)adapt[j] << {-fraction}u)"
    return f"(adapt[j] >> {fraction}u)" if fraction else "adapt[j]"


@_function.register
def _(op: Integrate, layout: Layout, text: str) -> Function:
    facts, found = _neurons(op, layout, text)
    time = any(parameter.steps for parameter in found)
    state = f"s->state_{layout.names[op.state]}"
    facts |= {"parameters": found, "t": time, "y": layout.places[op.result.name]}
    result = facts["y"].expression if facts["codec"] else None
    call = _call(facts["name"], facts["x"].expression, state, result, "t" if time else None)
    return Function("integrate", facts, call)


def _encoder(layout: Layout) -> Iterator[Function]:
    """The function that makes spikes of a raw sample, for the encodings that do."""
    start, raw, encoding = layout.program.input.result, layout.program.input.raw, layout.program.input.encoding
    y, name = layout.places[start.name], f"encode_{layout.names[start.name]}"
    facts: dict[str, Any] = {"name": name, "y": y, "raw": layout.raw_ctype}
    if isinstance(encoding, Rate | Latency):
        # A number out of range reads another entry of the table, never other memory.
        mask = "" if raw.type.bits in (8, 16, 32) else f" & {raw.type.highest}u"
        facts |= {"table": f"array_{layout.names[encoding.table]}", "mask": mask}
    if isinstance(encoding, Rate):
        base = int(rng.mix([(encoding.seed + rng.GOLDEN) & 0xFFFFFFFF])[0])
        yield Function("rate", facts, _call(name, INPUT, f"mix(mix({base}u + number) + t)", y.expression))
    elif isinstance(encoding, Latency):
        yield Function("latency", facts, _call(name, INPUT, "t", y.expression))
    elif isinstance(encoding, Delta):
        wide = "int64_t" if raw.type.bits == 32 else "int32_t"
        facts |= {"threshold": encoding.threshold, "channels": raw.shape[0], "wide": wide}
        yield Function("delta", facts, _call(name, INPUT, "stride", "s->track", y.expression))


def readout(layout: Layout) -> list[Function]:
    """The function that updates the scores, and the one that decides on the exit."""
    program = layout.program
    kind, x, exit_ = program.readout.kind, layout.places[program.readout.source], program.readout.exit
    left = f"scores[k] == 0 && bit(x, k) != 0u ? (int32_t)({program.steps}u - t) : scores[k]"
    meaning, rule = {
        "count": ("number of spikes", "scores[k] += (int32_t)bit(x, k);"),
        "first_spike": ("steps left when the first spike came, 0 where none did", f"scores[k] = {left};"),
        "membrane_last": ("the potential", "scores[k] = x[k];"),
        "membrane_max": ("the highest potential", "scores[k] = t == 0u || x[k] > scores[k] ? x[k] : scores[k];"),
        "membrane_mean": ("sum of the potentials", "scores[k] += x[k];"),
    }[kind]
    time = kind in ("first_spike", "membrane_max")
    facts = {"meaning": meaning, "rule": rule, "x": x, "t": time}
    found = [Function("scores", facts, _call("read_out", x.expression, "t" if time else None, "s->scores"))]
    if exit_ is not None and program.classes > 1:
        mean = kind == "membrane_mean"
        facts = {"margin": exit_.margin, "earliest": exit_.earliest, "mean": mean, "classes": program.classes}
        found.append(Function("decided", {**facts, "prefix": layout.prefix}, ""))
    return found
