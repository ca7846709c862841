"""ONNX: a program as two models of integer operators, exact in onnxruntime.

NAME.onnx runs all steps, NAME_step.onnx one, with the state as inputs and outputs. Both take raw samples in batches of
any size; the rate encoding draws inside the model. :mod:`leanspike.targets.onnx.models` states inputs and outputs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.core.files import write_bytes
from leanspike.core.trace import Trace
from leanspike.ir import Program, ranges
from leanspike.ir.violation import Violation
from leanspike.targets import seal
from leanspike.targets.base import Artefact, Grade
from leanspike.targets.onnx.graph import OPSET
from leanspike.targets.onnx.models import step_model, whole_model
from leanspike.targets.onnx.session import Prepared, prepare
from leanspike.targets.rules import early_sums

__all__ = ["GRADE", "Prepared", "check", "emit", "prepare", "run"]

GRADE: Grade = "exact"
MOST_CONSTANTS = 1 << 30


def check(program: Program) -> list[Violation]:
    """What the models cannot express: sums that leave 32 bits on the way, and files that protobuf cannot hold."""
    found = early_sums(program, ranges(program))
    size = sum(4 * array.values.size for array in program.arrays.values())
    if size > MOST_CONSTANTS:
        what = f"its constants may take {size} bytes, an ONNX file here {MOST_CONSTANTS} at most"
        found.append(Violation("arrays", what, "a smaller network"))
    return found


def emit(program: Program, folder: Path) -> Artefact:
    """Write NAME.onnx and NAME_step.onnx.

    Raises:
        OutputError: the folder cannot be written. MissingTool: onnx is not installed.
    """
    found, opened = ranges(program), seal.open_seal("onnx", program)
    models = {f"{program.name}.onnx": whole_model, f"{program.name}_step.onnx": step_model}
    contents = {}
    for name, build in models.items():
        model = build(program, found, opened)
        contents[name] = seal.close(model.SerializeToString(deterministic=True))
    for name, content in contents.items():
        write_bytes(folder / name, content)
    whole, step = map(len, contents.values())
    facts = {"bytes": whole, "step_bytes": step, "opset": OPSET, "encoding": "in the model"}
    return Artefact("onnx", program, folder, tuple(contents), facts)


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """Execute the models in onnxruntime, as :func:`leanspike.ir.reference.run`.

    With ``record`` the step model runs beside the whole one, gives the steps, and must agree with it.

    Raises:
        ProgramError: the samples do not fit the program.
        TargetError: a file is foreign, damaged or of another program, or the two models disagree.
        MissingTool: onnxruntime is not installed.
    """
    return prepare(artefact).run(raw, numbers, record=record)
