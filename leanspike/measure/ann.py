"""What the ANN of a program's topology executes: same layers and weights, no states, one pass.

Activations have ``bits``, pixels min(their bits, ``bits``) where the program codes them as spikes, else their own.
Every layer comes in both dataflows of :mod:`leanspike.measure.traffic`: ``dense``, output by output with the sum in a
register, and ``event``, which skips inputs that are 0 and keeps sums in memory. Zeros of pixels are counted on the
samples; no hidden activation is taken to be 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from leanspike.ir import Program
from leanspike.ir.counts import Synapse
from leanspike.ir.encodings import Direct
from leanspike.ir.ops import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Integrate,
    Matmul,
    MaxPool,
    Reshape,
    Scale,
    SumPool,
    sources,
)
from leanspike.ir.sparse import sparse
from leanspike.measure.tally import Tally, whole
from leanspike.measure.work import VARIANTS, Executed, Traffic, Variant, Work

REQUANTISING_BITS = 16


@dataclass(frozen=True)
class Layer:
    """One layer of the ANN by dataflow; only ``dense`` where both are the same."""

    name: str
    dataflows: Mapping[Variant, Executed]


def layers(program: Program, found: Tally, bits: int) -> tuple[Layer, ...]:
    """Every layer of a feed-forward program."""
    network = _Network(program, found, bits)
    return tuple(
        Layer(op.result.name, network.of(op)) for op in program.operations if not isinstance(op, Reshape | Delay)
    )


class _Network:
    """Widths and counts of one ANN."""

    def __init__(self, program: Program, found: Tally, bits: int) -> None:
        self.program, self.found, self.bits = program, found, bits
        self.widths: dict[str, int] = {}
        raw = program.input.raw.type.bits
        self.widths[program.input.result.name] = raw if isinstance(program.input.encoding, Direct) else min(raw, bits)
        for op in program.operations:
            self.widths[op.result.name] = self._width(op)

    def _width(self, op: object) -> int:
        if isinstance(op, LIF | Delay):
            return self.bits
        if isinstance(op, Dense | Conv2d | Scale | Matmul):
            fan_in = whole(op, self.program)["operations"] / math.prod(op.result.shape)
            sides = [self.widths[name] for name in sources(op)]
            if not isinstance(op, Matmul):
                sides.append(self.program.arrays[op.factor if isinstance(op, Scale) else op.weight].type.bits)
            return sum(sides) + math.ceil(math.log2(max(1.0, fan_in)))
        if isinstance(op, SumPool):
            return self.widths[op.source] + 2 * math.ceil(math.log2(op.size))
        if isinstance(op, Add):
            return 1 + max(self.widths[op.left], self.widths[op.right])
        assert isinstance(op, MaxPool | Reshape | Integrate)
        return self.widths[op.source]

    def of(self, op: object) -> dict[Variant, Executed]:
        """One operation in its dataflows."""
        if isinstance(op, Dense | Conv2d):
            return {variant: self._synapse(op, variant) for variant in VARIANTS}
        if isinstance(op, LIF | Integrate):
            return {"dense": self._neurons(op)}
        assert isinstance(op, Add | SumPool | MaxPool | Scale | Matmul)
        return {"dense": self._rest(op)}

    def _value(self, layer: str, name: str, access: str, count: float) -> Traffic:
        """Reads or writes of elements of a value."""
        width = self.widths[name]
        memory = math.prod(self.program.values[name].shape) * width / 8
        what = "input" if name == self.program.input.result.name else "spike" if width == 1 else "sum"
        return Traffic(layer, what, access, width, count, memory)  # type: ignore[arg-type]

    def _synapse(self, op: Synapse, variant: Variant) -> Executed:
        name, array = op.result.name, self.program.arrays[op.weight]
        counts = whole(op, self.program)
        if variant == "event":
            counts = dict(self.found.pixel_counts.get(name, counts))
        done, size = counts["operations"], math.prod(op.result.shape)
        mac = Work(name, "mac", self.widths[name], done, (self.widths[op.source], array.type.bits))
        memory = array.stored_bits / 8
        moved = [Traffic(name, "weight", "read", array.type.bits, counts["entries"], memory)]
        if array.form == "sparse":
            stored = sparse(array.values, array.type)
            moved.append(Traffic(name, "address", "read", stored.entry.gap_bits, counts["entries"], memory))
            starts = len(stored.starts) * stored.start_bits / 8
            moved.append(Traffic(name, "address", "read", stored.start_bits, 2 * counts["rows"], starts))
        if variant == "dense":
            return Executed((mac,), (*moved, self._value(name, op.source, "read", done)))
        inputs = math.prod(self.program.values[op.source].shape)
        moved.append(self._value(name, op.source, "read", inputs))
        sums = [self._value(name, name, access, done + size) for access in ("read", "write")]
        return Executed((mac,), (*moved, *sums))

    def _neurons(self, op: LIF | Integrate) -> Executed:
        name, size, width = op.result.name, math.prod(op.result.shape), self.widths[op.source]
        work, moved = [], []
        if op.bias is not None:
            bias = self.program.arrays[op.bias]
            channels = bias.values.shape[1]
            work.append(Work(name, "current", width, size))
            if channels > 1:
                moved.append(Traffic(name, "bias", "read", bias.type.bits, size, channels * bias.type.bits / 8))
        if isinstance(op, LIF):
            work.append(Work(name, "compare", width, size))
            work.append(Work(name, "leak", width, size, (width, REQUANTISING_BITS)))
            moved.append(self._value(name, name, "write", size))
        return Executed(tuple(work), tuple(moved))

    def _rest(self, op: Add | SumPool | MaxPool | Scale | Matmul) -> Executed:
        name, size, width = op.result.name, math.prod(op.result.shape), self.widths[op.result.name]
        written = self._value(name, name, "write", size)
        if isinstance(op, Matmul | Scale):
            done = whole(op, self.program)["operations"]
            other = self.widths[op.right] if isinstance(op, Matmul) else self.program.arrays[op.factor].type.bits
            work = Work(name, "mac", width, done, (self.widths[sources(op)[0]], other))
            return Executed((work,), (*(self._value(name, source, "read", done) for source in sources(op)), written))
        count = size * (1 if isinstance(op, Add) else op.size**2 - 1)
        work = Work(name, "compare" if isinstance(op, MaxPool) else "join", width, count)
        read = [self._value(name, s, "read", math.prod(self.program.values[s].shape)) for s in sources(op)]
        return Executed((work,), (*read, written))
