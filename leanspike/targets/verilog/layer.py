"""What the templates of a layer of neurons need: widths of every stage, parameters, memories and events."""

from __future__ import annotations

from typing import Any

import numpy as np

from leanspike.ir import LIF, Program
from leanspike.ir.inttype import Ints
from leanspike.ir.program import Codec
from leanspike.ir.ranges import Range, Ranges
from leanspike.targets.verilog import memories
from leanspike.targets.verilog.expressions import lit, part, resize
from leanspike.targets.verilog.plan import Neurons, Plan, bits_for
from leanspike.targets.verilog.synapse import Facts, Files, event_fields, field


def neurons(n: Neurons, plan: Plan, text: str, synapses: list[Facts]) -> tuple[Facts, Files]:
    """The facts of a layer, of one of its neurons and of its walk, and the files of its parameters."""
    layout, program = n.layout, plan.program
    consumers = plan.consumers(n.op.result.name)
    facts = _shape(n, plan) | {"text": text, "synapses": synapses}
    facts["uses_final"] = any(s["uses_final"] for s in synapses) or any(s.uses_final for s in consumers)
    facts["needs_final"] = facts["uses_final"] or (not plan.exits and program.steps > 1)
    last = layout.channels - (layout.groups - 1) * layout.lanes
    facts["partial"] = last if last < layout.lanes else 0
    facts["tells_group"] = bool(n.views) or bool(facts["fires"] and facts["partial"])
    facts |= _widths(n, program, plan.ranges, synapses)
    facts["partial_mask"] = _partial_mask(facts)
    parameters, files = _parameters(n, program, facts)
    facts["parameters"] = parameters
    delays = [p["delay"] for p in parameters if p["file"] and p["by_group"] and layout.groups > 1]
    facts["group_delays"] = max(delays, default=0)
    facts["reads_group"] = bool(delays)
    facts["parameter_notes"] = [p["text"] for p in parameters]
    facts |= _signals(n, facts, synapses)
    facts["views"] = [_view(n, view, facts, [s for s in consumers if s.path.pool == view]) for view in n.views]
    return facts, files


def _shape(n: Neurons, plan: Plan) -> Facts:
    """Names, sizes and counters of a layer."""
    layout, steps = n.layout, plan.program.steps
    return {
        "module": f"neurons_{n.name}",
        "lane_module": f"neuron_{n.name}",
        "walk_module": f"walk_{n.name}",
        "name": n.name,
        "value": n.op.result.name,
        "fires": isinstance(n.op, LIF),
        "is_readout": n.is_readout,
        "exits": plan.exits,
        "steps": steps,
        "step_bits": bits_for(steps),
        "lanes": layout.lanes,
        "words": layout.words,
        "groups": layout.groups,
        "height": layout.height,
        "width": layout.width,
        "address_bits": bits_for(layout.words),
        "has_group": layout.groups > 1,
        "group_bits": bits_for(layout.groups),
        "image": layout.places > 1,
        "window": n.window,
        "h_bits": bits_for(layout.height),
        "w_bits": bits_for(layout.width),
        "side_bits": bits_for(n.window),
        "max_pools": "max" in n.views,
        "tells_place": "none" in n.views,
        "coordinates": n.window > 1 or (layout.places > 1 and "none" in n.views),
        "layout_text": _layout_text(n),
    }


def _layout_text(n: Neurons) -> str:
    layout = n.layout
    places = f"{layout.height} x {layout.width} places of " if layout.places > 1 else ""
    return f"{places}{layout.channels} neurons, {layout.groups} groups of {layout.lanes}"


def _widths(n: Neurons, program: Program, found: Ranges, synapses: list[Facts]) -> Facts:
    """Bits of every stage, from the intervals of the program."""
    op, state, name = n.op, program.state[n.op.state], n.op.result.name
    codec, kind, sums, carried = state.codec, state.type, found.sums[name], found.carried[op.state]
    keep = found.states[op.state]
    keep_bits, keep_signed, shift = keep.bits, True, 0
    if codec is not None:
        keep_signed, shift = codec.lowest < 0, codec.shift
        keep_bits = Range(codec.lowest, codec.highest).bits - (not keep_signed)
    v_bits = keep_bits + (not keep_signed) + shift
    leak = program.array(op.leak)
    leak_bits = max(1, int(leak.max()).bit_length())
    product_bits = max(found.products[name].bits, v_bits, leak_bits + 1)
    bias_bits = memories.signed_bits(program.array(op.bias)) if op.bias else 1
    currents = [s["current_bits"] for s in synapses]
    sum_bits = max([sums.bits, bias_bits, product_bits - op.shift, *currents])
    u = Range(max(sums.lowest, kind.lowest), min(sums.highest, kind.highest))
    hold = isinstance(op, LIF) and op.hold is not None
    u_bits = max(u.bits, v_bits) if hold else u.bits
    facts: Facts = {
        "kind": str(kind),
        "keep_bits": keep_bits,
        "keep_signed": keep_signed,
        "v_bits": v_bits,
        "leak_bits": leak_bits,
        "product_bits": product_bits,
        "sum_bits": sum_bits,
        "u_bits": u_bits,
        "shift": op.shift,
        "bias": op.bias,
        "above": sums.highest > kind.highest,
        "below": sums.lowest < kind.lowest,
        "highest": kind.highest,
        "lowest": kind.lowest,
        "codec": codec is not None,
        "codec_shift": shift,
        "hold": hold,
        "score_bits": 1 if isinstance(op, LIF) else u_bits,
        "leaked": part("product", product_bits, op.shift, sum_bits),
        "sum_note": f"It lies between {sums.lowest:,} and {sums.highest:,}.",
        "tail": 6 if isinstance(op, LIF) else 5,
    }
    facts |= _firing(op, program, u_bits, carried) if isinstance(op, LIF) else {"carry_bits": u_bits, "carried": "u"}
    facts["write_stage"] = facts["tail"] + isinstance(op, LIF) + facts["codec"]
    facts |= _codec(codec, facts["carry_bits"]) if codec is not None else {}
    written = facts["write_stage"]
    facts["write_address"] = f"address_{written}" if written > facts["tail"] else "tail_address"
    return facts


def _firing(op: LIF, program: Program, u_bits: int, carried: Range) -> Facts:
    threshold, amount = program.array(op.threshold), program.array(op.amount)
    threshold_bits = memories.signed_bits(threshold)
    subtract = op.reset == "subtract"
    amount_bits = memories.signed_bits(amount)
    carry_bits = max([u_bits, carried.bits] + [amount_bits] * subtract)
    facts: Facts = {
        "threshold_bits": threshold_bits,
        "compare_bits": max(u_bits, threshold_bits),
        "subtract": subtract,
        "amount_bits": amount_bits,
        "carry_bits": carry_bits,
        "carried": "v_7",
        "refractory": op.refractory,
    }
    return facts | ({"hold_bits": bits_for(op.refractory + 1)} if op.hold is not None else {})


def _codec(codec: Codec, carry_bits: int) -> Facts:
    half = (1 << codec.shift) >> 1
    code = Range(codec.lowest, codec.highest).bits
    round_bits = max(carry_bits + 1, half.bit_length() + 2, code + codec.shift)
    ends = {"code_lowest": codec.lowest, "code_highest": codec.highest}
    return {"half": half, "round_bits": round_bits, **ends}


def _partial_mask(facts: Facts) -> str:
    """The neurons that there are in a group."""
    lanes, some = facts["lanes"], facts["partial"]
    if not some:
        return ""
    mask = f"{lanes}'h{(1 << some) - 1:x}"
    if not facts["has_group"]:
        return mask
    last = f"tail_group == {lit(facts['groups'] - 1, facts['group_bits'])}"
    return f"(({last}) ? {mask} : {{{lanes}{{1'b1}}}})"


def _parameters(n: Neurons, program: Program, facts: Facts) -> tuple[list[Facts], Files]:
    """Leak, bias, threshold and amount: constants where all neurons share one, else a ROM."""
    op, found, files = n.op, list[Facts](), Files()
    wanted: list[tuple[str, str | None, int, int]] = [("leak", op.leak, 2, 0), ("bias", op.bias, 2, 0)]
    if isinstance(op, LIF):
        wanted.append(("threshold", op.threshold, 5, 3))
        if op.reset == "subtract" and op.reset_by is not None:
            wanted.append(("amount", op.reset_by, 6, 4))
    for name, array, clock, delay in wanted:
        if array is not None:
            values = program.array(array)
            bits = facts["leak_bits"] if name == "leak" else memories.signed_bits(values)
            given = {"name": name, "array": array, "bits": bits, "clock": clock, "delay": delay, "file": ""}
            found.append(_parameter(given, values, n, facts, files))
    return found, files


def _parameter(given: Facts, values: Ints, n: Neurons, facts: Facts, files: Files) -> Facts:
    name, bits, layout = given["name"], given["bits"], n.layout
    if (values == values.flat[0]).all():
        told = f"{name:<10} {given['array']} = {int(values.flat[0])}"
        return given | {"constant": int(values.flat[0]), "text": told}
    by_step, by_group = len(values) > 1, values.shape[1] > 1
    if not by_group:
        words, lanes = memories.words(values, 1, bits), 1
    else:
        laid = np.zeros((len(values), layout.groups * layout.lanes), dtype=np.int64)
        laid[:, : layout.channels] = values
        words, lanes = memories.words(laid, layout.lanes, bits), layout.lanes
    file, depth = f"neurons_{n.name}_{name}.hex", len(words)
    files[file] = memories.text(words, lanes * bits)
    address_bits = bits_for(depth)
    delay = f"group_{given['delay']}" if given["delay"] else "group"
    group = resize(delay, facts["group_bits"], address_bits, False) if facts["has_group"] else lit(0, address_bits)
    address = group if by_group else resize("step", facts["step_bits"], address_bits, False)
    if by_step and by_group:
        address = f"{name}_row + {group}"
    order = "row t, group g is word G t + g" if by_step and by_group else "a group" if by_group else "a step"
    return given | {
        "file": file,
        "depth": depth,
        "by_step": by_step,
        "by_group": by_group,
        "word_lanes": lanes,
        "address_bits": address_bits,
        "address": address,
        "text": f"{name:<10} {given['array']} in {file}: {depth} words of {lanes} x {bits} bits, {order}",
    }


def _signals(n: Neurons, facts: Facts, synapses: list[Facts]) -> Facts:
    """Expressions of the equation, and its text."""
    op, parameters = n.op, {p["name"]: p for p in facts["parameters"]}
    terms = []
    for s in synapses:
        current = resize(f"current_{s['name']}", s["current_bits"], facts["sum_bits"])
        terms.append(f"(first ? {lit(0, facts['sum_bits'])} : {current})" if s["late"] else current)
    if op.bias:
        terms.append(resize("bias", parameters["bias"]["bits"], facts["sum_bits"]))
    equations = [f"u = {'sat(' if facts['above'] or facts['below'] else ''}floor(v leak / 2^{op.shift}) + I"]
    equations[0] += (" + bias" if op.bias else "") + (")" if facts["above"] or facts["below"] else "")
    more: Facts = {"drive": " + ".join(terms), "restart": "rst | (step_done & final_step)", "onward": "step_done"}
    if facts["exits"]:
        more |= {"restart": "rst | sample_end", "onward": "go"}
    if isinstance(op, LIF):
        amount = "amount" if op.reset_by else "threshold"
        after = f"u - {amount}" if op.reset == "subtract" else "0"
        held = f"; then held for {op.refractory} steps: v stays, no spike" if facts["hold"] else ""
        equations.append(f"spike where u >= threshold; v = {after} where it fired, else u{held}")
        more["amount"] = amount
        more["amount_delayed"] = amount == "threshold" and bool(parameters["threshold"]["file"])
        if more["amount_delayed"]:
            more["amount"] = "threshold_6"
    if facts["codec"]:
        half, shift = f"v + {facts['half']}" if facts["half"] else "v", facts["codec_shift"]
        ends = f"{facts['code_lowest']}, {facts['code_highest']}"
        equations.append(f"kept of v: c = clip(({half}) >> {shift}, {ends}); the next step reads c << {shift}")
    note = "spikes a bit a lane, states and holds 32 bits a lane, after the step"
    return more | {"equations": equations, "trace_note": note}


def _view(n: Neurons, view: str, facts: Facts, consumers: list[Any]) -> Facts:
    """The events of one kind: of every neuron, of windows that are summed, or of maxima of windows."""
    source = consumers[0].source
    fields = event_fields(source, 0)
    pooled = view != "none"
    expressions = {
        "h": resize("tail_window_h", facts["h_bits"], bits_for(source.height)) if pooled else "tail_h",
        "w": resize("tail_window_w", facts["w_bits"], bits_for(source.width)) if pooled else "tail_w",
        "g": "tail_group",
        "spikes": "window_any" if view == "max" else "spikes",
    }
    told = "window_any" if view == "max" else "spikes"
    condition = f"valid[6] & ({told} != {lit(0, n.layout.lanes)})"
    if view == "max":
        condition += " & window_ends"
    if pooled:
        for axis, size, whole in (("h", source.height, n.layout.height), ("w", source.width, n.layout.width)):
            if whole % n.window:
                condition += f" & (tail_window_{axis} < {lit(size, facts[f'{axis}_bits'])})"
    return {
        "name": view,
        "condition": condition,
        "fields": [field(part_["name"], part_["bits"], expression=expressions[part_["name"]]) for part_ in fields],
    }
