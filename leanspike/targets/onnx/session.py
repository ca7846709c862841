"""The models in onnxruntime: loaded once, then called on raw samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from leanspike.core.errors import TargetError
from leanspike.core.trace import Ints, Trace, joined, mismatches
from leanspike.ir.reference import check_raw
from leanspike.targets import seal
from leanspike.targets.base import Artefact
from leanspike.targets.onnx.graph import package
from leanspike.targets.stepwise import Arrays, Raw, fed, stepped, whole_trace

_ELEMENTS_AT_ONCE = 1 << 23


@dataclass(frozen=True, eq=False)
class Prepared:
    """An artefact ready to run, with the face of :class:`leanspike.engine.Engine`.

    Attributes:
        whole: onnxruntime's session of NAME.onnx.
        threads: of each session.
    """

    artefact: Artefact
    whole: Any
    threads: int

    def classify(self, raw: Raw, number: int = 0) -> int:
        """The class of one raw sample of the raw type; nothing around onnxruntime's own call."""
        return int(self.predict(raw[None], np.array([number]))[0])

    def predict(self, raw: Raw, numbers: Raw | None = None) -> Ints:
        """Classes ``[B]`` of raw samples of the raw type, as one call of onnxruntime."""
        predictions: Ints = self.whole.run(["predictions"], fed(self.artefact.program, raw, numbers))[0]
        return predictions

    def run(self, raw: Raw, numbers: Raw | None = None, *, record: bool = False) -> Trace:
        """As :func:`leanspike.targets.onnx.run`."""
        program = self.artefact.program
        check_raw(program, raw)
        order = np.arange(len(raw)) if numbers is None else np.asarray(numbers)
        widest = max(math.prod(value.shape) for value in program.values.values())
        size = max(1, _ELEMENTS_AT_ONCE // (widest * program.steps))
        step = _session(self.artefact, 1, self.threads) if record else None
        parts = [self._batch(raw[i : i + size], order[i : i + size], step) for i in range(0, max(1, len(raw)), size)]
        return joined(parts)

    def _batch(self, raw: Raw, numbers: Raw, step: Any) -> Trace:
        program = self.artefact.program
        whole = whole_trace(program, _run(self.whole, fed(program, raw, numbers)))
        if step is None:
            return whole
        each = stepped(program, raw, numbers, lambda inputs, t: _run(step, inputs | {"step": np.array(t)}))
        wrong = {what: count for what, count in mismatches(whole, each).items() if count}
        if wrong:
            raise TargetError(f"the step model differs from the whole one in {wrong}", where=self.artefact.folder)
        return each


def _run(session: Any, inputs: Arrays) -> Arrays:
    """Every output by name."""
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def _session(artefact: Artefact, which: int, threads: int) -> Any:
    """onnxruntime's session of the artefact's file, read and checked."""
    runtime = package("onnxruntime")
    path = artefact.folder / artefact.files[which]
    content = seal.read(path, "onnx", artefact.program)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no other base
        what = f"onnxruntime {runtime.__version__} refuses it ({error})"
        raise TargetError(what, where=path, remedy="install the release in constraints.txt") from error


def prepare(artefact: Artefact, *, threads: int = 1) -> Prepared:
    """Load the whole model once, for many calls.

    Raises:
        TargetError: the file is foreign, damaged or of another program.
        MissingTool: onnxruntime is not installed.
    """
    return Prepared(artefact, _session(artefact, 0, threads), threads)
