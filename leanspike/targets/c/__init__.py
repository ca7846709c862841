"""The C99 target: one header and one source, no heap, no float, no dependency beyond the standard headers.

Grade exact: every spike and every potential equals the reference. Arithmetic is defined by C99 throughout: no signed
overflow (the ranges prove it), no shift of a negative number, no implementation-defined conversion.
"""

from __future__ import annotations

from pathlib import Path

from leanspike.core.files import write_text
from leanspike.ir.program import Program
from leanspike.ir.violation import Violation
from leanspike.targets.base import Artefact, Grade
from leanspike.targets.c.host import run
from leanspike.targets.c.layout import lay_out
from leanspike.targets.c.source import constants, header, source

__all__ = ["GRADE", "check", "emit", "run"]

GRADE: Grade = "exact"


def check(program: Program) -> list[Violation]:
    """C99 expresses every sound program; whether it fits a board is asked of :mod:`leanspike.targets.c.boards`."""
    del program
    return []


def emit(program: Program, folder: Path) -> Artefact:
    """Write ``NAME.h`` and ``NAME.c``, named after the program.

    The artefact's facts: ``const_bytes``, what the constants take in flash; ``ram_bytes``, the size of the state where
    every type is aligned to its own size. Code and stack depend on the compiler:
    :func:`leanspike.targets.c.toolchain.footprint` measures them.

    Raises:
        OutputError: disk full or read-only.
    """
    layout = lay_out(program)
    arrays = constants(layout)
    const_bytes = sum(array.array.bytes for array in arrays)
    texts = {f"{layout.prefix}.h": header(layout, const_bytes), f"{layout.prefix}.c": source(layout, arrays)}
    for name, text in texts.items():
        write_text(folder / name, text)
    return Artefact("c", program, folder, tuple(texts), {"const_bytes": const_bytes, "ram_bytes": layout.ram_bytes})
