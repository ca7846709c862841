"""The core of a program as Verilog: one module a synapse, a layer, a neuron, and the two streams at its ends.

Events flow from module to module through queues; there is no controller. A layer computes a step as soon as its
currents are complete, while the layers before it are at the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from leanspike.core.errors import TargetError
from leanspike.core.files import write_text
from leanspike.ir import Program, content_hash, render
from leanspike.targets.templates import environment
from leanspike.targets.verilog import ends, layer, synapse
from leanspike.targets.verilog.expressions import bus, lit, resize, resize_at
from leanspike.targets.verilog.plan import Plan, plan
from leanspike.targets.verilog.synapse import Facts

TOP = "leanspike_core"
MOST_LANES = 32
LIBRARY = ("leanspike_fifo.v", "leanspike_ram.v", "leanspike_rom.v")


@dataclass(frozen=True)
class Shape:
    """How much is computed at once.

    Attributes:
        lanes: neurons, and weights of a dense row, a clock: a power of two, 1 to 32. A layer of fewer neurons takes
            fewer.
    """

    lanes: int = 8

    def __post_init__(self) -> None:
        if self.lanes not in (1, 2, 4, 8, 16, 32):
            raise TargetError(f"a core of {self.lanes} lanes", where="target verilog", remedy="1, 2, 4, 8, 16 or 32")


def write(program: Program, folder: Path, shape: Shape | None = None) -> tuple[str, ...]:
    """Write the core of a program that passed the target's check: modules, the top one first, and memory contents.

    Returns:
        Names of the files in ``folder``: ``.v`` sources and ``.hex`` files of $readmemh, which tools must find in their
        working folder.

    Raises:
        TargetError: a shape that is none. OutputError: the folder cannot be written.
    """
    found = texts(program, shape or Shape())
    for name, text in found.items():
        write_text(folder / name, text)
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Parts:
    """The facts of a core's modules, as its templates take them, and the contents of its memories by file name."""

    synapses: list[Facts]
    layers: list[Facts]
    entry: Facts
    readout: Facts
    memories: dict[str, str]


def parts(planned: Plan) -> Parts:
    """Everything that is written of a plan but the words around it."""
    program = planned.program
    lines = render(program).splitlines()
    told = {line.split(":")[0]: line for line in lines if ": " in line}
    layers, every, memories = list[Facts](), list[Facts](), dict[str, str]()
    for n in planned.neurons:
        synapses = []
        for s in n.synapses:
            facts, files = synapse.synapse(s, told[s.value])
            synapses.append(facts | {"from_module": _from(planned, s.path.source)})
            memories |= files
        facts, files = layer.neurons(n, planned, told[n.op.result.name], synapses)
        layers.append(facts)
        every += synapses
        memories |= files
    for facts in layers:
        facts["consumers"] = [s for s in every if s["source"] == facts["value"]]
    text = next(line for line in lines if line.startswith("readout"))
    index = next(i for i, n in enumerate(planned.neurons) if n.is_readout)
    reading = ends.readout(planned, text, planned.neurons[index], layers[index])
    name = program.input.result.name
    entry = ends.start(planned, told[name], [s for s in every if s["source"] == name])
    return Parts(every, layers, entry, reading, memories)


def texts(program: Program, shape: Shape) -> dict[str, str]:
    """The files by name, the top module's first."""
    planned = plan(program, shape.lanes)
    made = parts(planned)
    modules = {TOP: render_template("core.v.jinja", c=_top(planned, made))}
    modules |= {s["module"]: render_template("synapse.v.jinja", s=s) for s in made.synapses}
    for n in made.layers:
        modules[n["module"]] = render_template("neurons.v.jinja", n=n)
        modules[n["lane_module"]] = render_template("neuron.v.jinja", n=n)
        modules[n["walk_module"]] = render_template("walk.v.jinja", n=n)
    modules[made.entry["module"]] = render_template("input.v.jinja", i=made.entry)
    modules[made.readout["module"]] = render_template("readout.v.jinja", r=made.readout)
    sources = {f"{module}.v": text for module, text in modules.items()}
    return sources | {name: _library(name) for name in LIBRARY} | made.memories


def _from(planned: Plan, source: str) -> str:
    word = "input" if source == planned.program.input.result.name else "neurons"
    return f"{word}_{planned.endings[source]}"


def _top(planned: Plan, made: Parts) -> Facts:
    program = planned.program
    return {
        "name": program.name,
        "program": render(program).splitlines(),
        "sha256": content_hash(program),
        "lanes": planned.lanes,
        "input_text": f"{made.entry['beat_text']}; {planned.beats} beats a sample",
        "classes": program.classes,
        "exits": planned.exits,
        "data_bits": made.entry["data_bits"],
        "input": made.entry,
        "neurons": made.layers,
        "readout": made.readout,
    }


def render_template(name: str, **facts: Any) -> str:
    """A template of this package with facts."""
    return _environment().get_template(name).render(**facts)


def _library(name: str) -> str:
    return (Path(__file__).parent / "templates" / name).read_text(encoding="utf-8")


def core_sources(names: Iterable[str]) -> list[str]:
    """The Verilog sources of the core among the files of an artefact."""
    return [name for name in names if name.endswith(".v") and not name.endswith("_tb.v")]


@functools.cache
def _environment() -> jinja2.Environment:
    found = environment("leanspike.targets.verilog")
    found.globals |= {"bus": bus, "lit": lit, "resize": resize, "resize_at": resize_at}
    return found
