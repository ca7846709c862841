"""What the templates of a synapse need: widths, expressions and the files of its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from leanspike.ir import Conv2d
from leanspike.ir.inttype import Ints
from leanspike.targets.verilog import memories
from leanspike.targets.verilog.expressions import divided, lit, resize
from leanspike.targets.verilog.plan import MARGIN, Layout, Synapse, bits_for

Facts = dict[str, Any]
Files = dict[str, str]


def field(name: str, bits: int, **more: Any) -> Facts:
    """A part of an event."""
    return {"name": name, "bits": bits, **more}


def event_fields(source: Layout, value_bits: int) -> list[Facts]:
    """The parts of an event: its place where there are several, a group's spikes or a channel's value."""
    found = [field("h", bits_for(source.height))] if source.height > 1 else []
    found += [field("w", bits_for(source.width))] if source.width > 1 else []
    if value_bits:
        found += [field("c", bits_for(source.channels))] if source.channels > 1 else []
        return [*found, field("value", value_bits)]
    found += [field("g", bits_for(source.groups))] if source.groups > 1 else []
    return [*found, field("spikes", source.lanes)] if source.lanes > 1 else found


def synapse(s: Synapse, text: str) -> tuple[Facts, Files]:
    """The facts of a synapse, and its files."""
    source, target, spikes = s.source, s.target, not s.value_bits
    facts: Facts = {
        "module": f"synapse_{s.name}",
        "name": s.name,
        "text": text,
        "kind": s.path.kind,
        "mode": s.mode,
        "constant": s.mode in ("once", "late"),
        "late": s.mode == "late",
        "delayed": s.mode == "every" and s.path.delayed,
        "uses_final": s.uses_final,
        "source": s.path.source,
        "spikes": spikes,
        "fields": event_fields(source, s.value_bits),
        "view": s.path.pool,
        "lanes": target.lanes,
        "lane_out_bits": (target.lanes - 1).bit_length(),
        "source_lanes": source.lanes,
        "lane_bits": (source.lanes - 1).bit_length(),
        "value_bits": s.value_bits,
        "current_bits": s.current_bits,
        "words": target.words,
        "address_bits": bits_for(target.words),
        "column_bits": bits_for(target.words * target.lanes),
        "margin": MARGIN,
        "queue_log_depth": (s.depth - 1).bit_length(),
        "sparse": s.path.sparse,
        "weight_file": "",
        "stored_bits": 0,
    }
    facts["queue_bits"] = 1 + sum(part["bits"] for part in facts["fields"])
    facts["event"] = _event(source, spikes, s.value_bits)
    facts["c_bits"] = next((part["bits"] for part in facts["event"] if part["name"] == "c"), 0)
    facts |= _told(s)
    weight, more = _weights(s)
    facts |= more
    files = _files(facts, weight)
    facts |= _conv(s, facts) if s.path.kind == "conv2d" else _rows(s, facts)
    facts["busy"] = _busy(facts)
    return facts, files


def _event(source: Layout, spikes: bool, value_bits: int) -> list[Facts]:
    """The registers of one event: h, w, c, value, each with where it comes from."""
    found = [field("h", bits_for(source.height), head="head_h")] if source.height > 1 else []
    found += [field("w", bits_for(source.width), head="head_w")] if source.width > 1 else []
    if not spikes:
        found += [field("c", bits_for(source.channels), head="head_c")] if source.channels > 1 else []
        return [*found, field("value", value_bits, head="head_value")]
    parts = ["head_g"] if source.groups > 1 else []
    parts += ["lane"] if source.lanes > 1 else []
    bits = (bits_for(source.groups) if source.groups > 1 else 0) + (source.lanes - 1).bit_length()
    return [*found, field("c", bits, head=f"{{{', '.join(parts)}}}")] if parts else found


def _told(s: Synapse) -> Facts:
    """The words of the header."""
    equations = {
        "dense": "y[o] = sum over i of x[i] W[i][o]",
        "conv2d": "y[h][w][o] = sum over a, b, c of x[h stride + a - padding][w stride + b - padding][c] W[a][b][c][o]",
        "one_to_one": "y[h][w][c] = x[h][w][c] f[c]",
    }
    when = {
        "every": "Every step: an event adds its row of weights to the accumulators.",
        "once": "The input is the same in every step: its current is computed once a sample and kept.",
        "late": "The input is the same in every step but the first, where it is 0: computed once a sample and kept.",
        "never": "Its events would count a step later, and there is none: an end of a step is all that it takes.",
    }
    delayed = " Its events are those of the step before." if s.path.delayed and s.mode == "every" else ""
    word = "a word of spikes, silent ones are not sent" if not s.value_bits else "a value that is not 0"
    pooled = {"none": "", "sum": f", summed over {s.path.size} x {s.path.size}", "max": ""}[s.path.pool]
    if s.path.pool == "max":
        pooled = f", the maximum of {s.path.size} x {s.path.size}"
    target = s.target
    place = f"{target.height} x {target.width} places of " if target.places > 1 else ""
    notes = [f"accumulators  {target.words} words of {target.lanes} x {s.current_bits} bits: {place}{target.channels}"]
    return {
        "equation": equations[s.path.kind],
        "meaning": when[s.mode] + delayed,
        "event_meaning": word + pooled,
        "notes": notes,
    }


def _weights(s: Synapse) -> tuple[Ints, Facts]:
    """The weights as rows over the accumulators' columns, and their sizes."""
    assert s.path.weight is not None
    weight, target = s.path.weight, s.target
    bits = memories.signed_bits(weight)
    more: Facts = {"weight_bits": bits, "product_bits": bits + s.value_bits}
    if s.path.kind == "one_to_one":
        return weight, more
    rows = weight.reshape(-1, weight.shape[-1])
    places = 1 if s.path.kind == "conv2d" else target.places
    laid = np.zeros((len(rows), places, target.groups * target.lanes), dtype=np.int64)
    laid[:, :, : target.channels] = rows.reshape(len(rows), places, target.channels)
    row_words = places * target.groups
    more |= {"rows": len(rows), "row_bits": bits_for(len(rows)), "row_words": row_words}
    return laid.reshape(len(rows), -1), more | {"word_bits": bits_for(row_words)}


def _files(facts: Facts, weight: Ints) -> Files:
    """The files of the weights; adds how they are addressed to the facts."""
    name, bits = facts["module"], facts["weight_bits"]
    if facts["kind"] == "one_to_one":
        facts["rows"], facts["row_bits"] = len(weight), bits_for(len(weight))
        if (weight == weight[0]).all():
            facts["weight_constant"] = int(weight[0])
            facts["notes"].append(f"weight        {weight[0]} for every channel")
            return {}
        facts["weight_file"] = f"{name}_factors.hex"
        facts["stored_bits"] = len(weight) * bits
        facts["notes"].append(f"weights       {len(weight)} x {bits} bits, one a channel, in {name}_factors.hex")
        return {facts["weight_file"]: memories.text(memories.words(weight, 1, bits), bits)}
    if facts["sparse"]:
        return _sparse_files(facts, weight)
    words = memories.words(weight, facts["lanes"], bits)
    file, count = f"{name}_weights.hex", len(words)
    facts |= {"weight_file": file, "weight_words": count, "job_bits": bits_for(count)}
    facts["stored_bits"] = count * facts["lanes"] * bits
    facts["notes"].append(f"weights       {count} words of {facts['lanes']} x {bits} bits in {file}")
    facts["notes"].append(f"              row r, group g is word {facts['row_words']} r + g")
    return {file: memories.text(words, bits * facts["lanes"])}


def _sparse_files(facts: Facts, weight: Ints) -> Files:
    name, bits = facts["module"], facts["weight_bits"]
    form = memories.entries(weight, bits)
    count = max(1, len(form.entries))
    address = bits_for(len(form.entries) + 1)
    file, rows = f"{name}_entries.hex", f"{name}_rows.hex"
    facts |= {"weight_file": file, "rows_file": rows, "entries": count, "gap_bits": form.gap_bits}
    facts |= {"entry_address_bits": address, "job_bits": bits_for(facts["rows"] + 1)}
    facts["entry_rom_address"] = resize("entry_address", address, bits_for(count), False)
    facts["entry_rom_bits"] = bits_for(count)
    width = bits + form.gap_bits
    facts["stored_bits"] = count * width + len(form.starts) * address
    facts["notes"].append(
        f"weights       {count} entries of {bits} + {form.gap_bits} bits in {file}: weight, columns to skip"
    )
    facts["notes"].append(f"              row r is entries rows[r] to rows[r + 1] - 1, in {rows}")
    return {
        file: memories.text(form.entries or [0], width),
        rows: memories.text(form.starts, address),
    }


def _place(source: Layout) -> tuple[str, int]:
    """Place of an event, ``h W + w``, and its bits."""
    bits = bits_for(source.places)
    h, w = (
        resize(f"e_{side}", bits_for(size), bits, False) for side, size in (("h", source.height), ("w", source.width))
    )
    if source.height == 1:
        return w, bits
    if source.width == 1:
        return h, bits
    return f"{h} * {lit(source.width, bits)} + {w}", bits


def _rows(s: Synapse, facts: Facts) -> Facts:
    """Row of weights, or column of the accumulators, from where an event is."""
    source, c_bits = s.source, facts["c_bits"]
    place, place_bits = _place(source)
    has_place = source.places > 1
    more: Facts = {"has_place": has_place, "place": place, "place_bits": place_bits, "has_base": False}
    c = "c_1" if has_place else "e_c"
    if s.path.kind == "one_to_one":
        bits, width = facts["column_bits"], s.target.groups * s.target.lanes
        terms = [f"{resize('place_1', place_bits, bits, False)} * {lit(width, bits)}"] if has_place else []
        terms += [resize(c, c_bits, bits, False)] if c_bits else []
        more |= {"column": " + ".join(terms) or lit(0, bits)}
        carried = [part for part in facts["event"] if part["name"] == "value"]
        carried_c = [part for part in facts["event"] if part["name"] == "c"]
        told = carried_c if facts["weight_file"] else []
        return more | {"carried": [*(carried_c if has_place else []), *carried], "told": [*told, *carried]}
    row_bits, job_bits = facts["row_bits"], facts["job_bits"]
    terms = (
        [f"{resize('place_1', place_bits, row_bits, False)} * {lit(source.channels, row_bits)}"] if has_place else []
    )
    # A group of more lanes than channels are left names no row: its upper bits are always 0.
    terms += [resize(c, c_bits, row_bits, False)] if c_bits else []
    row = " + ".join(terms) or lit(0, row_bits)
    more["row"] = row
    more["carried"] = [part for part in facts["event"] if part["name"] in ("c", "value")]
    start, bits = ("row_2", row_bits) if has_place else ("e_c", c_bits)
    if not has_place and not c_bits:
        more["job"] = lit(0, job_bits)
    elif facts["sparse"]:
        more["job"] = resize(start, bits, job_bits, False)
    else:
        words = facts["row_words"]
        wide = resize(start, bits, job_bits, False)
        more["job"] = wide if words == 1 else f"{wide} * {lit(words, job_bits)}"
    return more


def _conv(s: Synapse, facts: Facts) -> Facts:
    op = s.path.synapse
    assert isinstance(op, Conv2d)
    assert s.path.weight is not None
    height, width, channels = s.path.weight.shape[:3]
    source, target, pad, stride = s.source, s.target, op.padding, op.stride
    side = 2 + (max(source.height, source.width) + pad + max(height, width)).bit_length()
    tap = bits_for(max(height, width))
    row_bits, job_bits, place_bits = facts["row_bits"], facts["job_bits"], bits_for(target.places)
    base_bits = facts["column_bits"] if facts["sparse"] else facts["address_bits"]
    unit = target.groups * (target.lanes if facts["sparse"] else 1)
    out = {"h": bits_for(target.height), "w": bits_for(target.width)}
    parts: Facts = {}
    for axis, letter, size in (("h", "a", source.height), ("w", "b", source.width)):
        start = resize(f"e_{axis}", bits_for(size), side, False) if size > 1 else lit(0, side)
        parts[f"{axis}_tap"] = f"{start} + {lit(pad, side)} - {resize(f'tap_{letter}', tap, side, False)}"
        parts[f"{axis}_over"] = divided(f"{axis}_1", side, stride)
        whole = f" & ({axis}_over * {lit(stride, side)} == $unsigned({axis}_1))"
        if stride & (stride - 1) == 0:
            low = stride.bit_length() - 1
            whole = f" & ({axis}_1[{low - 1}:0] == {lit(0, low)})" if low else ""
        parts[f"{axis}_whole"] = whole
    place = f"{resize('h_2', out['h'], place_bits, False)} * {lit(target.width, place_bits)} + "
    place = (place if target.height > 1 else "") + resize("w_2", out["w"], place_bits, False)
    row = "tap_row" + (f" + {resize('e_c', facts['c_bits'], row_bits, False)}" if facts["c_bits"] else "")
    wide = resize("row_3", row_bits, job_bits, False)
    words = facts["row_words"]
    job = wide if facts["sparse"] or words == 1 else f"{wide} * {lit(words, job_bits)}"
    base = resize("place_3", place_bits, base_bits, False)
    return parts | {
        "padding": pad,
        "stride": stride,
        "kernel_height": height,
        "kernel_width": width,
        "channels": channels,
        "tap_bits": tap,
        "side_bits": side,
        "out_height": target.height,
        "out_width": target.width,
        "height_bits": out["h"],
        "width_bits": out["w"],
        "place_bits": place_bits,
        "place": place,
        "base_bits": base_bits,
        "base": base if unit == 1 else f"{base} * {lit(unit, base_bits)}",
        "tap_row": row,
        "job": job,
        "has_base": True,
    }


def _busy(facts: Facts) -> list[str]:
    """The signals that say that an event is on its way."""
    if facts["kind"] == "one_to_one":
        return ["stage_1"] * facts["has_place"] + ["job_valid", "valid_1e", "valid_2e"]
    stages = ["stage_1", "stage_2", "stage_3"] if facts["kind"] == "conv2d" else []
    stages = stages or ["stage_1", "stage_2"] * facts["has_place"]
    walking = ["row_valid", "valid_1e", "valid_2e"] if facts["sparse"] else []
    return [*stages, "job_valid", "busy", *walking]
