"""From a program to the engine's plan: forms, types, places in the arena, and operations in the order they run.

    spikes                          bits, 64 to a word
    other values                    16-bit integers where the intervals prove that they fit, else 32-bit ones
    sums of synapses                as their value: they wrap around on the way and are right at the end
    potentials                      16 or 32 bits by the same rule, few-bit ones as what the next step reads

A delay's value lies where its state does; what it keeps is copied there at the end of a step, the last delay first.

After a value that synapses read stands an operation that lists its active inputs, once for all of its readers. What a
direct input gives before the first neurons runs in the first step only.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.engine import layout, records
from leanspike.engine.layout import up
from leanspike.engine.records import Form, Kind
from leanspike.ir import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Delta,
    Dense,
    Integrate,
    Latency,
    Matmul,
    MaxPool,
    Operation,
    Program,
    Rate,
    Reshape,
    Scale,
    SumPool,
    ranges,
)
from leanspike.ir.counts import constant_values, synapses, working
from leanspike.ir.delays import delays, fires, root
from leanspike.ir.encodings import ENCODINGS
from leanspike.ir.inttype import SPIKE, IntType
from leanspike.ir.program import READOUTS
from leanspike.ir.ranges import Range

LINE = 64
ROOM = 4 * layout.BLOCK
LISTED_BYTES = 24
WIDTH = {Form.I16: 16, Form.I32: 32}
HALF = IntType(16, True)
MOST_STEPS_IN_TABLE = 65_535


@dataclass(frozen=True, eq=False)
class Plan:
    """What the engine is given.

    Attributes:
        record: the C record; ``kept`` holds every array that it points to.
        indices: number of the operation that stands for a neurons' value, by the name of that value.
        arena_bytes: what one thread needs beside the plan.
        weight_bytes: weights and parameters as laid out.
    """

    program: Program
    record: records.Plan
    kept: tuple[Any, ...]
    indices: dict[str, int]
    op_count: int
    arena_bytes: int
    weight_bytes: int


def plan(program: Program) -> Plan:
    """Plan a program that :func:`~leanspike.ir.verify.verify` accepts."""
    return _Planner(program).plan()


class _Planner:
    def __init__(self, program: Program) -> None:
        self.program, self.found, self.constant = program, ranges(program), constant_values(program)
        self.size = 0
        self.values: list[records.Value] = []
        self.ops: list[records.Op] = []
        self.number: dict[str, int] = {}
        self.widened: dict[tuple[int, Form], int] = {}
        self.kept: list[npt.NDArray[Any]] = []
        self.indices: dict[str, int] = {}
        self.read = {root(program, op.source) for op in synapses(program)}
        self.place_among = {op.result.name: i for i, op in enumerate(working(program))}

    def plan(self) -> Plan:
        record = records.Plan(steps=self.program.steps, state_begin=0)
        states = {state.name: self._room(4 * math.prod(state.shape)) for state in self.program.states}
        record.scores = self._room(8 * self.program.classes)
        record.state_end = self.size
        self._input(record)
        for operation in self.program.operations:
            self._operation(operation, states)
            if operation.result.name in self.read:
                self._events(operation.result.name)
        for delay in reversed(delays(self.program)):
            self.indices[delay.result.name] = len(self.ops)
            given, taken = self.number[delay.of], self.number[delay.result.name]
            self.ops.append(records.Op(kind=Kind.DELAY, source=given, result=taken))
        self._readout(record)
        record.event_counts = self._room(LISTED_BYTES * len(self.values))
        record.arena_bytes = up(self.size, 2 * LINE)
        values, ops = (records.Value * len(self.values))(*self.values), (records.Op * len(self.ops))(*self.ops)
        record.values, record.ops, record.op_count = ctypes.addressof(values), ctypes.addressof(ops), len(ops)
        kept, weights = (*self.kept, values, ops), sum(array.nbytes for array in self.kept)
        return Plan(self.program, record, kept, self.indices, len(ops), record.arena_bytes, weights)

    def _room(self, size: int) -> int:
        """A place in the arena, with room behind it for whole vectors."""
        place = self.size
        self.size += up(size + ROOM, LINE)
        return place

    def _keep(self, array: npt.NDArray[Any]) -> int:
        self.kept.append(array)
        return int(array.ctypes.data)

    def _value(self, elements: int, form: Form, place: int | None = None) -> int:
        bits = up(elements, 64) // 8
        size = bits if form is Form.BITS else elements * WIDTH[form] // 8
        data = self._room(size) if place is None else place
        value = records.Value(form=form, elements=elements, data=data, slot=len(self.values))
        self.values.append(value)
        return len(self.values) - 1

    def _form(self, found: Range) -> Form:
        return Form.I16 if HALF.holds(found.lowest, found.highest) else Form.I32

    def _as(self, name: str, form: Form, once: bool) -> int:
        """The number of a value in this form; an operation that converts it stands before its first reader."""
        number = self.number[name]
        if self.values[number].form == form:
            return number
        if (number, form) not in self.widened:
            self.widened[number, form] = self._value(self.values[number].elements, form)
            self.ops.append(records.Op(kind=Kind.WIDEN, once=once, source=number, result=self.widened[number, form]))
        return self.widened[number, form]

    def _events(self, name: str) -> None:
        value = self.values[self.number[name]]
        if value.form == Form.BITS:
            value.pattern = self._room(up(value.elements, 64) // 8)
        value.added, value.removed = self._room(4 * value.elements), self._room(4 * value.elements)
        value.amounts = self._room(4 * value.elements)
        self.ops.append(
            records.Op(kind=Kind.EVENTS, once=name in self.constant, source=self.number[name], result=self.number[name])
        )

    def _input(self, record: records.Plan) -> None:
        start, encoding = self.program.input, self.program.input.encoding
        form = Form.BITS if start.result.type == SPIKE else self._form(self.found.values[start.result.name])
        number = self.number[start.result.name] = self._value(math.prod(start.result.shape), form)
        record.encoding, record.input = list(ENCODINGS).index(encoding.keyword), number
        record.raw, record.channels = math.prod(start.raw.shape), start.raw.shape[0]
        record.raw_lowest, record.raw_highest = start.raw.type.lowest, start.raw.type.highest
        if isinstance(encoding, Rate | Latency):
            table = self.program.arrays[encoding.table].values.clip(max=MOST_STEPS_IN_TABLE).astype(np.uint16)
            record.table = self._keep(layout.aligned(table))
            record.thresholds, record.live = self._room(2 * record.raw), self._room(record.raw // 64 + 1)
        if isinstance(encoding, Rate):
            record.seed = encoding.seed & 0xFFFFFFFF
        if isinstance(encoding, Delta):
            record.threshold, record.start = encoding.threshold, encoding.start
            record.track = self._room(4 * record.channels)
        if start.result.name in self.read:
            self._events(start.result.name)

    def _readout(self, record: records.Plan) -> None:
        readout = self.program.readout
        record.readout, record.classes = READOUTS.index(readout.kind), self.program.classes
        record.source = self.number[readout.source]
        if readout.exit is not None:
            record.exits, record.margin, record.earliest = 1, readout.exit.margin, readout.exit.earliest

    def _operation(self, operation: Operation, states: dict[str, int]) -> None:
        name = operation.result.name
        if isinstance(operation, Reshape):
            self.number[name] = self.number[operation.source]
            return
        if isinstance(operation, Delay):
            form = Form.BITS if fires(self.program, operation.of) else self._form(self.found.values[name])
            self.number[name] = self._value(math.prod(operation.result.shape), form, states[operation.state])
            return
        op = records.Op(once=name in self.constant, operations=self.place_among.get(name, 0))
        if isinstance(operation, Dense | Conv2d):
            self._synapse(operation, op)
        elif isinstance(operation, LIF | Integrate):
            self._neurons(operation, op, states)
            self.indices[name] = len(self.ops)
        elif isinstance(operation, Add):
            form = self._form(self.found.values[name])
            op.kind, op.result = Kind.ADD, self._value(math.prod(operation.result.shape), form)
            op.source, op.other = (self._as(side, form, bool(op.once)) for side in (operation.left, operation.right))
        elif isinstance(operation, Scale | Matmul):
            self._factors(operation, op)
        else:
            self._pool(operation, op)
        self.number[name] = op.result
        self.ops.append(op)

    def _synapse(self, operation: Dense | Conv2d, op: records.Op) -> None:
        name, weight = operation.result.name, self.program.arrays[operation.weight].values
        op.weight_bits = 8 * layout.narrow(weight).itemsize
        form = self._form(self.found.values[name]) if op.weight_bits < 32 else Form.I32
        op.source, op.sum_bits = self.number[operation.source], WIDTH[form]
        op.result = self._value(math.prod(operation.result.shape), form)
        op.base = self.values[op.result].data
        if op.source == self.number[self.program.input.result.name] and isinstance(self.program.input.encoding, Rate):
            op.base = self._room(WIDTH[form] // 8 * self.values[op.result].elements)
        sparse = self.program.arrays[operation.weight].form == "sparse"
        if isinstance(operation, Conv2d):
            self._taps(operation, op, weight, sparse=sparse)
        elif sparse:
            op.kind = Kind.SPARSE_DENSE
            self._entries(layout.entries(weight), op)
        else:
            laid = layout.rows(weight)
            op.kind, op.weight, op.columns = Kind.DENSE, self._keep(laid), laid.shape[1]

    def _taps(self, operation: Conv2d, op: records.Op, weight: layout.Array, *, sparse: bool) -> None:
        source = self.program.values[operation.source].shape
        taps = layout.taps(operation, weight, source)
        across, along, op.kind, op.block = taps.across, taps.along, Kind.CONV, taps.weight[0].size
        if sparse:
            found, across, along = layout.sparse_taps(taps)
            op.kind, op.block = Kind.SPARSE_CONV, op.block // taps.weight.shape[-1]
            self._entries(found, op)
        else:
            op.weight = self._keep(taps.weight)
        op.width, op.channels, op.reaches = source[1], source[2], across.shape[1]
        op.across, op.along = self._keep(across), self._keep(along)

    def _entries(self, found: layout.Entries, op: records.Op) -> None:
        op.weight, op.starts = self._keep(found.entries), self._keep(found.starts)

    def _factors(self, operation: Scale | Matmul, op: records.Op) -> None:
        shape, form = operation.result.shape, self._form(self.found.values[operation.result.name])
        op.result = self._value(math.prod(shape), form)
        if isinstance(operation, Scale):
            op.kind, op.source = Kind.SCALE, self._as(operation.source, form, bool(op.once))
            laid = layout.parameter(self.program.arrays[operation.factor].values[None], shape)
            op.threshold, op.repeat = self._keep(laid), laid.shape[1]
            return
        op.kind = Kind.SCORES if operation.form == "scores" else Kind.VALUES
        op.source, op.other = (self._as(side, form, bool(op.once)) for side in (operation.left, operation.right))
        right = self.program.values[operation.right].shape
        op.heads, op.channels, op.width = operation.heads, right[1] // operation.heads, right[0]
        op.size = self.program.values[operation.left].shape[0 if operation.form == "scores" else 1]

    def _pool(self, operation: SumPool | MaxPool, op: records.Op) -> None:
        shape, result = self.program.values[operation.source].shape, operation.result.shape
        form = given = Form(self.values[self.number[operation.source]].form)
        if isinstance(operation, SumPool):
            form = self._form(self.found.values[operation.result.name])
            given = given if given is Form.BITS and form is Form.I16 else form
        op.kind = Kind.SUM_POOL if isinstance(operation, SumPool) else Kind.MAX_POOL
        op.source = self._as(operation.source, given, bool(op.once))
        op.result, op.size = self._value(math.prod(result), form), operation.size
        op.width, op.channels, op.result_height, op.result_width = shape[1], shape[2], result[0], result[1]

    def _neurons(self, operation: LIF | Integrate, op: records.Op, states: dict[str, int]) -> None:
        kind, codec = self.program.state[operation.state].type, self.program.state[operation.state].codec
        name, shape = operation.result.name, operation.result.shape
        given = Form(self.values[self.number[operation.source]].form)
        op.source = self._as(operation.source, Form.I16 if given is Form.BITS else given, False)
        op.sum_bits = WIDTH[Form(self.values[op.source].form)]
        kept, carried = self.found.states[operation.state], self.found.carried[operation.state]
        form = self._form(Range(min(kept.lowest, carried.lowest), max(kept.highest, carried.highest)))
        if codec is not None:
            op.coded, op.code_shift, op.first_code, op.last_code = 1, codec.shift, codec.lowest, codec.highest
        op.state, op.state_bits, op.shift = states[operation.state], WIDTH[form], operation.shift
        op.lowest, op.highest = kind.lowest, kind.highest
        sums = self.found.sums[name]
        op.saturates, op.repeat = not kind.holds(sums.lowest, sums.highest), layout.repeat_of(shape)
        op.leak, op.leak_step = self._parameter(operation.leak, shape)
        if operation.bias is not None:
            op.bias, op.bias_step = self._parameter(operation.bias, shape)
        if isinstance(operation, Integrate):
            place = None if op.coded else op.state
            op.kind, op.result = Kind.INTEGRATE, self._value(math.prod(shape), form, place)
            op.threshold = op.amount = op.leak
            return
        op.kind, op.result, op.zero = Kind.LIF, self._value(math.prod(shape), Form.BITS), operation.reset == "zero"
        op.threshold, op.threshold_step = self._parameter(operation.threshold, shape)
        if operation.adapt is None or operation.reset_by is not None:
            op.amount, op.amount_step = self._parameter(operation.amount, shape)
        if operation.hold is not None:
            op.hold, op.refractory = states[operation.hold], operation.refractory
        self._adapting(operation, op, states)

    def _adapting(self, operation: LIF, op: records.Op, states: dict[str, int]) -> None:
        if operation.adapt is None or operation.adapt_leak is None or operation.adapt_jump is None:
            return
        shape = operation.result.shape
        op.adapts, op.adapt, op.adapt_shift = 1, states[operation.adapt], operation.adapt_shift
        op.adapt_fraction, op.adapt_highest = operation.adapt_fraction, self.program.state[operation.adapt].type.highest
        op.adapt_leak, op.adapt_leak_step = self._parameter(operation.adapt_leak, shape)
        op.adapt_jump, op.adapt_jump_step = self._parameter(operation.adapt_jump, shape)

    def _parameter(self, name: str, shape: tuple[int, ...]) -> tuple[int, int]:
        """Where a parameter array lies, and how far apart the rows of two steps are."""
        laid = layout.parameter(self.program.arrays[name].values, shape)
        return self._keep(laid), laid.shape[1] if len(laid) > 1 else 0
