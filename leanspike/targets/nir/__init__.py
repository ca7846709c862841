"""NIR: a program as a graph that other simulators read, and from which the identical program comes back.

``docs/explanation/nir.md`` says what the graph holds and what it can only approximate. :func:`load` gives the exact
program of a file; :func:`~leanspike.targets.nir.simulators.interop` runs its graph in other simulators.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike import ir
from leanspike.core.errors import TargetError
from leanspike.core.files import write_bytes
from leanspike.core.trace import Trace
from leanspike.ir import Program
from leanspike.ir.violation import Violation
from leanspike.targets.base import Artefact, Grade
from leanspike.targets.nir.file import content, graph_of, load
from leanspike.targets.nir.graph import DT
from leanspike.targets.nir.limits import refusals, warnings
from leanspike.targets.nir.simulators import Interop, interop

__all__ = ["GRADE", "Interop", "check", "emit", "interop", "load", "run", "warnings"]

GRADE: Grade = "roundtrip"


def check(program: Program) -> list[Violation]:
    """Programs of which no graph can be drawn; what a graph only approximates is in the artefact's warnings."""
    return refusals(program)


def emit(program: Program, folder: Path) -> Artefact:
    """Write NAME.nir; ``facts["warnings"]`` names every semantic that its graph approximates or leaves out.

    Raises:
        OutputError: the folder cannot be written. MissingTool: nir is not installed.
    """
    graph = graph_of(program)
    held, name = content(program, graph), f"{program.name}.nir"
    write_bytes(folder / name, held)
    facts = {"bytes": len(held), "nodes": len(graph.nodes), "dt": DT, "warnings": warnings(program)}
    return Artefact("nir", program, folder, (name,), facts)


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """Import the file again and interpret the program that comes back: by the reference with ``record``, else fast.

    Raises:
        TargetError: the file is damaged, edited, or of another program.
        MissingTool: nir is not installed.
    """
    path = artefact.folder / artefact.files[0]
    program = load(path)
    if ir.content_hash(program) != ir.content_hash(artefact.program):
        raise TargetError("holds another program", where=path, remedy="emit it anew")
    return ir.run(program, raw, numbers, record=True) if record else ir.run_fast(program, raw, numbers)
