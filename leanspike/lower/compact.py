"""Compaction: neurons that nothing can tell apart from silence leave the program, with their rows and columns.

A neuron goes where it can never fire (its interval stays below its threshold in every step, whatever comes in) or where
every weight that reads it is 0. Its column of the synapses before it goes, its parameters and its state, and the rows
of the synapses after it, through pools and reshapes; of a convolution, the whole channel. What goes may free what
stands before and behind it, so this is repeated until nothing goes. Scores are the same for every sample.

Neurons stay whose value or current is read by anything else than dense, conv2d, pools, reshapes to one axis and add;
those of the readout; and one of every layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.ir import LIF, Add, Array, Conv2d, Dense, MaxPool, Operation, Program, Reshape, SumPool, ranges
from leanspike.ir.ops import Shape, arrays, parameters, reads, states

Mask = npt.NDArray[np.bool_]
Synapses = tuple[Dense | Conv2d, ...]


def compacted(program: Program) -> Program:
    """The program without neurons that change no score; its types are those of before."""
    while True:
        found = next(_removable(program), None)
        if found is None:
            return program
        program = _without(program, *found)


def _removable(program: Program) -> Iterator[tuple[LIF, Mask]]:
    """Layers that can lose channels, with those that stay."""
    firing = ranges(program).firing
    for op in program.spiking:
        needed = _needed(program, op.result.name)
        own = all(_used_once(program, name) for name in parameters(op) if program.arrays[name].values.shape[1] > 1)
        if needed is None or not own or _feeders(program, op.source) is None:
            continue
        keep = needed & firing[op.result.name]
        keep[0] |= not keep.any()
        if not keep.all():
            yield op, keep


def _used_once(program: Program, array: str) -> bool:
    return sum(array in arrays(op) for op in program.operations) == 1


def _needed(program: Program, name: str) -> Mask | None:
    """Channels of a value that a weight other than 0 reads; None where something reads it that cannot lose rows."""
    shape = program.values[name].shape
    needed = np.zeros(shape[-1], dtype=bool)
    if name == program.readout.source:
        return None
    for op in _readers(program, name):
        found = _needed_by(program, op, shape)
        if found is None:
            return None
        needed |= found
    return needed


def _needed_by(program: Program, op: Operation, shape: Shape) -> Mask | None:
    if isinstance(op, Dense | Conv2d):
        connected = program.arrays[op.weight].values.reshape(-1, shape[-1], op.result.shape[-1]) != 0
        rows: Mask = connected.any((0, 2))
        return rows if _used_once(program, op.weight) else None
    if isinstance(op, SumPool | MaxPool):
        return _needed(program, op.result.name)
    if isinstance(op, Reshape) and len(op.result.shape) == 1:
        found = _needed(program, op.result.name)
        if found is None:
            return None
        return np.logical_or.reduce(found.reshape(-1, shape[-1]), axis=0)  # type: ignore[no-any-return]
    return None


def _readers(program: Program, name: str) -> list[Operation]:
    return [op for op in program.operations if name in reads(op)]


def _feeders(program: Program, name: str) -> Synapses | None:
    """The synapses whose sum a value is, if they feed nothing else and can lose columns; else None."""
    giver = next((op for op in program.operations if op.result.name == name), None)
    if len(_readers(program, name)) != 1 or name == program.readout.source:
        return None
    if isinstance(giver, Add) and giver.left != giver.right:
        left, right = _feeders(program, giver.left), _feeders(program, giver.right)
        return None if left is None or right is None else left + right
    return (giver,) if isinstance(giver, Dense | Conv2d) and _used_once(program, giver.weight) else None


def _without(program: Program, op: LIF, keep: Mask) -> Program:
    """The program without the channels of a layer that do not stay."""
    edit = _Edit(program)
    edit.current(op.source, keep)
    for name in set(parameters(op)):
        if program.arrays[name].values.shape[1] > 1:
            edit.array(name, lambda values: values[:, keep])
    for name in states(op):
        edit.shapes[name] = (*op.result.shape[:-1], int(keep.sum()))
    edit.value(op.result.name, keep)
    return edit.done()


class _Edit:
    """New shapes of values and states by name, and new arrays."""

    def __init__(self, program: Program) -> None:
        self.program, self.arrays = program, dict(program.arrays)
        self.shapes: dict[str, Shape] = {}

    def array(self, name: str, cut: Any) -> None:
        old = self.arrays[name]
        self.arrays[name] = Array(old.type, cut(old.values), old.form)

    def current(self, name: str, keep: Mask) -> None:
        """Columns of the synapses whose sum this is."""
        self.shapes[name] = (*self.program.values[name].shape[:-1], int(keep.sum()))
        giver = next(op for op in self.program.operations if op.result.name == name)
        if isinstance(giver, Add):
            self.current(giver.left, keep)
            self.current(giver.right, keep)
        else:
            assert isinstance(giver, Dense | Conv2d)
            self.array(giver.weight, lambda values: values[..., keep])

    def value(self, name: str, keep: Mask) -> None:
        """Channels of a value, and the rows of what reads it."""
        shape = self.program.values[name].shape
        self.shapes[name] = (*shape[:-1], int(keep.sum()))
        for op in _readers(self.program, name):
            if isinstance(op, Dense | Conv2d):
                self.array(op.weight, lambda values: values[..., keep, :])
            elif isinstance(op, Reshape):
                self.value(op.result.name, np.broadcast_to(keep, shape).reshape(-1))
            else:
                self.value(op.result.name, keep)

    def done(self) -> Program:
        def reshaped(op: Operation) -> Operation:
            shape = self.shapes.get(op.result.name, op.result.shape)
            return replace(op, result=replace(op.result, shape=shape))

        kept = tuple(replace(state, shape=self.shapes.get(state.name, state.shape)) for state in self.program.states)
        operations = tuple(map(reshaped, self.program.operations))
        return replace(self.program, states=kept, operations=operations, arrays=self.arrays)
