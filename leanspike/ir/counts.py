"""What a program's synapses do for an answer: one operation for each non-zero input and each connection it has.

    n(b) = sum over t < steps(b), j with x[t, b, j] != 0, of reach(j)      reach: outputs that input j is connected to

A synapse of spikes accumulates (AC); one of wider integers multiplies and accumulates (MAC). A synapse whose input is
the same in every step (direct encoding) is computed once, and counted once.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leanspike.ir.encodings import Direct
from leanspike.ir.fast import propagated, trace
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.ops import LIF, Conv2d, Dense, Integrate, sources
from leanspike.ir.program import Program

Synapse = Dense | Conv2d


def synapses(program: Program) -> tuple[Synapse, ...]:
    """Every dense and convolutional operation."""
    return tuple(op for op in program.operations if isinstance(op, Dense | Conv2d))


def synaptic_operations(
    program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None = None
) -> dict[str, Ints]:
    """Operations ``[B]`` of every sample, by the name of a synapse's value.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    parts: dict[str, list[Ints]] = {op.result.name: [] for op in synapses(program)}
    constant, reaches = constant_values(program), {op.result.name: reach(op, program) for op in synapses(program)}
    for part, (live, states) in propagated(program, raw, numbers):
        used = np.arange(program.steps)[:, None] < trace(program, len(part), live, states).steps
        for op in synapses(program):
            name, x = op.result.name, live[op.source]
            done = (x != 0).reshape(*x.shape[:2], reaches[name].size) @ reaches[name].reshape(-1)
            parts[name].append(done[0] if op.source in constant else (done * used).sum(0))
    return {name: np.concatenate(counts) for name, counts in parts.items()}


def multiplies(synapse: Synapse, program: Program) -> bool:
    """Whether an operation of this synapse is a MAC."""
    return program.values[synapse.source].type != SPIKE


def constant_values(program: Program) -> set[str]:
    """Values that are the same in every step: what comes from a direct input without neurons in between."""
    if not isinstance(program.input.encoding, Direct):
        return set()
    found = {program.input.result.name}
    for op in program.operations:
        if not isinstance(op, LIF | Integrate) and found.issuperset(sources(op)):
            found.add(op.result.name)
    return found


def reach(synapse: Synapse, program: Program) -> Ints:
    """Connections of every input, of the source's shape."""
    kernel, source = program.arrays[synapse.weight].values.shape, program.values[synapse.source].shape
    if isinstance(synapse, Dense):
        return np.full(source, kernel[1])
    rows, columns = (_taps(synapse, source[axis], synapse.result.shape[axis], kernel[axis]) for axis in (0, 1))
    return np.broadcast_to((rows[:, None] * columns * kernel[3])[:, :, None], source)


def _taps(synapse: Conv2d, source: int, result: int, kernel: int) -> Ints:
    """How many pairs of an output and a tap read each place along one axis."""
    place = np.arange(source) + synapse.padding
    first = np.maximum(0, -((kernel - 1 - place) // synapse.stride))
    last = np.minimum(result - 1, place // synapse.stride)
    count: Ints = np.maximum(0, last - first + 1)
    return count
