"""What every target is: a module with a grade and three functions, found by its name.

    GRADE                                       exact, roundtrip, mapped or timing; see docs/explanation/targets.md
    check(program) -> list[Violation]           what the target cannot express, all at once, each with its remedy
    emit(program, folder) -> Artefact           write the artefact
    run(artefact, raw, numbers, record) -> Trace    execute it, as leanspike.ir.reference.run

:func:`emit` and :func:`run` here are what callers use: they check first, so that nothing is written for a program
that a target does not express.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import TargetError
from leanspike.core.files import make_folder
from leanspike.core.trace import Trace
from leanspike.ir import Program, verify
from leanspike.ir.violation import Violation

Grade = Literal["exact", "roundtrip", "mapped", "timing"]
NAMES = ("engine", "c", "onnx", "tflite", "nir", "verilog", "spice", "loihi")


@dataclass(frozen=True)
class Artefact:
    """What a target wrote.

    Attributes:
        target: the target's name.
        program: what it was made from.
        folder: where the files are.
        files: names in the folder.
        facts: figures that the target states (sizes in bytes, limits), for tables and ``--json``.
    """

    target: str
    program: Program
    folder: Path
    files: tuple[str, ...]
    facts: dict[str, Any]


class Target(Protocol):
    """The face of a target's module."""

    GRADE: Grade

    def check(self, program: Program) -> list[Violation]:
        """What the target cannot express."""

    def emit(self, program: Program, folder: Path) -> Artefact:
        """Write the artefact of a program that passed ``check`` into an existing folder."""

    def run(
        self,
        artefact: Artefact,
        raw: npt.NDArray[np.integer],
        numbers: npt.NDArray[np.integer] | None = None,
        *,
        record: bool = False,
    ) -> Trace:
        """Execute the artefact on raw samples."""


def target(name: str) -> Target:
    """The target of this name.

    Raises:
        TargetError: there is none.
    """
    if name not in NAMES:
        raise TargetError(f"{name!r} is no target", remedy=f"there are {', '.join(NAMES)}")
    return importlib.import_module(f"leanspike.targets.{name}")


def emit(name: str, program: Program, folder: Path) -> Artefact:
    """Verify, check against the target's limits, and write the artefact.

    Raises:
        ProgramError: the program is not sound.
        TargetError: the target cannot express it; nothing was written.
        OutputError: the folder cannot be written.
        MissingTool: a package or program that the target needs is not installed.
    """
    chosen = target(name)
    refuse(name, chosen.check(verify(program)))
    return chosen.emit(program, make_folder(folder))


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """Execute an artefact; see :func:`leanspike.ir.reference.run`."""
    return target(artefact.target).run(artefact, raw, numbers, record=record)


def refuse(name: str, found: Sequence[Violation]) -> None:
    """Raise :class:`TargetError` with every violation, if there is one."""
    if found:
        raise TargetError("; ".join(map(str, found)), where=f"target {name}")
