"""Loihi's fixed-point rules: a program as compartments and synapses, simulated; no chip is used anywhere.

``docs/explanation/loihi.md`` says what maps exactly and what is approximated. Where :func:`mapping.mapped` names no
approximation, the simulated network equals the program; else :func:`agreement.agreement` measures how far it is off.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.core.trace import Trace
from leanspike.ir import Program
from leanspike.ir.violation import Violation
from leanspike.targets.base import Artefact, Grade
from leanspike.targets.loihi import file, simulate
from leanspike.targets.loihi.agreement import Agreement, agreement
from leanspike.targets.loihi.cores import placed
from leanspike.targets.loihi.limits import refusals
from leanspike.targets.loihi.mapping import Mapping, mapped

__all__ = ["GRADE", "Agreement", "Mapping", "agreement", "check", "emit", "mapped", "placed", "run"]

GRADE: Grade = "mapped"


def check(program: Program) -> list[Violation]:
    """What no compartment does, or else what does not fit one chip."""
    return refusals(program) or list(placed(mapped(program)).violations)


def emit(program: Program, folder: Path) -> Artefact:
    """Write NAME.loihi.json, .npz and .md; ``facts["warnings"]`` names what is approximated.

    Raises:
        OutputError: the folder cannot be written.
    """
    mapping = mapped(program)
    placement = placed(mapping)
    files = file.write(mapping, placement, folder)
    facts = {
        "mapping": "exact" if mapping.exact else "approximated",
        "compartments": sum(row.compartments for row in placement.table),
        "synapses": sum(row.synapses for row in placement.table),
        "synapse_memory_bytes": sum(row.synapse_bits for row in placement.table) // 8,
        "neurocores": placement.total,
        "note": file.NOTE,
        "warnings": [str(found) for found in mapping.approximations],
    }
    return Artefact("loihi", program, folder, files, facts)


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """Simulate the network that the files hold; see :mod:`leanspike.targets.loihi.simulate`.

    Raises:
        TargetError: the files are damaged, or of another program. ProgramError: the samples do not fit it.
    """
    return simulate.run(file.read(artefact.folder, artefact.program), raw, numbers, record=record)
