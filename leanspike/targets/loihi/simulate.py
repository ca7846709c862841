"""A mapped program on samples, in simulation, told as a trace of the program.

    spikes of a layer in step t        its compartments' in step t + depth
    potentials                         floor(V / 2^s) after reset
    scores                             of the readout on V, floor(. / 2^s); the decision is taken on V itself

so that a mapping without approximations gives the program's own trace. The readout and an early exit are the host's:
it reads spikes or voltages of the last layer and stops at the margin, taken times 2^s.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leanspike.core.trace import Trace, joined
from leanspike.ir import LIF, Integrate, Program
from leanspike.ir.encodings import encode
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.program import Exit
from leanspike.ir.readout import Scores
from leanspike.ir.reference import check_raw
from leanspike.targets.loihi import compartment, mapping
from leanspike.targets.loihi.compartment import Matrix
from leanspike.targets.loihi.mapping import Layer

_ELEMENTS_AT_ONCE = 1 << 23

Raw = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class Part:
    """Consecutive samples: what every population did in the program's T steps.

    Attributes:
        spikes, voltages: by layer, ``[T, B, *shape]``; voltages after reset.
        clipped, wrapped: how often a voltage or a current reached its end, by layer.
    """

    batch: int
    spikes: Mapping[str, Ints]
    voltages: Mapping[str, Ints]
    clipped: Mapping[str, int]
    wrapped: Mapping[str, int]


def simulated(of: mapping.Mapping, raw: Raw, numbers: Raw | None = None) -> Iterator[Part]:
    """Parts of raw samples ``[B, ...]``, in order; memory is bounded.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    program = of.program
    check_raw(program, raw)
    order = np.arange(len(raw)) if numbers is None else np.asarray(numbers)
    widest = sum(layer.compartments.size for layer in of.layers)
    size = max(1, _ELEMENTS_AT_ONCE // (widest * of.steps))
    matrices = [Matrix(way) for way in of.connections]
    for start in range(0, max(1, len(raw)), size):
        yield _part(of, matrices, raw[start : start + size], order[start : start + size])


def _part(of: mapping.Mapping, matrices: Sequence[Matrix], raw: Raw, numbers: Raw) -> Part:
    program, batch = of.program, len(raw)
    populations = [
        mapping.with_host_bias(layer, program, raw) if layer.host else layer.compartments for layer in of.layers
    ]
    found = compartment.run(populations, matrices, input_spikes(program, raw, numbers), of.steps)

    def window(layer: Layer, values: Ints) -> Ints:
        shape = (program.steps, batch, *layer.of.result.shape)
        return values[layer.depth : layer.depth + program.steps].reshape(shape)

    return Part(
        batch,
        {layer.name: window(layer, found[layer.name].spikes) for layer in of.layers},
        {layer.name: window(layer, found[layer.name].voltages) for layer in of.layers},
        {name: recording.clipped for name, recording in found.items()},
        {name: recording.wrapped for name, recording in found.items()},
    )


def input_spikes(program: Program, raw: Raw, numbers: Raw) -> Ints:
    """``[T, B, n]`` what is sent to the chip; nothing where the host gives biases instead."""
    if program.input.result.type != SPIKE:
        return np.zeros((0, len(raw), 0), dtype=np.int64)
    return encode(program, raw, numbers).reshape(program.steps, len(raw), -1)


def trace(of: mapping.Mapping, part: Part, *, record: bool = False) -> Trace:
    """What :func:`leanspike.ir.reference.run` tells of the program, told of a part of its simulation."""
    program, layers = of.program, {layer.name: layer for layer in of.layers}
    last = layers[program.readout.source]
    shift = 0 if isinstance(last.of, LIF) else last.shift
    scores, steps = _read(program, last, part, shift)
    predictions = scores.argmax(1)
    used = np.arange(program.steps)[:, None] < steps
    spikes, states = {}, {}
    for layer in of.layers:
        if isinstance(layer.of, LIF):
            spikes[layer.name] = _while(part.spikes[layer.name], used)
        if isinstance(layer.of, LIF | Integrate):
            states[layer.of.state] = _held(_units(part.voltages[layer.name], layer.shift), steps)
    counts = {name: every.reshape(*every.shape[:2], -1).sum((0, 2)) for name, every in spikes.items()}
    final = {name: every[-1] for name, every in states.items()}
    kept = (spikes, states) if record else ({}, {})
    return Trace(predictions, _units(scores, shift), steps, counts, final, *kept)


def _read(program: Program, last: Layer, part: Part, shift: int) -> tuple[Ints, Ints]:
    """Scores in units of the voltage ``[B, K]``, and steps used ``[B]``."""
    readout = program.readout
    if readout.exit is not None:
        margin = int(_scaled_up(readout.exit.margin, shift))
        readout = replace(readout, exit=Exit(margin, readout.exit.earliest))
    scores = Scores(readout, program.steps, np.zeros((part.batch, program.classes), dtype=np.int64))
    steps, going = np.zeros(part.batch, dtype=np.int64), np.ones(part.batch, dtype=bool)
    given = part.spikes[last.name] if isinstance(last.of, LIF) else part.voltages[last.name]
    for t, value in enumerate(given):
        scores = scores.after(value, t, going)
        steps += going
        going = going & ~scores.decided(t)
    return scores.values, steps


def _scaled_up(margin: int, shift: int) -> int:
    return margin << shift if shift >= 0 else -(-margin >> -shift)


def _units(voltages: Ints, shift: int) -> Ints:
    whole: Ints = voltages >> shift if shift >= 0 else voltages << -shift
    return whole


def _while(spikes: Ints, used: npt.NDArray[np.bool_]) -> Ints:
    kept: Ints = spikes * used.reshape(*used.shape, *[1] * (spikes.ndim - 2))
    return kept


def _held(states: Ints, steps: Ints) -> Ints:
    """States that stay as they are after the last step that a sample used."""
    now = np.minimum(np.arange(len(states))[:, None], steps - 1)
    held: Ints = states[now, np.arange(states.shape[1])]
    return held


def run(of: mapping.Mapping, raw: Raw, numbers: Raw | None = None, *, record: bool = False) -> Trace:
    """Simulate all samples; see :func:`trace`.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    return joined([trace(of, part, record=record) for part in simulated(of, raw, numbers)])
