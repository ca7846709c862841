"""What models of a single step share: the state that they take and give, and how a caller runs all steps with them.

Carried from step to step, all zeros before the first step but ``going`` (true) and ``track`` (delta's start):
state/STATE int32 ``[B, *shape]``, scores int32 ``[B, K]``, of the delta encoding track int32 ``[B, C]``, and where a
sample can stop early steps int32 ``[B]`` and going bool ``[B]``. A model gives them as next/NAME.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.trace import Ints, Trace
from leanspike.ir import Delta, Program, Rate, Sequence
from leanspike.ir.ops import Shape
from leanspike.ir.reference import check_raw

MOST_MARGIN = 1 << 40
"""No lead of an early exit reaches it, and times the steps it fits 64 bits."""

Arrays = dict[str, npt.NDArray[Any]]
Raw = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Carried:
    """What goes from step to step: a name, an element type, the shape of one sample, and the value before step 0."""

    name: str
    kind: str
    shape: Shape
    start: int = 0


def exits(program: Program) -> bool:
    """Whether a sample can stop early."""
    return program.readout.exit is not None and program.classes > 1


def carried(program: Program) -> list[Carried]:
    """What a step takes and gives, in the models' order."""
    found = [Carried(f"state/{state.name}", "int32", state.shape) for state in program.states]
    found.append(Carried("scores", "int32", (program.classes,)))
    encoding = program.input.encoding
    if isinstance(encoding, Delta):
        found.append(Carried("track", "int32", program.input.raw.shape[:1], encoding.start))
    if exits(program):
        found += [Carried("steps", "int32", ()), Carried("going", "bool", (), 1)]
    return found


def frame_shape(program: Program) -> Shape:
    """The shape of what a step reads of one sample: the sample, or of a series or sequence this step's part."""
    shape, encoding = program.input.raw.shape, program.input.encoding
    if isinstance(encoding, Sequence):
        return shape[1:]
    return shape[:1] if isinstance(encoding, Delta) else shape


def frame(program: Program, raw: Raw, t: int) -> Raw:
    """What a step reads of samples ``[B, ...]`` in step t."""
    encoding = program.input.encoding
    if isinstance(encoding, Sequence):
        return np.ascontiguousarray(raw[:, t])
    return np.ascontiguousarray(raw[:, :, t]) if isinstance(encoding, Delta) else raw


def fed(program: Program, raw: Raw, numbers: Raw | None) -> Arrays:
    """The models' inputs ``raw`` and, of the rate encoding, ``numbers``.

    Raises:
        ProgramError: samples of another shape, or of another type that do not fit the raw type.
    """
    wanted = program.input.raw
    if raw.dtype != wanted.type.dtype or raw.shape[1:] != wanted.shape:
        check_raw(program, raw)
    inputs: Arrays = {"raw": raw.astype(wanted.type.dtype, copy=False)}
    if isinstance(program.input.encoding, Rate):
        inputs["numbers"] = np.arange(len(raw)) if numbers is None else numbers.astype(np.int64, copy=False)
    return inputs


def whole_trace(program: Program, given: Arrays) -> Trace:
    """The trace in the outputs of a model of all steps: predictions, scores, steps, spikes/LAYER and state/STATE."""
    wide = {name: array.astype(np.int64) for name, array in given.items()}
    spikes = {op.result.name: wide[f"spikes/{op.result.name}"] for op in program.spiking}
    states = {state.name: wide[f"state/{state.name}"] for state in program.states}
    return Trace(wide["predictions"], wide["scores"], wide["steps"], spikes, states)


def stepped(program: Program, raw: Raw, numbers: Raw, call: Callable[[Arrays, int], Arrays]) -> Trace:
    """All steps of samples, one call of a step model each, with the spikes and states of every step.

    Args:
        call: from the inputs but the step's number, and that number, to the outputs.
    """
    kept, inputs = carried(program), fed(program, raw, numbers)
    typed = inputs["raw"]
    live: Arrays = {item.name: np.full((len(raw), *item.shape), item.start, dtype=item.kind) for item in kept}
    spikes: dict[str, list[Ints]] = {op.result.name: [] for op in program.spiking}
    states: dict[str, list[Ints]] = {state.name: [] for state in program.states}
    given: Arrays = {}
    for t in range(program.steps):
        given = call(inputs | live | {"raw": frame(program, typed, t)}, t)
        live = {item.name: given[f"next/{item.name}"] for item in kept}
        for layer, every in spikes.items():
            every.append(given[f"spikes/{layer}"].astype(np.int64))
        for name, after in states.items():
            after.append(live[f"state/{name}"].astype(np.int64))
    used = live["steps"].astype(np.int64) if exits(program) else np.full(len(raw), program.steps)
    fired = {name: np.stack(every) for name, every in spikes.items()}
    kept_states = {name: np.stack(after) for name, after in states.items()}
    counts = {name: every.reshape(*every.shape[:2], -1).sum((0, 2)) for name, every in fired.items()}
    last = {name: after[-1] for name, after in kept_states.items()}
    predictions, scores = given["predictions"].astype(np.int64), live["scores"].astype(np.int64)
    return Trace(predictions, scores, used, counts, last, fired, kept_states)
