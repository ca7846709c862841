"""TFLite: a program as two models of integer operators, exact in the LiteRT interpreter.

NAME.tflite runs all steps, NAME_step.tflite one, with the state as inputs and outputs. Both take raw samples in batches
of one fixed size; the rate encoding draws inside the model. :mod:`leanspike.targets.tflite.models` states inputs and
outputs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import TargetError
from leanspike.core.files import write_bytes
from leanspike.core.trace import Trace
from leanspike.ir import Conv2d, Dense, IntType, Matmul, Program, ranges
from leanspike.ir.ranges import Ranges
from leanspike.ir.violation import Violation
from leanspike.targets import seal
from leanspike.targets.base import Artefact, Grade
from leanspike.targets.rules import WORD, early_sums
from leanspike.targets.tflite.models import step_model, whole_model
from leanspike.targets.tflite.products import Factors, interval
from leanspike.targets.tflite.session import Prepared, prepare

__all__ = ["GRADE", "Prepared", "check", "emit", "prepare", "run"]

GRADE: Grade = "exact"
MOST_CONSTANTS = 1 << 30
WEIGHT = IntType(8, True)


def check(program: Program) -> list[Violation]:
    """What the models cannot express: wide weights, sums that leave 32 bits on the way, and too large files."""
    found = ranges(program)
    violations = early_sums(program, found)
    for operation in program.operations:
        if isinstance(operation, Dense | Conv2d):
            violations += _product(operation, program, found)
        if isinstance(operation, Matmul):
            what = "a matmul: BATCH_MATMUL takes a constant right side of 8 bits here"
            violations.append(Violation(operation.result.name, what, "emit to C or ONNX"))
    size = sum(4 * array.values.size for array in program.arrays.values())
    if size > MOST_CONSTANTS:
        what = f"its constants may take {size} bytes, a TFLite file here {MOST_CONSTANTS} at most"
        violations.append(Violation("arrays", what, "a smaller network"))
    return violations


def _product(operation: Dense | Conv2d, program: Program, found: Ranges) -> list[Violation]:
    weight, where = program.array(operation.weight), operation.result.name
    if not WEIGHT.holds(int(weight.min()), int(weight.max())):
        what = f"weights from {weight.min()} to {weight.max()}, BATCH_MATMUL takes 8 bits"
        return [Violation(where, what, "quantise to 8 bits or fewer")]
    range_ = found.values[operation.source]
    lowest, highest = interval(operation, range_.lowest, range_.highest)
    flat = weight.reshape(-1, weight.shape[-1])
    reach = Factors.of(lowest, highest, flat).reach(lowest, highest, flat)
    if reach <= WORD.highest:
        return []
    what = f"the sum of the products of its input's bytes reaches {reach}, 32 bits are there"
    return [Violation(where, what, "fewer bits in the input or the weights")]


def emit(program: Program, folder: Path, *, batch: int = 1) -> Artefact:
    """Write NAME.tflite and NAME_step.tflite.

    Args:
        batch: samples a call; the models' shapes are fixed to it.

    Raises:
        TargetError: a batch below 1.
        OutputError: the folder cannot be written. MissingTool: ai-edge-litert is not installed.
    """
    if batch < 1:
        raise TargetError(f"a batch of {batch}", where="target tflite", remedy="give 1 or more")
    found, opened = ranges(program), seal.open_seal("tflite", program)
    models = {f"{program.name}.tflite": whole_model, f"{program.name}_step.tflite": step_model}
    contents = {name: seal.close(build(program, found, opened, batch)) for name, build in models.items()}
    for name, content in contents.items():
        write_bytes(folder / name, content)
    whole, step = map(len, contents.values())
    facts = {"bytes": whole, "step_bytes": step, "batch": batch, "encoding": "in the model"}
    return Artefact("tflite", program, folder, tuple(contents), facts)


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """Execute the models in the LiteRT interpreter, as :func:`leanspike.ir.reference.run`.

    With ``record`` the step model runs beside the whole one, gives the steps, and must agree with it.

    Raises:
        ProgramError: the samples do not fit the program.
        TargetError: a file is foreign, damaged or of another program, or the two models disagree.
        MissingTool: ai-edge-litert is not installed.
    """
    return prepare(artefact).run(raw, numbers, record=record)
