"""What NIR has no node for: refused where a graph cannot be drawn, told where the graph is only near the program.

The exact program lies in the file's metadata whatever the graph says, so nearness costs nothing but the agreement of
other simulators; it is told all the same.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from leanspike.ir import LIF, Delay, Direct, Integrate, Matmul, MaxPool, Program, Reshape, Scale, Sequence, ranges
from leanspike.ir.inttype import SPIKE
from leanspike.ir.ops import parameters
from leanspike.ir.violation import Violation
from leanspike.targets.nir.graph import SLOWEST, beta, synapses_of


def refusals(program: Program) -> list[Violation]:
    """Programs of which no graph can be drawn."""
    found = []
    for op in program.operations:
        if isinstance(op, Scale | Matmul | Delay):
            found.append(Violation(op.result.name, f"a {op.keyword}: no graph is drawn of it", "emit to C or ONNX"))
        if isinstance(op, LIF) and op.adapt is not None:
            what = "its thresholds adapt: NIR has no such neuron"
            found.append(Violation(op.result.name, what, "neuron.adapt_strength=0, or emit to C or ONNX"))
        if isinstance(op, LIF | Integrate) and synapses_of(program, op) is None:
            what = "neurons that are fed by something else than synapses of their own"
            found.append(Violation(op.result.name, what, "one synapse, or several added, that feed only them"))
        if isinstance(op, Reshape):
            before, after = program.values[op.source].shape, op.result.shape
            if before != after and not (len(before) == 3 and len(after) == 1):
                found.append(
                    Violation(op.result.name, f"a reshape of {list(before)} to {list(after)}", "flatten images")
                )
    shapes = {op.result.name: program.values[op.source].shape for op in program.operations if isinstance(op, Reshape)}
    if any(len(shape) == 3 and name == _origin(program) for name, shape in shapes.items()):
        found.append(Violation("readout", "classes that are a flattened image", "a dense layer before the readout"))
    return found


def _origin(program: Program) -> str:
    """The value that the readout's neurons read."""
    giver = {op.result.name: op for op in program.operations}
    op = giver[program.readout.source]
    return op.source if isinstance(op, LIF | Integrate) else op.result.name


def warnings(program: Program) -> list[str]:
    """Every semantic that the graph only approximates or leaves out, each with the layers it concerns."""
    found: dict[str, list[str]] = {}
    for what, where in _differences(program):
        found.setdefault(what, []).append(where)
    return [f"{', '.join(where)}: {what}" for what, where in found.items()]


def _differences(program: Program) -> Iterator[tuple[str, str]]:
    if not isinstance(program.input.encoding, Direct | Sequence):
        name = program.input.encoding.keyword
        yield f"the {name} encoding is not in the graph: it takes encoded spikes", program.input.result.name
    intervals = ranges(program)
    for op in program.operations:
        name = op.result.name
        if isinstance(op, MaxPool) and program.values[op.source].type != SPIKE:
            yield (
                "NIR has no max pool: of values that are no spikes, the graph gives only whether their sum is > 0",
                name,
            )
        elif isinstance(op, MaxPool):
            yield "NIR has no max pool: written as a convolution with ones and neurons, the same on spikes", name
        if isinstance(op, LIF | Integrate):
            for what in _of_neurons(program, op):
                yield what, name
            kind, sums = program.state[op.state].type, intervals.sums[name]
            if not kind.holds(sums.lowest, sums.highest):
                yield "NIR has no saturation: the program's potential may saturate, the graph's does not", name
    if program.readout.exit is not None:
        yield "NIR has no readout and no early exit: the graph runs all steps", "readout"
    else:
        yield f"NIR has no readout: {program.readout.kind} is left to the reader", "readout"


def _of_neurons(program: Program, op: LIF | Integrate) -> Iterator[str]:
    share = beta(program, op)
    if isinstance(op, LIF) and op.reset == "subtract":
        yield "NIR has no subtract reset: the graph resets to 0"
    if isinstance(op, LIF) and op.refractory:
        yield "NIR has no refractory period: the graph has none"
    if any(len(program.arrays[name].values) > 1 for name in parameters(op)):
        yield "NIR has no parameters that vary by the step: the graph holds those of the last step"
    if program.state[op.state].codec is not None:
        yield "NIR has no states of few bits: the program rounds its potential after every step, the graph does not"
    if not np.isin(share, (0, 1)).all():
        yield "the program's leak rounds down to integers, the graph's does not"
    if not (share == 1).all() and (share > 1 - 1 / SLOWEST).any():
        yield f"some channels do not leak, or grow: the graph's tau is {SLOWEST:.0f} dt there"
    if (share == 1).all() and isinstance(op, LIF):
        yield "simulators disagree on the input of IF: Norse reads no r, snnTorch takes only r = 1 and leaks"
