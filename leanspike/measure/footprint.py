"""Memory of a program as stored: every integer at its own width.

    constants   sum over arrays of size * bits      weights, biases, thresholds, leaks, tables
    states      sum over states of size * bits      potentials, refractory counters

Rounded up to bytes array by array and state by state. What a target needs beside (code, stack, padding) it states
itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from leanspike.ir.ops import Conv2d, Dense, Shape
from leanspike.ir.program import Program


@dataclass(frozen=True)
class Footprint:
    """Bytes and counts of a program.

    Attributes:
        array_bytes, state_bytes: as stored.
        parameters: stored constants that were trained: weights, biases, thresholds, leaks.
        synapses: connections, a convolution's weights at every place they reach.
        neurons: neurons with a potential.
    """

    array_bytes: int
    state_bytes: int
    parameters: int
    synapses: int
    neurons: int


def footprint(program: Program) -> Footprint:
    """Count."""
    arrays = sum(-(-array.stored_bits // 8) for array in program.arrays.values())
    states = sum(-(-math.prod(state.shape) * state.type.bits // 8) for state in program.states)
    table = getattr(program.input.encoding, "table", None)
    parameters = sum(array.values.size for name, array in program.arrays.items() if name != table)
    hold = {op.hold for op in program.spiking}
    neurons = sum(math.prod(state.shape) for state in program.states if state.name not in hold)
    return Footprint(arrays, states, parameters, synapses(program), neurons)


def synapses(program: Program) -> int:
    """Connections of every synapse; taps outside an image are none."""
    return sum(_connections(op, program) for op in program.operations if isinstance(op, Dense | Conv2d))


def _connections(operation: Dense | Conv2d, program: Program) -> int:
    shape: Shape = program.arrays[operation.weight].values.shape
    if isinstance(operation, Dense):
        return math.prod(shape)
    sides = zip(program.values[operation.source].shape[:2], operation.result.shape[:2], shape[:2], strict=True)
    taps = (_taps(source, result, kernel, operation) for source, result, kernel in sides)
    return math.prod(taps) * shape[2] * shape[3]


def _taps(source: int, result: int, kernel: int, operation: Conv2d) -> int:
    """Pairs of an output and a kernel tap along one axis whose input lies inside the image."""
    starts = range(-operation.padding, -operation.padding + result * operation.stride, operation.stride)
    return sum(0 <= start + tap < source for start in starts for tap in range(kernel))
