"""A machine that executes a program of dense, conv, max pool, LIF and integrate one access at a time, in plain Python.

It shares no counting with the package: every read and write is a call that adds one to a counter of its layer and step.
"""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np

from leanspike.ir import LIF, Conv2d, Dense, Direct, Integrate, MaxPool, Program, Reshape
from leanspike.ir.encodings import encode
from leanspike.ir.ops import Operation
from leanspike.ir.sparse import sparse

Key = tuple[str, str, str, int]


class SlowMachine:
    """One sample; ``counts[layer, what, access, step]`` and ``work[layer, kind, step]``."""

    def __init__(self, program: Program, raw: Any, number: int, *, dense: bool) -> None:
        self.program, self.dense = program, dense
        self.counts: Counter[Key] = Counter()
        self.work: Counter[tuple[str, str, int]] = Counter()
        self.x = encode(program, raw[None], np.array([number]))[:, 0]
        self.still = isinstance(program.input.encoding, Direct) and not dense
        self.state = {state.name: dict.fromkeys(np.ndindex(*state.shape), 0) for state in program.states}
        self.values: dict[str, dict[Any, int]] = {}
        self.fixed: set[str] = set()
        self.held_in_register: set[tuple[str, str, int]] = set()

    def run(self) -> None:
        """Every step."""
        start = self.program.input.result.name
        self.fixed = {start} if self.still else set()
        for t in range(self.program.steps):
            self.t = t
            self.values[start] = {place: int(self.x[(t, *place)]) for place in np.ndindex(*self.x.shape[1:])}
            for op in self.program.operations:
                self.step(op)

    def see(self, layer: str, what: str, access: str = "read") -> None:
        self.counts[layer, what, access, self.t] += 1

    def do(self, layer: str, kind: str) -> None:
        self.work[layer, kind, self.t] += 1

    def is_spikes(self, name: str) -> bool:
        kind = self.program.values[name].type
        return (kind.bits, kind.signed) == (1, False)

    def step(self, op: Operation) -> None:
        if isinstance(op, Reshape):
            places = np.ndindex(*op.result.shape)
            self.values[op.result.name] = dict(zip(places, self.values[op.source].values(), strict=True))
            if op.source in self.fixed:
                self.fixed.add(op.result.name)
        elif isinstance(op, Dense | Conv2d):
            if op.source in self.fixed and self.t > 0:
                return
            self.synapse(op)
        elif isinstance(op, MaxPool):
            self.pool(op)
        else:
            assert isinstance(op, LIF | Integrate)
            self.neurons(op)

    def connections(self, op: Dense | Conv2d, place: Any) -> Any:
        """(row of the weight array, outputs by column) that an input reaches."""
        if isinstance(op, Dense):
            yield place, [(o,) for o in range(op.result.shape[0])]
            return
        kernel = self.program.arrays[op.weight].values.shape
        for a, b in itertools.product(range(kernel[0]), range(kernel[1])):
            down, across = place[0] + op.padding - a, place[1] + op.padding - b
            if down % op.stride or across % op.stride:
                continue
            h, w = down // op.stride, across // op.stride
            if 0 <= h < op.result.shape[0] and 0 <= w < op.result.shape[1]:
                yield (a, b, place[2]), [(h, w, o) for o in range(kernel[3])]

    def synapse(self, op: Dense | Conv2d) -> None:
        layer, array = op.result.name, self.program.arrays[op.weight]
        sums = dict.fromkeys(np.ndindex(*op.result.shape), 0)
        spiking = self.is_spikes(op.source)
        label = "spike" if spiking else "input"
        held = sparse(array.values, array.type) if array.form == "sparse" else None
        for place, x in self.values[op.source].items():
            if not self.dense and (x or not spiking):
                self.see(layer, label)
            if not self.dense and not x:
                continue
            for row, outputs in self.connections(op, place):
                if held is None:
                    stored = [(output, int(array.values[(*row, i)])) for i, output in enumerate(outputs)]
                else:
                    stored = self.entries(layer, op, held, row, outputs)
                for output, weight in stored:
                    self.see(layer, "weight")
                    if output is None:
                        continue
                    if self.dense:
                        self.see(layer, label)
                    else:
                        self.see(layer, "sum")
                        self.see(layer, "sum", "write")
                    self.do(layer, "ac" if spiking else "mac")
                    sums[output] += weight * x
        if not self.dense:
            for _ in sums:
                self.see(layer, "sum", "write")
        if op.source in self.fixed:
            self.fixed.add(layer)
        self.values[layer] = sums

    def entries(self, layer: str, op: Any, held: Any, row: Any, outputs: Any) -> Any:
        """Stored entries of a sparse row; padding has no output."""
        number = int(np.ravel_multi_index(row, self.program.arrays[op.weight].values.shape[:-1]))
        self.see(layer, "address")
        self.see(layer, "address")
        column = 0
        for entry in held.entries[held.starts[number] : held.starts[number + 1]]:
            self.see(layer, "address")
            column += int(entry) & ((1 << held.entry.gap_bits) - 1)
            weight = (int(entry) >> held.entry.gap_bits) + held.entry.lowest
            yield (outputs[column], weight) if weight else (None, 0)
            column += 1

    def pool(self, op: MaxPool) -> None:
        x, made = self.values[op.source], dict.fromkeys(np.ndindex(*op.result.shape), 0)
        for (h, w, c), value in x.items():
            if self.dense or value:
                self.see(op.result.name, "spike")
            place = (h // op.size, w // op.size, c)
            if place in made:
                made[place] = max(made[place], value)
        for value in made.values():
            if self.dense or value:
                self.see(op.result.name, "spike", "write")
        self.values[op.result.name] = made

    def parameter(self, layer: str, what: str, name: str, channel: int) -> int:
        values = self.program.arrays[name].values
        shared = (layer, what, self.t)
        if values.shape[1] > 1 or (len(values) > 1 and shared not in self.held_in_register):
            self.see(layer, what)
            self.held_in_register.add(shared)
        return int(values[self.t if len(values) > 1 else 0][channel if values.shape[1] > 1 else 0])

    def neurons(self, op: LIF | Integrate) -> None:
        layer, state = op.result.name, self.program.state[op.state]
        made = {}
        for place, current in self.values[op.source].items():
            if not self.dense:
                self.see(layer, "sum")
            hold = op.hold if isinstance(op, LIF) else None
            if hold is not None:
                self.see(layer, "counter")
                if self.state[hold][place] > 0:
                    self.state[hold][place] -= 1
                    self.see(layer, "counter", "write")
                    made[place] = 0
                    continue
            self.do(layer, "update")
            self.see(layer, "potential")
            v = self.state[op.state][place]
            multiplier = self.parameter(layer, "leak", op.leak, place[-1]) if self.leaks(op) else 1 << op.shift
            if self.leaks(op):
                self.do(layer, "leak")
            u = ((v * multiplier) >> op.shift) + current
            self.do(layer, "current")
            if op.bias is not None:
                u += self.parameter(layer, "bias", op.bias, place[-1])
                self.do(layer, "current")
            u = min(max(u, state.type.lowest), state.type.highest)
            made[place] = u
            if isinstance(op, LIF):
                threshold = self.parameter(layer, "threshold", op.threshold, place[-1])
                self.do(layer, "compare")
                made[place] = int(u >= threshold)
                if made[place]:
                    u = self.after(op, layer, u, threshold, place)
            self.see(layer, "potential", "write")
            self.state[op.state][place] = self.stored(u, state.codec)
        if isinstance(op, LIF):
            for fired in made.values():
                if self.dense or fired:
                    self.see(layer, "spike", "write")
        self.values[layer] = made

    def leaks(self, op: LIF | Integrate) -> bool:
        return bool((self.program.arrays[op.leak].values != 1 << op.shift).any())

    def after(self, op: LIF, layer: str, u: int, threshold: int, place: Any) -> int:
        if op.hold is not None:
            self.see(layer, "counter", "write")
            self.state[op.hold][place] = op.refractory
        if op.reset == "zero":
            return 0
        self.do(layer, "reset")
        return u - (threshold if op.reset_by is None else self.parameter(layer, "threshold", op.reset_by, place[-1]))

    @staticmethod
    def stored(v: int, codec: Any) -> int:
        if codec is None:
            return v
        code = (v + ((1 << codec.shift) >> 1)) >> codec.shift
        return min(max(code, codec.lowest), codec.highest) << codec.shift
