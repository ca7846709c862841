"""The models in onnxruntime: loaded once, then called on raw samples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import TargetError
from leanspike.core.trace import Ints, Trace, joined, mismatches
from leanspike.ir import Delta, Program, Rate, Sequence
from leanspike.ir.reference import check_raw
from leanspike.targets import seal
from leanspike.targets.base import Artefact
from leanspike.targets.onnx import readout
from leanspike.targets.onnx.graph import package
from leanspike.targets.onnx.models import carried

_ELEMENTS_AT_ONCE = 1 << 23

Raw = npt.NDArray[np.integer[Any]]
Numbers = npt.NDArray[np.integer[Any]] | None


@dataclass(frozen=True, eq=False)
class Prepared:
    """An artefact ready to run: ``prepared(raw, numbers)`` is a Trace; ``predict`` gives the classes alone.

    Attributes:
        whole: onnxruntime's session of NAME.onnx.
        threads: of each session.
    """

    artefact: Artefact
    whole: Any
    threads: int

    def predict(self, raw: Raw, numbers: Numbers = None) -> Ints:
        """Classes ``[B]`` of raw samples of the raw type, with nothing around onnxruntime's own call."""
        predictions: Ints = self.whole.run(["predictions"], _fed(self.artefact.program, raw, numbers))[0]
        return predictions

    def __call__(self, raw: Raw, numbers: Numbers = None, *, record: bool = False) -> Trace:
        """As :func:`leanspike.targets.onnx.run`."""
        program = self.artefact.program
        check_raw(program, raw)
        order = np.arange(len(raw)) if numbers is None else np.asarray(numbers)
        widest = max(math.prod(value.shape) for value in program.values.values())
        size = max(1, _ELEMENTS_AT_ONCE // (widest * program.steps))
        parts = [self._batch(raw[i : i + size], order[i : i + size], record) for i in range(0, max(1, len(raw)), size)]
        return joined(parts)

    def _batch(self, raw: Raw, numbers: Raw, record: bool) -> Trace:
        program = self.artefact.program
        names = [output.name for output in self.whole.get_outputs()]
        answers = self.whole.run(names, _fed(program, raw, numbers))
        given = dict(zip(names, (answer.astype(np.int64) for answer in answers), strict=True))
        spikes = {op.result.name: given[f"spikes/{op.result.name}"] for op in program.spiking}
        states = {state.name: given[f"state/{state.name}"] for state in program.states}
        whole = Trace(given["predictions"], given["scores"], given["steps"], spikes, states)
        if not record:
            return whole
        stepped = _stepped(_session(self.artefact, 1, self.threads), program, raw, numbers)
        wrong = {what: count for what, count in mismatches(whole, stepped).items() if count}
        if wrong:
            raise TargetError(f"the step model differs from the whole one in {wrong}", where=self.artefact.folder)
        return stepped


def _fed(program: Program, raw: Raw, numbers: Numbers) -> dict[str, Any]:
    fed: dict[str, Any] = {"raw": raw.astype(program.input.raw.type.dtype, copy=False)}
    if isinstance(program.input.encoding, Rate):
        fed["numbers"] = np.arange(len(raw)) if numbers is None else numbers.astype(np.int64, copy=False)
    return fed


def _stepped(session: Any, program: Program, raw: Raw, numbers: Raw) -> Trace:
    """The step model called T times, every step recorded."""
    kept, fed = carried(program), _fed(program, raw, numbers)
    live = {item.name: np.full((len(raw), *item.shape), item.start, dtype=item.kind) for item in kept}
    spikes: dict[str, list[Ints]] = {op.result.name: [] for op in program.spiking}
    states: dict[str, list[Ints]] = {state.name: [] for state in program.states}
    names = [output.name for output in session.get_outputs()]
    for t in range(program.steps):
        fed |= {"raw": _frame(program, raw, t), "step": np.array(t)}
        given = dict(zip(names, session.run(names, fed | live), strict=True))
        live = {item.name: given[f"next/{item.name}"] for item in kept}
        for layer, kept_spikes in spikes.items():
            kept_spikes.append(given[f"spikes/{layer}"].astype(np.int64))
        for name, kept_states in states.items():
            kept_states.append(live[f"state/{name}"].astype(np.int64))
    steps = live["steps"] if readout.exits(program) else np.full(len(raw), program.steps)
    every = {name: np.stack(found) for name, found in spikes.items()}
    counts = {name: found.reshape(*found.shape[:2], -1).sum((0, 2)) for name, found in every.items()}
    after = {name: np.stack(found) for name, found in states.items()}
    last = {name: found[-1] for name, found in after.items()}
    return Trace(given["predictions"], live["scores"].astype(np.int64), steps, counts, last, every, after)


def _frame(program: Program, raw: Raw, t: int) -> Raw:
    """What the step model reads in step t."""
    typed, encoding = raw.astype(program.input.raw.type.dtype, copy=False), program.input.encoding
    if isinstance(encoding, Sequence):
        return np.ascontiguousarray(typed[:, t])
    return np.ascontiguousarray(typed[:, :, t]) if isinstance(encoding, Delta) else typed


def _session(artefact: Artefact, which: int, threads: int) -> Any:
    """onnxruntime's session of the artefact's file, read and checked."""
    runtime = package("onnxruntime")
    path = artefact.folder / artefact.files[which]
    content = seal.read(path, "onnx", artefact.program)
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def prepare(artefact: Artefact, *, threads: int = 1) -> Prepared:
    """Load the whole model once, for many calls.

    Raises:
        TargetError: the file is foreign, damaged or of another program.
        MissingTool: onnxruntime is not installed.
    """
    return Prepared(artefact, _session(artefact, 0, threads), threads)
