"""What a program's synapses do for an answer: one operation for each non-zero input and each connection it has.

    n(b) = sum over t < steps(b), j with x[t, b, j] != 0, of reach(j)      reach: outputs that input j is connected to

A synapse of spikes accumulates (AC); one of wider integers multiplies and accumulates (MAC). A synapse whose input is
the same in every step (direct encoding) is computed once, and counted once. A scale is a synapse of reach 1.

A matmul (attention) does one operation for each pair of its factors that meet and are both not 0: an AC where a side is
spikes, so that the other is only summed where those are, else a MAC.

    scores    sum over j of (non-zero a[:, j]) (non-zero b[:, j])
    values    sum over h, m of (non-zero a[h, :, m]) (non-zero b[m, channels of h])
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leanspike.ir.encodings import Direct
from leanspike.ir.fast import propagated, trace
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.ops import Conv2d, Dense, Matmul, Scale, sources, states
from leanspike.ir.program import Program

Synapse = Dense | Conv2d
Working = Dense | Conv2d | Scale | Matmul


def synapses(program: Program) -> tuple[Synapse, ...]:
    """Every dense and convolutional operation."""
    return tuple(op for op in program.operations if isinstance(op, Dense | Conv2d))


def working(program: Program) -> tuple[Working, ...]:
    """Every operation that does synaptic operations."""
    return tuple(op for op in program.operations if isinstance(op, Working))


def synaptic_operations(
    program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer] | None = None
) -> dict[str, Ints]:
    """Operations ``[B]`` of every sample, by the name of the value of a synapse, scale or matmul.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    parts: dict[str, list[Ints]] = {op.result.name: [] for op in working(program)}
    constant = constant_values(program)
    reaches = {op.result.name: reach(op, program) for op in working(program) if not isinstance(op, Matmul)}
    for part, (live, after) in propagated(program, raw, numbers):
        used = np.arange(program.steps)[:, None] < trace(program, len(part), live, after).steps
        for op in working(program):
            name = op.result.name
            if isinstance(op, Matmul):
                done = pairs(op, live[op.left] != 0, live[op.right] != 0)
            else:
                x = live[op.source]
                done = (x != 0).reshape(*x.shape[:2], reaches[name].size) @ reaches[name].reshape(-1)
            parts[name].append(done[0] if constant.issuperset(sources(op)) else (done * used).sum(0))
    return {name: np.concatenate(counts) for name, counts in parts.items()}


def pairs(operation: Matmul, a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> Ints:
    """Pairs of factors that meet, of ``[..., *shape]`` sides that say which are not 0."""
    right = b.reshape(*b.shape[:-1], operation.heads, b.shape[-1] // operation.heads)
    if operation.form == "scores":
        columns: Ints = (a.sum(-2) * b.sum(-2)).sum(-1)
        return columns
    met: Ints = (a.sum(-2) * right.sum(-1).swapaxes(-1, -2)).sum((-2, -1))
    return met


def multiplies(operation: Working, program: Program) -> bool:
    """Whether an operation of this synapse, scale or matmul is a MAC."""
    return all(program.values[name].type != SPIKE for name in sources(operation))


def constant_values(program: Program) -> set[str]:
    """Values that are the same in every step: what comes from a direct input without neurons in between."""
    if not isinstance(program.input.encoding, Direct):
        return set()
    found = {program.input.result.name}
    for op in program.operations:
        if not states(op) and found.issuperset(sources(op)):
            found.add(op.result.name)
    return found


def reach(synapse: Synapse | Scale, program: Program) -> Ints:
    """Connections of every input, of the source's shape: of dense weights all, of sparse ones those that are not 0."""
    if isinstance(synapse, Scale):
        return np.ones(program.values[synapse.source].shape, dtype=np.int64)
    weight = program.arrays[synapse.weight]
    outputs: Ints = np.full(weight.values.shape[:-1], weight.values.shape[-1])
    if weight.form == "sparse":
        outputs = (weight.values != 0).sum(-1)
    return spread(synapse, program, outputs)


def spread(synapse: Synapse, program: Program, rows: Ints) -> Ints:
    """What every input meets, of the source's shape, where each row of weights that it reaches holds ``rows`` of it.

    Args:
        rows: a figure for every row of the weight array: of its shape without the last axis.
    """
    if isinstance(synapse, Dense):
        return rows
    source, kernel = program.values[synapse.source].shape, rows.shape
    table = _cumulated(_cumulated(rows, 0, synapse.stride), 1, synapse.stride)
    (first, last), (left, right) = (
        _taps(synapse, source[axis], synapse.result.shape[axis], kernel[axis]) for axis in (0, 1)
    )
    below, above = table[last], table[first]
    total: Ints = below[:, right] - below[:, left] - above[:, right] + above[:, left]
    return total


def _cumulated(outputs: Ints, axis: int, stride: int) -> Ints:
    """Sums over the taps a, a - stride, a - 2 stride, ... for every a along an axis, and a 0 behind, which -1 reads."""
    sums = np.moveaxis(outputs, axis, 0).astype(np.int64)
    whole = len(sums) // stride * stride
    sums[:whole] = sums[:whole].reshape(-1, stride, *sums.shape[1:]).cumsum(0).reshape(whole, *sums.shape[1:])
    if whole:
        sums[whole:] += sums[whole - stride : len(sums) - stride]
    return np.moveaxis(np.concatenate([sums, np.zeros_like(sums[:1])]), 0, axis)


def _taps(synapse: Conv2d, source: int, result: int, kernel: int) -> tuple[Ints, Ints]:
    """The taps (first, last] that read each place along one axis, a stride apart; -1 stands before the first."""
    place, stride = np.arange(source) + synapse.padding, synapse.stride
    most = np.minimum(kernel - 1, place)
    last = most - (most - place) % stride
    least = np.maximum(0, place - stride * (result - 1))
    first = least + (place - least) % stride - stride
    return np.minimum(first, last).clip(min=-1), last.clip(min=-1)
