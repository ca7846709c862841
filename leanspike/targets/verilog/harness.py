"""Samples into beats, and what a simulated core did back into a Trace.

results    per sample: K scores, class, steps used, cycles from its first beat to its last word
rows       per layer, group and step: first, address, spikes (a bit a lane), L states, L holds
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.trace import Ints, Trace
from leanspike.ir import LIF, Delay, Direct, Program, encode
from leanspike.ir.ops import Integrate
from leanspike.ir.reference import apply
from leanspike.targets.verilog.core import TOP
from leanspike.targets.verilog.plan import Layout, Neurons, Plan

MOST_PATIENCE = 1 << 30
"""What an integer of a test bench still counts."""


@dataclass(frozen=True, eq=False)
class Simulated:
    """What came out of a simulator: ``results`` [B, K + 3], and of every layer either every row or the ends.

    Attributes:
        rows: ``[R, 3 + 2 L]`` a layer; empty where only the ends were asked for.
        counts: ``[B]`` spikes a layer; last: ``[B, 2, words, L]`` states and holds after the last step.
        cycles: of the whole run.
    """

    results: Ints
    rows: tuple[Ints, ...]
    counts: tuple[Ints, ...]
    last: tuple[Ints, ...]
    cycles: int


def facts(plan: Plan, vectors: int = 0) -> dict[str, Any]:
    """What the templates of the test bench and the harness need."""
    value_bits = plan.input_layout.lanes if plan.packed else plan.program.input.result.type.bits
    layers = [
        {"name": n.name, "mangled": n.name.replace("_", "__"), "words": n.layout.words, "lanes": n.layout.lanes}
        for n in plan.neurons
    ]
    return {
        "top": TOP,
        "mangled": TOP.replace("_", "__"),
        "beats": plan.beats,
        "classes": plan.program.classes,
        "data_bits": -(-value_bits // 8) * 8,
        "layers": layers,
        "patience": patience(plan),
        "vectors": vectors,
    }


def patience(plan: Plan) -> int:
    """Cycles without a beat or a finished group after which a core hangs: more than adding every weight takes."""
    found = 10_000
    for s in plan.synapses:
        assert s.path.weight is not None
        inputs = s.source.places * s.source.channels
        taps = math.prod(s.path.weight.shape[:2]) * s.target.groups if s.path.kind == "conv2d" else s.target.words
        found += s.target.words + inputs * (8 + taps * (s.target.lanes if s.path.sparse else 1))
    return min(found, MOST_PATIENCE)


def beats(plan: Plan, encoded: Ints) -> npt.NDArray[np.uint32]:
    """``[T, B, ...]`` encoded samples as ``[B, beats]`` words of the input stream."""
    steps = encoded[:1] if isinstance(plan.program.input.encoding, Direct) else encoded
    layout, batch = plan.input_layout, encoded.shape[1]
    values = np.moveaxis(steps.reshape(len(steps), batch, layout.places, layout.channels), 1, 0)
    if not plan.packed:
        bits = plan.program.input.result.type.bits
        return (values & ((1 << bits) - 1)).reshape(batch, -1).astype(np.uint32)
    laid = np.zeros((batch, len(steps), layout.places, layout.groups * layout.lanes), dtype=np.int64)
    laid[..., : layout.channels] = values
    words = laid.reshape(batch, -1, layout.lanes) << np.arange(layout.lanes)
    packed: npt.NDArray[np.uint32] = words.sum(2).astype(np.uint32)
    return packed


def _laid_out(words: Ints, layout: Layout, shape: tuple[int, ...]) -> Ints:
    """``[..., words, L]`` as ``[..., *shape]``."""
    front = words.shape[:-2]
    places = words.reshape(*front, layout.places, layout.groups * layout.lanes)[..., : layout.channels]
    return places.reshape(*front, *shape)


def trace(
    plan: Plan, raw: npt.NDArray[Any], numbers: npt.NDArray[Any] | None, got: Simulated, *, record: bool
) -> Trace:
    """The trace of a run. A delay's state is derived from the spikes and inputs that the core delayed."""
    program, classes = plan.program, plan.program.classes
    scores, predictions, steps = np.split(got.results[:, : classes + 2], [classes, classes + 1], axis=1)
    used = steps[:, 0]
    if not record:
        return _ends(plan, got, (predictions[:, 0], scores, used))
    fired, after = {}, {}
    for n, rows in zip(plan.neurons, got.rows, strict=True):
        spikes, states, holds = _steps(n, rows, used, program.steps)
        after[n.op.state] = states
        if isinstance(n.op, LIF):
            fired[n.op.result.name] = spikes
            if n.op.hold is not None:
                after[n.op.hold] = holds
    after |= _delayed(program, raw, numbers, fired, used)
    counts = {name: each.reshape(*each.shape[:2], -1).sum((0, 2)) for name, each in fired.items()}
    return Trace(predictions[:, 0], scores, used, counts, {k: v[-1] for k, v in after.items()}, fired, after)


def _steps(n: Neurons, rows: Ints, used: Ints, steps: int) -> tuple[Ints, Ints, Ints]:
    """Spikes, states and holds ``[T, B, *shape]`` from the rows of a layer; after an exit nothing changes."""
    layout, shape, lanes = n.layout, n.op.result.shape, n.layout.lanes
    total = int(used.sum())
    each = rows[: total * layout.words].reshape(total, layout.words, -1)
    laid = np.zeros((total, layout.words, 1 + 2 * lanes), dtype=np.int64)
    np.put_along_axis(laid, each[:, :, 1, None].repeat(1 + 2 * lanes, 2), each[:, :, 2:], 1)
    bits = laid[:, :, :1] >> np.arange(lanes) & 1
    parts = [bits, laid[:, :, 1 : 1 + lanes], laid[:, :, 1 + lanes :]]
    start = np.concatenate([[0], np.cumsum(used)[:-1]])
    at = start + np.minimum(np.arange(steps)[:, None], used - 1)
    spikes, states, holds = (_laid_out(part, layout, shape)[at] for part in parts)
    ended = np.arange(steps)[:, None] >= used
    spikes[ended] = 0
    return spikes, states, holds


def _ends(plan: Plan, got: Simulated, told: tuple[Ints, Ints, Ints]) -> Trace:
    counts, states = {}, {}
    for n, spikes, last in zip(plan.neurons, got.counts, got.last, strict=True):
        kept = _laid_out(last, n.layout, n.op.result.shape)
        states[n.op.state] = kept[:, 0]
        if isinstance(n.op, LIF):
            counts[n.op.result.name] = spikes
            if n.op.hold is not None:
                states[n.op.hold] = kept[:, 1]
    return Trace(*told, counts, states)


def needs_rows(program: Program) -> bool:
    """Whether the ends need every step: what a delay holds is derived from the spikes of the last one."""
    return any(isinstance(op, Delay) for op in program.operations)


def _delayed(program: Program, raw: Any, numbers: Any, fired: dict[str, Ints], used: Ints) -> dict[str, Ints]:
    """The states of delays after every step ``[T, B, *shape]``, from the inputs and the spikes."""
    kept = [op for op in program.operations if isinstance(op, Delay)]
    if not kept:
        return {}
    encoded, batch = encode(program, raw, numbers), len(raw)
    live = {op.state: np.zeros((batch, *op.result.shape), dtype=np.int64) for op in kept}
    found: dict[str, list[Ints]] = {op.state: [] for op in kept}
    for t in range(program.steps):
        values = {program.input.result.name: np.asarray(encoded[t])}
        for op in program.operations:
            name = op.result.name
            if isinstance(op, LIF):
                values[name] = fired[name][t]
            elif isinstance(op, Integrate):
                values[name] = np.zeros((batch, *op.result.shape), dtype=np.int64)
            else:
                values[name] = apply(op, program, values, live, t)
        going = t < used
        for op in kept:
            now = values[op.of]
            live[op.state] = np.where(going.reshape(-1, *[1] * (now.ndim - 1)), now, live[op.state])
            found[op.state].append(live[op.state])
    return {name: np.stack(each) for name, each in found.items()}


def sizes(plan: Plan) -> list[int]:
    """Words of a group's row, a layer."""
    return [3 + 2 * n.layout.lanes for n in plan.neurons]


def state_size(n: Neurons) -> int:
    """Numbers that a layer's states and holds are at the end of a sample."""
    return 2 * math.prod((n.layout.words, n.layout.lanes))
