"""The whole account of what a program costs, as a document: counts, energies line by line, opponents, one more step.

Every energy in it is a sum of lines ``count x pJ``; every pJ names the law it was got by, and the model's figures their
sources. The document is what ``leanspike costs`` writes and draws; docs/reference/energy.md names its fields.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from leanspike.ir import Program, content_hash
from leanspike.ir.counts import multiplies, working
from leanspike.ir.ops import LIF
from leanspike.measure.energy import Energy, Line, energy, figures, model, models
from leanspike.measure.fair import compare, effective_rate, incomparable, judges, map_of
from leanspike.measure.footprint import footprint
from leanspike.measure.overhead import executed, overhead
from leanspike.measure.quality import accuracy, correct, wilson
from leanspike.measure.samples import Samples
from leanspike.measure.tally import Tally, tally, whole
from leanspike.measure.work import VARIANTS, Executed

SCHEMA = 1
COMPONENTS = {
    "weights": ("weight read", "address read"),
    "synaptic arithmetic": ("mac", "ac"),
    "sums": ("sum read", "sum write"),
    "states": ("potential", "counter", "adaptation", "delay"),
    "parameters": ("bias read", "threshold read", "leak read"),
    "spikes and input": ("spike", "input"),
    "neuron arithmetic": ("update", "leak", "adapt", "current", "compare", "reset", "join"),
    "instructions": ("instruction",),
}


def component(line: Line) -> str:
    """What part of the machine a line belongs to; the longest name wins, so that leak reads are no leak."""
    names = [
        (len(start), name) for name, starts in COMPONENTS.items() for start in starts if line.item.startswith(start)
    ]
    return max(names)[1]


def account(
    name: str, program: Program, samples: Samples, instructions: float | None = None, *, timed: bool = True
) -> dict[str, Any]:
    """Execute and write down.

    Args:
        name: how the page calls the program.
        instructions: of a microcontroller a sample, if they were measured.
        timed: whether to measure latencies, too.

    Raises:
        ProgramError: the samples do not fit the program. MissingTool: the engine was not built (``timed``).
    """
    trace, found = tally(program, samples.raw, samples.numbers)
    right = correct(trace.predictions, samples.labels)
    variants = {variant: executed(program, found, variant) for variant in VARIANTS}
    event = Executed(variants["event"].work, variants["event"].traffic, instructions)
    longer = overhead(program, samples.raw, samples.numbers, judges(), timed=timed)
    return {
        "name": name,
        "program": program.name,
        "sha256": content_hash(program),
        "dataset": samples.dataset,
        "samples": len(samples.labels),
        "timesteps": program.steps,
        "encoding": program.input.encoding.keyword,
        "accuracy": accuracy(trace.predictions, samples.labels),
        "accuracy_ci95": list(wilson(right, len(samples.labels))),
        "mean_steps": float(trace.steps.mean()),
        "firing_rate": {op.result.name: _rate(op, found) for op in program.spiking},
        "connection_rate": effective_rate(program, found) if _spiking(program) else None,
        "footprint": asdict(footprint(program)),
        "layers": layers(program, found),
        "counts": {variant: counts(done) for variant, done in variants.items()},
        "energy": {name: _energies(name, event, variants["dense"]) for name in models()},
        "comparison": comparison(program, found),
        "overhead": None if longer is None else asdict(longer),
    }


def _rate(op: LIF, found: Tally) -> float:
    return float(found.nonzero[op.result.name].sum() / (math.prod(op.result.shape) * found.used.sum()))


def _spiking(program: Program) -> bool:
    return any(not multiplies(op, program) for op in working(program))


def layers(program: Program, found: Tally) -> list[dict[str, Any]]:
    """Connections, operations and rates of every layer of synapses."""
    rows = []
    for op in working(program):
        name, every = op.result.name, whole(op, program)["operations"]
        constant = bool(len(found.used) > 1 and not found.operations[name][1:].any() and multiplies(op, program))
        rows.append(
            {
                "layer": name,
                "kind": "MAC" if multiplies(op, program) else "AC",
                "connections": every,
                "operations": float(found.operations[name].sum()),
                "share": float(found.operations[name].sum() / (every * (1.0 if constant else found.used.sum()))),
                "by_step": found.operations[name].tolist(),
            }
        )
    return rows


def counts(done: Executed) -> dict[str, Any]:
    """Work and traffic as rows."""
    work = [asdict(item) for item in done.work]
    return {"work": work, "traffic": [asdict(item) for item in done.traffic or ()]}


def _energies(name: str, event: Executed, dense: Executed) -> dict[str, Any]:
    """Both variants; the lines are those of ``event``, and ``counts.dense`` times the same figures are the others."""
    return {"event": told(event, name), "dense": {k: v for k, v in told(dense, name).items() if k != "lines"}}


def told(done: Executed, name: str) -> dict[str, Any]:
    """An energy with every line, and its sums by component and layer."""
    found = energy(done, name)
    return {
        "nanojoules": found.nanojoules,
        "extrapolated": found.extrapolated,
        "lacks": found.lacks,
        "components": _summed(found, component),
        "layers": _summed(found, lambda line: line.layer),
        "lines": [_line(line) for line in found.lines],
    }


def _summed(found: Energy, key: Any) -> dict[str, float]:
    sums: dict[str, float] = {}
    for line in found.lines:
        sums[key(line)] = sums.get(key(line), 0.0) + line.nanojoules
    return sums


def _line(line: Line) -> dict[str, Any]:
    plain = {"layer": line.layer, "item": line.item, "count": line.count, "picojoules": line.picojoules}
    return {**plain, "law": line.law, "nanojoules": line.nanojoules}


def comparison(program: Program, found: Tally) -> dict[str, Any]:
    """The opponents by every model that prices both sides, and the map; or why there is none."""
    reason = incomparable(program)
    if reason:
        return {"reason": reason, "models": {}, "map": {}}
    models_ = {}
    for name in judges():
        done = compare(program, found, name)
        winners = {"equal_bits": done.winner(done.equal_bits), "fair": done.winner(done.fair)}
        models_[name] = {**asdict(done), "winner": winners}
    return {"reason": "", "models": models_, "map": {name: map_of(program, found, name) for name in judges()}}


def model_table() -> dict[str, Any]:
    """Every model with its figures, their sources and what it leaves out."""
    return {
        name: {
            "title": model(name).title,
            "node": model(name).node,
            "kind": model(name).kind,
            "leaves_out": list(model(name).leaves_out),
            "figures": [asdict(figure) for figure in figures(model(name))],
        }
        for name in models()
    }


def document(accounts: list[dict[str, Any]], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The accounts of several programs with the models they are told by; figures to nine digits."""
    told = {"schema": SCHEMA, "kind": "costs", **facts, "models": model_table(), "programs": accounts}
    return {key: _rounded(value) for key, value in told.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list | tuple) else value
