"""What the templates need of neurons: parameters, widths, what saturates, and how the step calls their function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from leanspike.ir.ops import LIF, Integrate
from leanspike.ir.program import Array
from leanspike.targets.c.constants import literal
from leanspike.targets.c.layout import Layout, base, ctype

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


def neurons(op: LIF | Integrate, layout: Layout, text: str) -> Function:
    """The function of a layer of neurons."""
    return _firing(op, layout, text) if isinstance(op, LIF) else _integrating(op, layout, text)


def _shared(op: LIF | Integrate, layout: Layout, text: str) -> tuple[dict[str, Any], list[Parameter]]:
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


def call(name: str, *arguments: str | None) -> str:
    """A statement that calls a function; arguments of None are left out."""
    return f"{name}({', '.join(argument for argument in arguments if argument)});"


def _firing(op: LIF, layout: Layout, text: str) -> Function:
    facts, found = _shared(op, layout, text)
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
    told = call(facts["name"], facts["x"].expression, state, held, risen, spikes, "t" if time else None)
    return Function("lif", facts, f"s->count_{ending} += {told}")


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


def _integrating(op: Integrate, layout: Layout, text: str) -> Function:
    facts, found = _shared(op, layout, text)
    time = any(parameter.steps for parameter in found)
    state = f"s->state_{layout.names[op.state]}"
    facts |= {"parameters": found, "t": time, "y": layout.places[op.result.name]}
    result = facts["y"].expression if facts["codec"] else None
    told = call(facts["name"], facts["x"].expression, state, result, "t" if time else None)
    return Function("integrate", facts, told)
