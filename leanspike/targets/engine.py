"""The engine on this machine: the artefact is the program's own file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike import engine
from leanspike.core.trace import Trace
from leanspike.engine.plan import plan
from leanspike.ir import Program, save
from leanspike.ir.violation import Violation
from leanspike.targets.base import Artefact, Grade

GRADE: Grade = "exact"
MOST_ARENA = 1 << 31


def check(program: Program) -> list[Violation]:
    """Everything in a program can be run; only its working memory is limited."""
    needed = plan(program).arena_bytes
    if needed <= MOST_ARENA:
        return []
    return [Violation("memory", f"a thread works in {needed} bytes, {MOST_ARENA} at most", "a smaller network")]


def emit(program: Program, folder: Path) -> Artefact:
    """Save NAME.lsp.

    Raises:
        OutputError: the folder cannot be written. MissingTool: the engine was not built.
    """
    memory = engine.Engine(program).memory
    file = f"{program.name}.lsp"
    save(program, folder / file)
    facts = {"bytes": (folder / file).stat().st_size, "weight_bytes": memory["weights"]}
    return Artefact("engine", program, folder, (file,), facts | {"thread_bytes": memory["thread"]})


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """As :func:`leanspike.ir.reference.run`."""
    return engine.run(artefact.program, raw, numbers, record=record)
