"""The models in the LiteRT interpreter: loaded once, then called on raw samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from leanspike.core.errors import TargetError
from leanspike.core.trace import Trace, joined, mismatches
from leanspike.ir.reference import check_raw
from leanspike.targets import seal
from leanspike.targets.base import Artefact
from leanspike.targets.stepwise import Arrays, Raw, fed, stepped, whole_trace
from leanspike.targets.tflite.graph import package


@dataclass(frozen=True, eq=False)
class Session:
    """An interpreter, and its signature's tensors by name."""

    interpreter: Any
    inputs: dict[str, int]
    outputs: dict[str, int]

    def run(self, inputs: Arrays, names: list[str] | None = None) -> Arrays:
        """The named outputs, all if None."""
        for name, array in inputs.items():
            self.interpreter.set_tensor(self.inputs[name], array)
        self.interpreter.invoke()
        return {name: self.interpreter.get_tensor(self.outputs[name]) for name in names or self.outputs}

    def step(self, inputs: Arrays, t: int) -> Arrays:
        """Every output of the step model in step t."""
        return self.run(inputs | {"step": np.array([t], dtype=np.int32)})


@dataclass(frozen=True, eq=False)
class Prepared:
    """An artefact ready to run, with the face of :class:`leanspike.engine.Engine`.

    Attributes:
        whole: the session of NAME.tflite.
        batch: samples a call.
    """

    artefact: Artefact
    whole: Session
    batch: int
    threads: int

    def classify(self, raw: Raw, number: int = 0) -> int:
        """The class of one raw sample of the raw type, by models of batch 1; nothing around LiteRT's own call."""
        inputs = fed(self.artefact.program, raw[None], np.array([number]))
        return int(self.whole.run(inputs, ["predictions"])["predictions"][0])

    def run(self, raw: Raw, numbers: Raw | None = None, *, record: bool = False) -> Trace:
        """As :func:`leanspike.targets.tflite.run`."""
        check_raw(self.artefact.program, raw)
        order = np.arange(len(raw)) if numbers is None else np.asarray(numbers)
        step = _session(self.artefact, 1, self.threads) if record else None
        parts = [
            self._batch(raw[i : i + self.batch], order[i : i + self.batch], step)
            for i in range(0, max(1, len(raw)), self.batch)
        ]
        return joined(parts)

    def _batch(self, raw: Raw, numbers: Raw, step: Session | None) -> Trace:
        program, count = self.artefact.program, len(raw)
        # The batch is fixed: a smaller one is filled with zeros, which every raw type holds.
        filled = np.zeros((self.batch, *raw.shape[1:]), dtype=raw.dtype)
        filled[:count] = raw
        order = np.zeros(self.batch, dtype=np.int64)
        order[:count] = numbers
        whole = _first(whole_trace(program, self.whole.run(fed(program, filled, order))), count)
        if step is None:
            return whole
        each = _first(stepped(program, filled, order, step.step), count)
        wrong = {what: differing for what, differing in mismatches(whole, each).items() if differing}
        if wrong:
            raise TargetError(f"the step model differs from the whole one in {wrong}", where=self.artefact.folder)
        return each


def _first(trace: Trace, count: int) -> Trace:
    """The first samples of a trace."""
    each = [{name: a[:count] for name, a in found.items()} for found in (trace.spikes, trace.potentials)]
    steps = [{name: a[:, :count] for name, a in found.items()} for found in (trace.step_spikes, trace.step_states)]
    return Trace(trace.predictions[:count], trace.scores[:count], trace.steps[:count], *each, *steps)


def _session(artefact: Artefact, which: int, threads: int) -> Session:
    """The interpreter of the artefact's file, read and checked."""
    runtime = package("ai_edge_litert.interpreter")
    path = artefact.folder / artefact.files[which]
    content = seal.read(path, "tflite", artefact.program)
    plain = runtime.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = runtime.Interpreter(
            model_content=content, num_threads=threads, experimental_op_resolver_type=plain
        )
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        what = f"LiteRT refuses it ({error})"
        raise TargetError(what, where=path, remedy="install the release in constraints.txt") from error
    return Session(interpreter, *_tensors(content))


def _tensors(content: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """The indices of a signature's inputs and outputs by name; the interpreter hides them behind a slower runner."""
    schema = package("ai_edge_litert.schema_py_generated")
    signature = schema.Model.GetRootAs(content, 0).SignatureDefs(0)
    inputs = (signature.Inputs(i) for i in range(signature.InputsLength()))
    outputs = (signature.Outputs(i) for i in range(signature.OutputsLength()))
    first, second = ({item.Name().decode(): item.TensorIndex() for item in items} for items in (inputs, outputs))
    return first, second


def prepare(artefact: Artefact, *, threads: int = 1) -> Prepared:
    """Load the whole model once, for many calls.

    Raises:
        TargetError: the file is foreign, damaged or of another program.
        MissingTool: ai-edge-litert is not installed.
    """
    return Prepared(artefact, _session(artefact, 0, threads), artefact.facts["batch"], threads)
