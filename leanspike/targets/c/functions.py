"""What the templates need of every operation: places, sizes, parameters, and how the step calls its function."""

from __future__ import annotations

from collections.abc import Iterator
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
from leanspike.targets.c.constants import literal
from leanspike.targets.c.layout import INPUT, Layout
from leanspike.targets.c.neurons import Function, call, is_uniform, neurons
from leanspike.targets.c.weights import weights


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
    return Function("delay", {"name": name, "x": x, "y": y, "text": text}, call(name, x.expression, y.expression))


@singledispatch
def _function(op: Operation, layout: Layout, text: str) -> Function:
    raise TypeError(f"{type(op).__name__} of {layout.prefix}: {text}")


def _binary(macro: str, word: str, op: Operation, layout: Layout, **facts: Any) -> Function:
    """A function of one or two sources and a result."""
    x, *others = (layout.places[name] for name in sources(op))
    y, name = layout.places[op.result.name], f"{word}_{layout.names[op.result.name]}"
    told = call(name, *(place.expression for place in (x, *others, y)))
    return Function(macro, {"name": name, "x": x, "y": y, "other": others[-1] if others else None, **facts}, told)


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


@_function.register(LIF)
@_function.register(Integrate)
def _(op: LIF | Integrate, layout: Layout, text: str) -> Function:
    return neurons(op, layout, text)


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
        yield Function("rate", facts, call(name, INPUT, f"mix(mix({base}u + number) + t)", y.expression))
    elif isinstance(encoding, Latency):
        yield Function("latency", facts, call(name, INPUT, "t", y.expression))
    elif isinstance(encoding, Delta):
        wide = "int64_t" if raw.type.bits == 32 else "int32_t"
        facts |= {"threshold": encoding.threshold, "channels": raw.shape[0], "wide": wide}
        yield Function("delta", facts, call(name, INPUT, "stride", "s->track", y.expression))


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
    found = [Function("scores", facts, call("read_out", x.expression, "t" if time else None, "s->scores"))]
    if exit_ is not None and program.classes > 1:
        mean = kind == "membrane_mean"
        facts = {"margin": exit_.margin, "earliest": exit_.earliest, "mean": mean, "classes": program.classes}
        found.append(Function("decided", {**facts, "prefix": layout.prefix}, ""))
    return found
