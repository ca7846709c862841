"""Memory of a program as stored: every integer at its own width, codes of few-bit states packed into bytes.

    constants   sum over arrays of size * bits      weights, biases, thresholds, leaks, tables
    states      sum over states of size * bits      potentials, counters, adaptations, what delays keep; with a codec
                                                    size / codes a byte

Rounded up to bytes array by array and state by state. What a target needs beside (code, stack, padding) it states
itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from leanspike.ir.counts import reach, working
from leanspike.ir.ops import LIF, Integrate, Matmul
from leanspike.ir.program import Program


@dataclass(frozen=True)
class Footprint:
    """Bytes and counts of a program.

    Attributes:
        array_bytes, state_bytes: as stored.
        parameters: stored constants that were trained: weights, biases, thresholds, leaks.
        synapses: connections, a convolution's weights at every place they reach inside the image.
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
    states = sum(state.stored_bytes for state in program.states)
    table = getattr(program.input.encoding, "table", None)
    parameters = sum(array.values.size for name, array in program.arrays.items() if name != table)
    neurons = sum(math.prod(op.result.shape) for op in program.operations if isinstance(op, LIF | Integrate))
    connections = sum(int(reach(op, program).sum()) for op in working(program) if not isinstance(op, Matmul))
    return Footprint(arrays, states, parameters, connections, neurons)
