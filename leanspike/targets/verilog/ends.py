"""What the templates of the two ends of a core need: the input stream, and the readout with the output stream."""

from __future__ import annotations

from leanspike.ir import LIF, Direct
from leanspike.ir.ranges import Range
from leanspike.targets.verilog.expressions import lit, resize
from leanspike.targets.verilog.plan import Neurons, Plan, bits_for
from leanspike.targets.verilog.synapse import Facts, event_fields, field


def start(plan: Plan, text: str, consumers: list[Facts]) -> Facts:
    """The facts of the input stream."""
    program, layout = plan.program, plan.input_layout
    value = program.input.result
    value_bits = layout.lanes if plan.packed else value.type.bits
    sequence = not isinstance(program.input.encoding, Direct)
    facts: Facts = {
        "module": f"input_{plan.endings[value.name]}",
        "text": text,
        "exits": plan.exits,
        "sequence": sequence,
        "drops": plan.exits and sequence,
        "steps": program.steps,
        "step_bits": bits_for(program.steps),
        "value_bits": value_bits,
        "data_bits": -(-value_bits // 8) * 8,
        "uses_final": any(s["delayed"] for s in consumers),
        "consumers": consumers,
        "layout_text": f"{layout.height} x {layout.width} x {layout.channels}",
    }
    facts["counters"], facts["last"] = _counters(plan)
    facts["views"] = [_view(plan, view, facts) for view in plan.input_views]
    return facts | _told(plan)


def _told(plan: Plan) -> Facts:
    layout, kind = plan.input_layout, plan.program.input.result.type
    beat = f"a beat is a value, {kind}, in the order of the sample"
    if plan.packed:
        beat = f"a beat is {layout.lanes} spikes, the first in bit 0; the last beat of a place is filled with 0"
    step = "A sample is sent once: it is the same in every step."
    if not isinstance(plan.program.input.encoding, Direct):
        step = "A sample is its steps one after another."
        if plan.program.input.encoding.keyword != "sequence":
            step += f" They are encoded outside ({plan.program.input.encoding.keyword})."
    return {"beat_text": beat, "step_text": f"{step} tlast ends a sample of {plan.beats} beats."}


def _counter(name: str, count: int, when: str, wraps: str | None = None, last: str | None = None) -> Facts:
    bits = bits_for(count)
    return {
        "name": name,
        "bits": bits,
        "last": last if last is not None else f"{name} == {lit(count - 1, bits)}",
        "when": when,
        "wraps": wraps or f"last_{name}",
        "next": f"{name} + {lit(1, bits)}",
    }


def _counters(plan: Plan) -> tuple[list[Facts], str]:
    """Counters over a step's beats, the fastest first, and when the last beat is there."""
    layout, size = plan.input_layout, plan.input_window
    inner, count = ("g", layout.groups) if plan.packed else ("c", layout.channels)
    found, when = list[Facts](), ""
    if count > 1:
        found.append(_counter(inner, count, when))
        when += f" & last_{inner}"
    for axis, side in (("w", layout.width), ("h", layout.height)):
        if side == 1:
            continue
        found.append(_counter(axis, side, when))
        if size > 1:
            part = f"place_{axis}"
            end = f"({part} == {lit(size - 1, bits_for(size))}) | last_{axis}"
            found.append(_counter(part, size, when, last=end))
            windows = _counter(
                f"window_{axis}", -(-side // size), f"{when} & last_{part}", wraps=f"last_{axis}", last=""
            )
            found.append(windows)
        when += f" & last_{axis}"
    return found, when.removeprefix(" & ") or "1'b1"


def _view(plan: Plan, view: str, facts: Facts) -> Facts:
    layout = plan.input_layout
    source = next(s.source for s in plan.consumers(plan.program.input.result.name) if s.path.pool == view)
    signed, bits = plan.program.input.result.type.signed, facts["value_bits"]
    wide = 0 if plan.packed else bits + (not signed)
    counters = {counter["name"]: counter["bits"] for counter in facts["counters"]}
    fields = []
    for part in event_fields(source, wide):
        name = part["name"]
        if name == "value":
            expression = "value" if signed else "{1'b0, value}"
        elif name == "spikes":
            expression = "value"
        else:
            counter = f"window_{name}" if view == "sum" and name in "hw" else name
            expression = resize(counter, counters[counter], part["bits"], False)
        fields.append(field(name, part["bits"], expression=expression))
    condition = ""
    if view == "sum":
        for axis, size, whole in (("h", source.height, layout.height), ("w", source.width, layout.width)):
            if whole % plan.input_window:
                condition += f" & (window_{axis} < {lit(size, counters[f'window_{axis}'])})"
    return {"name": view, "fields": fields, "condition": condition}


_UPDATES = {
    "count": "old + value",
    "membrane_mean": "old + value",
    "membrane_last": "value",
    "membrane_max": "(!first & ($signed(old) > $signed(value))) ? old : value",
}
_MEANINGS = {
    "count": "Scores: spikes so far.",
    "first_spike": "Scores: steps that were left at the first spike, this one included; 0 before it.",
    "membrane_last": "Scores: the potential after the last step.",
    "membrane_max": "Scores: the highest potential so far.",
    "membrane_mean": "Scores: the sum of the potentials so far.",
}


def readout(plan: Plan, text: str, source: Neurons, neurons: Facts) -> Facts:
    """The facts of the readout and the output stream."""
    program, kind, layout = plan.program, plan.program.readout.kind, source.layout
    steps, exit_ = program.steps, program.readout.exit
    total = _total(plan, neurons["score_bits"])
    facts: Facts = {
        "module": "readout",
        "text": text,
        "meaning": _MEANINGS[kind],
        "source": source.name,
        "from_module": neurons["module"],
        "exits": plan.exits,
        "steps": steps,
        "step_bits": bits_for(steps),
        "lanes": layout.lanes,
        "lane_bits": (layout.lanes - 1).bit_length(),
        "words": layout.words,
        "address_bits": bits_for(layout.words),
        "score_bits": neurons["score_bits"],
        "score_signed": not isinstance(source.op, LIF),
        "score_text": "spikes" if isinstance(source.op, LIF) else "potentials",
        "total_bits": total,
        "classes": program.classes,
        "class_bits": bits_for(program.classes),
        "ignores_old": kind == "membrane_last",
        "steps_used": f"{resize('step', bits_for(steps), 32, False)} + 32'd1",
    }
    if kind == "first_spike":
        left = f"{lit(steps, total)} - {resize('step', bits_for(steps), total, False)}"
        facts["new_score"] = f"(value == {lit(0, total)}) | (old != {lit(0, total)}) ? old : {left}"
    else:
        facts["new_score"] = _UPDATES[kind]
    if exit_ is not None and plan.exits:
        grows = kind == "membrane_mean"
        bits = 1 + max(total, (exit_.margin * (steps if grows else 1)).bit_length())
        late = f" & (step >= {lit(exit_.earliest - 1, facts['step_bits'])})" if exit_.earliest > 1 else ""
        facts |= {"margin": exit_.margin, "margin_bits": bits, "margin_grows": grows, "earliest_condition": late}
    return facts


def _total(plan: Plan, score_bits: int) -> int:
    """Bits of a score."""
    kind, steps = plan.program.readout.kind, plan.program.steps
    if kind in ("count", "first_spike"):
        return max(Range(0, steps).bits, bits_for(steps))
    value = plan.ranges.values[plan.program.readout.source]
    times = steps if kind == "membrane_mean" else 1
    return max(score_bits, Range(value.lowest * times, value.highest * times).bits)
