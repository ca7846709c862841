"""SPICE: a layer's neurons as circuits for ngspice, whose spikes are compared with the program's in time.

``docs/explanation/analog.md`` has the rule from integers to parts. :func:`check`, :func:`emit` and :func:`run` draw the
first 16 neurons of the first spiking layer; :func:`emit_design` draws others, or for another step, capacitance or leak.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.core.files import make_folder, write_text
from leanspike.core.records import to_dict
from leanspike.core.trace import Trace
from leanspike.ir import Program, verify
from leanspike.ir.violation import Violation
from leanspike.targets.base import Artefact, Grade, refuse
from leanspike.targets.spice.circuit import CircuitRun, Raw, design_of, run_circuits
from leanspike.targets.spice.design import Design, Parts, cell
from leanspike.targets.spice.limits import refusals
from leanspike.targets.spice.loop import currents, in_loop
from leanspike.targets.spice.netlist import netlist, stem, stimulus
from leanspike.targets.spice.timing import Timing, energy, expected, timing

__all__ = [
    "GRADE", "CircuitRun", "Design", "Parts", "Timing", "cell", "check", "design_of", "emit", "emit_design", "energy",
    "expected", "refusals", "run", "run_circuits", "timing", "trace",
]  # fmt: skip

GRADE: Grade = "timing"


def check(program: Program) -> list[Violation]:
    """What the first spiking layer has that a circuit has no part for."""
    return refusals(program, Design())


def emit(program: Program, folder: Path) -> Artefact:
    """Write netlists of the first neurons, on a sample of zeros; see :func:`emit_design`."""
    return _write(program, folder, Design(), None, None)


def emit_design(
    program: Program, folder: Path, design: Design, raw: Raw | None = None, numbers: Raw | None = None
) -> Artefact:
    """Write a netlist and the currents of a sample for every neuron of a design.

    Args:
        raw, numbers: one sample, ``[1, *shape]`` and ``[1]``; zeros if None. :func:`run` brings samples of its own.

    Raises:
        ProgramError: the program is not sound. ConfigError: it has no such layer or neuron.
        TargetError: a circuit cannot express it; nothing was written. OutputError: the folder cannot be written.
    """
    refuse("spice", refusals(verify(program), design))
    return _write(program, make_folder(folder), design, raw, numbers)


def _write(program: Program, folder: Path, design: Design, raw: Raw | None, numbers: Raw | None) -> Artefact:
    layer, neurons, files = design.layer_of(program), design.neurons_of(program), list[str]()
    wanted = program.input.raw
    sample = np.zeros((1, *wanted.shape), dtype=wanted.type.dtype) if raw is None else raw
    brought = currents(program, layer, sample, numbers)[:, 0].astype(np.float64)
    for neuron in neurons:
        name, found = stem(program, design, neuron), cell(program, design, neuron)
        write_text(folder / f"{name}.cir", netlist(program, design, neuron))
        write_text(folder / f"{name}.stim", stimulus(found, brought[:, neuron], design.step))
        files += [f"{name}.cir", f"{name}.stim"]
    facts = {"layer": layer.result.name, "neurons": len(neurons), "window_ms": program.steps * design.step_ms}
    return Artefact("spice", program, folder, tuple(files), facts | {"design": to_dict(design)})


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """The program with the drawn neurons' spikes from ngspice: the rest of the network reads what the circuit fired.

    Raises:
        MissingTool: ngspice is not installed. TargetError: ngspice refuses a netlist or does not converge.
    """
    return trace(artefact, run_circuits(artefact, raw, numbers), raw, numbers, record=record)


def trace(
    artefact: Artefact, found: CircuitRun, raw: Raw, numbers: Raw | None = None, *, record: bool = False
) -> Trace:
    """The program's answers, its drawn neurons' spikes and (rounded) potentials taken from the circuits."""
    program = artefact.program
    layer = design_of(artefact).layer_of(program)
    kind = program.state[layer.state].type
    states = np.rint(found.potentials).clip(kind.lowest, kind.highest).astype(np.int64)
    given = (found.spikes.astype(np.int64), states)
    return in_loop(program, layer, found.neurons, given, raw, numbers, record=record)
