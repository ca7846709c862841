"""The circuit in the loop: its neurons' spikes and potentials in place of the program's, all else by the reference."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leanspike.core.trace import Ints, Trace
from leanspike.ir import LIF, Program, encode
from leanspike.ir.ops import Delay
from leanspike.ir.readout import Scores
from leanspike.ir.reference import apply, row, step

Raw = npt.NDArray[np.integer]


def currents(program: Program, layer: LIF, raw: Raw, numbers: Raw | None) -> Ints:
    """What synapses and bias bring to every neuron of a layer, ``[T, B, N]`` units of its potential."""
    found, states = [], _rest(program, len(raw))
    for t, x in enumerate(encode(program, raw, numbers)):
        values, states = step(program, x, states, t)
        found.append((values[layer.source] + row(program, layer.bias, t)).reshape(len(raw), -1))
    return np.stack(found)


def in_loop(
    program: Program,
    layer: LIF,
    neurons: tuple[int, ...],
    given: tuple[Ints, Ints],
    raw: Raw,
    numbers: Raw | None,
    *,
    record: bool,
) -> Trace:
    """The program with these neurons' spikes and states, ``[T, B, n]`` each, taken as they are given.

    The program has no early exit.
    """
    batch, states = len(raw), _rest(program, len(raw))
    scores, going = Scores.zeros(program, batch), np.ones(batch, dtype=bool)
    spikes: dict[str, list[Ints]] = {op.result.name: [] for op in program.spiking}
    after: dict[str, list[Ints]] = {state.name: [] for state in program.states}
    for t, x in enumerate(encode(program, raw, numbers)):
        values = {program.input.result.name: x}
        for op in program.operations:
            values[op.result.name] = apply(op, program, values, states, t)
            if op is layer:
                values[op.result.name] = _put(values[op.result.name], neurons, given[0][t])
                states[layer.state] = _put(states[layer.state], neurons, given[1][t])
        states |= {op.state: values[op.of] for op in program.operations if isinstance(op, Delay)}
        scores = scores.after(values[program.readout.source], t, going)
        for name, kept in spikes.items():
            kept.append(values[name])
        for name, kept in after.items():
            kept.append(states[name])
    steps = np.full(batch, program.steps, dtype=np.int64)
    fired = {name: np.stack(kept) for name, kept in spikes.items()}
    counts = {name: found.reshape(len(found), batch, -1).sum((0, 2)) for name, found in fired.items()}
    held = {name: np.stack(kept) for name, kept in after.items()} if record else {}
    return Trace(scores.values.argmax(1), scores.values, steps, counts, states, fired if record else {}, held)


def _rest(program: Program, batch: int) -> dict[str, Ints]:
    return {state.name: np.zeros((batch, *state.shape), dtype=np.int64) for state in program.states}


def _put(whole: Ints, neurons: tuple[int, ...], own: Ints) -> Ints:
    """``whole [B, ...]`` with ``own [B, n]`` at these neurons."""
    flat = whole.reshape(len(whole), -1).copy()
    flat[:, list(neurons)] = own
    return flat.reshape(whole.shape)
