"""The Verilog target: an event-driven core with AXI-Stream ports, weights in block RAM as stored, and its test bench.

Grade exact: every spike and every potential of the simulated core equals the reference. Vendor-neutral Verilog 2005,
one clock, lint-clean; ports and protocol stand in docs/how-to/deploy-verilog.md.
"""

from __future__ import annotations

from pathlib import Path

from leanspike.core.files import write_text
from leanspike.ir import Program
from leanspike.ir.violation import Violation
from leanspike.targets.base import Artefact, Grade
from leanspike.targets.verilog import limits, vectors
from leanspike.targets.verilog.core import Shape, write
from leanspike.targets.verilog.simulate import run

__all__ = ["GRADE", "Shape", "check", "emit", "run"]

GRADE: Grade = "exact"


def check(program: Program) -> list[Violation]:
    """What a core cannot be made of: matmul, sums of sums with no neurons between, too wide weights; see ``limits``."""
    return limits.broken(program)


def emit(program: Program, folder: Path, *, shape: Shape | None = None) -> Artefact:
    """Write the core, its memories, and a test bench with vectors from the reference.

    The artefact's facts: ``lanes``; ``beats``, of the input stream a sample; ``beat``, what one holds; ``weight_bits``,
    ``parameter_bits``, ``accumulator_bits``, ``state_bits`` and ``queue_bits``, the memories as they are laid out.

    Raises:
        OutputError: disk full or read-only.
    """
    shape = shape or Shape()
    files = write(program, folder, shape)
    more = vectors.texts(program, shape)
    for name, text in more.items():
        write_text(folder / name, text)
    return Artefact("verilog", program, folder, (*files, *more), vectors.facts(program, shape))
