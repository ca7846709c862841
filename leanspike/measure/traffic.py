"""Reads and writes of memory that an answer takes, on two stated machines; a sample, on average, and step by step.

``event`` (zero-skipping, input-stationary). Spikes wait as a list of addresses; sums stand in memory.

    synapse      each spike: read its address (ceil(log2 N) bits), then every weight of its rows; each weight: read a
                 sum, add, write it. A wider input is read whole, and its zeros skipped. Sums are cleared: one write
                 each. Sparse rows: two starts a row, and with each stored entry its gap (``address``)
    neurons      a step: read the sum, read and write the potential as it is stored (codes at their share of a byte)
                 and the adaptation where thresholds adapt, read bias and threshold (and leak) where each channel has
                 its own; each spike: write its address
    constant     what a constant input feeds is computed in step 0 only; its sums are read in every step
    matmul       each pair of non-zero factors: read both, read and write a sum

``dense`` (every input in every step, output-stationary, the dataflow of an ANN accelerator). Spikes are one bit each.

    synapse      each connection of each output: read its input and its weight; the sum stays in a register
    neurons      as above without the sum; one bit a neuron and step is written

Pools, additions and scales read their inputs and write their results once. Parameters that all channels share stay in
registers. An access of b bits moves b bits: neighbours are read together. Not counted: instruction fetch, the encoder,
the readout, the routing of spikes.

E. Lemaire et al., "An analytical estimation of spiking neural networks energy efficiency", ICONIP 2022 (theta: input
spikes over all T, N outputs), as corrected in qualia: weight reads theta N; potential reads and writes theta N + T N
each, in one memory; bias reads T N. Here sum and potential are two memories, because a saturating or coded
potential cannot take partial sums: sums take theta N + T N reads and writes each, potentials T N more of each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from leanspike.ir import Program
from leanspike.ir.counts import Synapse, constant_values
from leanspike.ir.inttype import SPIKE
from leanspike.ir.ops import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Matmul,
    MaxPool,
    Operation,
    Reshape,
    Scale,
    SumPool,
    reads,
    sources,
)
from leanspike.ir.sparse import sparse
from leanspike.measure.tally import Floats, Tally, origin, whole
from leanspike.measure.work import Traffic, Variant, leaks


def traffic(
    program: Program, found: Tally, variant: Variant = "event", still: Variant = "event"
) -> tuple[Traffic, ...]:
    """The traffic of a program whose steps are tallied.

    Args:
        still: the dataflow of synapses with a constant input in the ``event`` variant: they run once either way.
    """
    machine = _Machine(program, found, variant, still)
    kinds: dict[tuple[object, ...], Traffic] = {}
    for op in program.operations:
        for item in machine.of(op):
            key = item.layer, item.what, item.access, item.bits, item.memory
            kinds[key] = _added(kinds[key], item) if key in kinds else item
    return tuple(item for item in kinds.values() if item.count)


def _added(a: Traffic, b: Traffic) -> Traffic:
    steps = tuple(x + y for x, y in zip(a.steps, b.steps, strict=True))
    return replace(a, count=a.count + b.count, steps=steps)


def address_bits(size: int) -> int:
    """Of the address of one of ``size`` elements."""
    return max(1, math.ceil(math.log2(size)))


class _Machine:
    """One program on one machine."""

    def __init__(self, program: Program, found: Tally, variant: Variant, still: Variant) -> None:
        self.program, self.found, self.dense, self.still = program, found, variant == "dense", still
        self.used = found.used
        self.once = (np.arange(len(found.used)) == 0).astype(np.float64)
        self.constant: set[str] = set() if self.dense else constant_values(program)
        self.alone = self._registers()

    def of(self, op: Operation) -> Iterator[Traffic]:
        """Every access of one operation."""
        if isinstance(op, Dense | Conv2d):
            yield from self._synapse(op)
        elif isinstance(op, LIF | Integrate):
            yield from self._neurons(op)
        elif isinstance(op, Matmul):
            yield from self._matmul(op)
        elif isinstance(op, Scale):
            yield from self._scale(op)
        elif isinstance(op, Delay):
            yield from self._kept(op)
        elif not isinstance(op, Reshape):
            assert isinstance(op, Add | SumPool | MaxPool)
            times = self._times(op)
            for name in dict.fromkeys(sources(op)):
                yield from self._read(op, name, times)
            yield from self._result(op, times)

    def _registers(self) -> set[str]:
        """Sums that neurons take from the register in which they arise: synapses' whose results nothing else reads."""
        if not self.dense:
            return set()
        readers: dict[str, list[Operation]] = {}
        for op in self.program.operations:
            if not isinstance(op, Reshape):
                for name in reads(op):
                    readers.setdefault(origin(self.program, name), []).append(op)
        made = [op.result.name for op in self.program.operations if isinstance(op, Dense | Conv2d)]
        return {name for name in made if all(isinstance(op, LIF | Integrate) for op in readers.get(name, []))}

    def _times(self, op: Operation) -> Floats:
        return self.once if op.result.name in self.constant else self.used

    def _item(self, op: Operation, what: Any, access: Any, bits: float, steps: Floats, memory: float) -> Traffic:
        return Traffic(
            op.result.name, what, access, float(bits), float(steps.sum()), float(memory), tuple(map(float, steps))
        )

    def _queue(self, name: str) -> tuple[int, float]:
        """Bits of one spike of a value, and bytes of the memory that holds all of its neurons' spikes."""
        size = math.prod(self.program.values[name].shape)
        bits = 1 if self.dense else address_bits(size)
        return bits, size * bits / 8

    def _read(self, op: Operation, name: str, times: Floats) -> Iterator[Traffic]:
        """A value, read once: its spikes where they are events, else all of it."""
        value, size = self.program.values[name], math.prod(self.program.values[name].shape)
        if value.type == SPIKE:
            bits, memory = self._queue(name)
            seen = size * times if self.dense else self.found.nonzero[name] * (times > 0)
            yield self._item(op, "spike", "read", bits, seen, memory)
        elif origin(self.program, name) not in self.alone:
            yield self._item(op, self._label(name), "read", value.type.bits, size * times, size * value.type.bits / 8)

    def _label(self, name: str) -> str:
        return "input" if origin(self.program, name) == self.program.input.result.name else "sum"

    def _result(self, op: Operation, times: Floats) -> Iterator[Traffic]:
        value, size = op.result, math.prod(op.result.shape)
        if value.type == SPIKE:
            bits, memory = self._queue(value.name)
            made = size * times if self.dense else self.found.nonzero[value.name] * (times > 0)
            yield self._item(op, "spike", "write", bits, made, memory)
        elif value.name not in self.alone:
            yield self._item(op, "sum", "write", value.type.bits, size * times, size * value.type.bits / 8)

    def _synapse(self, op: Synapse) -> Iterator[Traffic]:
        once = op.result.name in self.constant
        by_output = self.dense or (once and self.still == "dense")
        times = self._times(op)
        if by_output:
            done = {key: times * value for key, value in whole(op, self.program).items()}
            yield self._by_connection(op, done["operations"])
        else:
            name = op.result.name
            done = {"operations": self.found.operations[name], "entries": self.found.entries[name]}
            done["rows"] = self.found.rows[name]
            yield from self._read(op, op.source, times)
            bits, memory = op.result.type.bits, math.prod(op.result.shape) * op.result.type.bits / 8
            yield self._item(op, "sum", "read", bits, done["operations"], memory)
            yield self._item(op, "sum", "write", bits, done["operations"], memory)
        yield from self._weights(op, done)
        yield from self._result(op, times)

    def _by_connection(self, op: Synapse, connections: Floats) -> Traffic:
        value = self.program.values[op.source]
        label = "spike" if value.type == SPIKE else self._label(op.source)
        return self._item(op, label, "read", value.type.bits, connections, math.prod(value.shape) * value.type.bits / 8)

    def _weights(self, op: Synapse, done: dict[str, Floats]) -> Iterator[Traffic]:
        array = self.program.arrays[op.weight]
        memory = array.stored_bits / 8
        yield self._item(op, "weight", "read", array.type.bits, done["entries"], memory)
        if array.form == "sparse":
            stored = sparse(array.values, array.type)
            yield self._item(op, "address", "read", stored.entry.gap_bits, done["entries"], memory)
            starts = len(stored.starts) * stored.start_bits / 8
            yield self._item(op, "address", "read", stored.start_bits, 2 * done["rows"], starts)

    def _neurons(self, op: LIF | Integrate) -> Iterator[Traffic]:
        state, updates = self.program.state[op.state], self.found.active[op.result.name]
        size = math.prod(state.shape)
        yield from self._read(op, op.source, self.used)
        bits = state.type.bits if state.codec is None else 8 / state.codec.per_byte
        for access in ("read", "write"):
            yield self._item(op, "potential", access, bits, updates, state.stored_bytes)
        if op.bias is not None:
            yield from self._parameter(op, "bias", op.bias, updates)
        if leaks(op, self.program):
            yield from self._parameter(op, "leak", op.leak, updates)
        if isinstance(op, LIF):
            fired = self.found.nonzero[op.result.name]
            yield from self._parameter(op, "threshold", op.threshold, updates)
            if op.reset_by is not None:
                yield from self._parameter(op, "threshold", op.reset_by, fired)
            if op.hold is not None:
                hold = self.program.state[op.hold]
                held = size * self.used - updates
                yield self._item(op, "counter", "read", hold.type.bits, size * self.used, hold.stored_bytes)
                yield self._item(op, "counter", "write", hold.type.bits, held + fired, hold.stored_bytes)
            if op.adapt is not None and op.adapt_leak is not None and op.adapt_jump is not None:
                own = self.program.state[op.adapt]
                for access in ("read", "write"):
                    yield self._item(op, "adaptation", access, own.type.bits, size * self.used, own.stored_bytes)
                yield from self._parameter(op, "leak", op.adapt_leak, size * self.used)
                yield from self._parameter(op, "threshold", op.adapt_jump, fired)
            yield from self._result(op, self.used)

    def _parameter(self, op: LIF | Integrate, what: str, name: str, neurons: Floats) -> Iterator[Traffic]:
        """Read by each neuron where channels have their own; by the layer, once a step, where only steps have."""
        array = self.program.arrays[name]
        rows, channels = array.values.shape
        steps = neurons if channels > 1 else self.used if rows > 1 else 0 * self.used
        yield self._item(op, what, "read", array.type.bits, steps, array.stored_bits / 8)

    def _operations(self, op: Matmul | Scale, times: Floats) -> Floats:
        return times * whole(op, self.program)["operations"] if self.dense else self.found.operations[op.result.name]

    def _matmul(self, op: Matmul) -> Iterator[Traffic]:
        times = self._times(op)
        done = self._operations(op, times)
        for name in sources(op):
            value = self.program.values[name]
            label = "spike" if value.type == SPIKE else self._label(name)
            yield self._item(op, label, "read", value.type.bits, done, math.prod(value.shape) * value.type.bits / 8)
        bits, memory = op.result.type.bits, math.prod(op.result.shape) * op.result.type.bits / 8
        if not self.dense:
            yield self._item(op, "sum", "read", bits, done, memory)
            yield self._item(op, "sum", "write", bits, done, memory)
        yield from self._result(op, times)

    def _scale(self, op: Scale) -> Iterator[Traffic]:
        times, array = self._times(op), self.program.arrays[op.factor]
        yield from self._read(op, op.source, times)
        if array.values.size > 1:
            done = self._operations(op, times)
            yield self._item(op, "weight", "read", array.type.bits, done, array.stored_bits / 8)
        yield from self._result(op, times)

    def _kept(self, op: Delay) -> Iterator[Traffic]:
        """What the next step reads is written; that read is its reader's."""
        value, size = self.program.values[op.of], math.prod(op.result.shape)
        if value.type == SPIKE:
            bits, memory = self._queue(op.of)
            steps = size * self.used if self.dense else self.found.nonzero[op.of]
            yield self._item(op, "delay", "write", bits, steps, memory)
        else:
            yield self._item(op, "delay", "write", value.type.bits, size * self.used, size * value.type.bits / 8)
