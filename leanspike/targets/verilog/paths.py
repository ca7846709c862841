"""From a program to event-driven synapses: every way by which a value that holds events reaches neurons.

    I = sum over paths p of L_p(events of p)        L_p linear: at most one dense or conv2d, scales, sum pools, reshapes

Between two layers of neurons a program has linear operations only (and maximum pools of spikes), so a neuron's
current is a sum of paths, and an event can be added along each on its own. A scale is folded into the weights of its
path; a sum pool and a reshape only rename the place of an event; a delay lets a path read the events of the step
before. A maximum pool of spikes is known window by window, and tells events of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from leanspike.ir import (
    LIF,
    Add,
    Conv2d,
    Delay,
    Dense,
    Direct,
    Integrate,
    Matmul,
    MaxPool,
    Operation,
    Program,
    Reshape,
    Scale,
    SumPool,
)
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.ops import Shape
from leanspike.ir.violation import Violation

MOST_PATHS = 64
Pool = Literal["none", "sum", "max"]


class NoPath(Exception):
    """A way through a program that the core has no hardware for; holds the violation."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(str(violation))
        self.violation = violation


@dataclass(frozen=True, eq=False)
class Path:
    """One way from events to neurons.

    Attributes:
        source: the value that holds the events: the input's, or that of a LIF.
        delayed: the events of the step before are read.
        pool, size: how events are pooled on the way.
        shape: of the value that the synapse reads as events name it: ``(H, W, C)`` or ``(C,)``, after the pool.
        synapse: the dense, conv2d or scale that gives the path its name; None where a value reaches neurons as it is.
        weight: ``[rows, columns]`` of dense, ``[a, b, c, o]`` of conv2d, ``[C]`` of one-to-one synapses, all folded.
        sparse: only connections whose weight is not 0 are stored and executed.
    """

    source: str
    shape: Shape
    delayed: bool = False
    pool: Pool = "none"
    size: int = 1
    synapse: Dense | Conv2d | Scale | None = None
    weight: Ints | None = None
    sparse: bool = False

    @property
    def kind(self) -> str:
        """dense, conv2d or one_to_one."""
        return self.synapse.keyword if isinstance(self.synapse, Dense | Conv2d) else "one_to_one"


def paths(program: Program, neurons: LIF | Integrate) -> list[Path]:
    """Every path to the current of a layer of neurons.

    Raises:
        NoPath: one leads through what the core does not have.
    """
    producers: dict[str, Operation] = {op.result.name: op for op in program.operations}
    routes = list(_routes(producers, neurons, neurons.source, ()))
    return [_path(program, neurons, source, route) for source, route in routes]


def _routes(
    producers: dict[str, Operation], neurons: LIF | Integrate, name: str, after: tuple[Operation, ...]
) -> Iterator[tuple[str, tuple[Operation, ...]]]:
    """Sources of events, each with the operations from there to the neurons."""
    pending, found = [(name, after)], 0
    while pending:
        name, after = pending.pop()
        op = producers.get(name)
        if op is None or isinstance(op, LIF):
            found += 1
            if found > MOST_PATHS:
                what = f"more than {MOST_PATHS} sums reach it"
                raise NoPath(Violation(neurons.result.name, what, "put neurons between, or emit to C"))
            yield name, after
        elif isinstance(op, Integrate):
            what = f"reads {name}, the potentials of neurons that never fire"
            raise NoPath(Violation(neurons.result.name, what, "read spikes (lif), or emit to C"))
        elif isinstance(op, Matmul):
            raise NoPath(matmul(op))
        elif isinstance(op, Add):
            pending += [(op.right, after), (op.left, after)]
        else:
            pending.append((op.of if isinstance(op, Delay) else op.source, (op, *after)))


def matmul(op: Matmul) -> Violation:
    """Products of two values are no sum over events."""
    return Violation(op.result.name, "a matmul: the core adds weights where events are", "emit to C or ONNX")


@dataclass(frozen=True, eq=False)
class _Walk:
    """How far a path has come: the shape now, and the factor of every element in it until the synapse."""

    path: Path
    shape: Shape
    viewed: Shape
    factor: npt.NDArray[Any]
    reshaped: bool = False


def _path(program: Program, neurons: LIF | Integrate, source: str, route: tuple[Operation, ...]) -> Path:
    shape = program.values[source].shape
    walk = _Walk(Path(source, shape), shape, shape, np.ones(shape, dtype=np.int64))
    for op in route:
        walk = _along(walk, op, program, neurons)
    path, target = walk.path, neurons.result.shape
    if isinstance(path.synapse, Dense | Conv2d):
        if isinstance(path.synapse, Conv2d) and walk.shape != path.synapse.result.shape:
            raise _refused(neurons, path.synapse, "is reshaped before its neurons", "reshape after the neurons")
        return path
    if walk.viewed != target:
        what = f"reaches {source} one to one through another shape"
        raise NoPath(Violation(neurons.result.name, what, f"give both the shape {list(target)}"))
    return replace(path, weight=_channels(walk, neurons, path.synapse))


def _channels(walk: _Walk, neurons: LIF | Integrate, op: Operation | None) -> Ints:
    """The factor of every channel, where it is the same in every place."""
    factor = walk.factor.reshape(-1, walk.factor.shape[-1])
    if (factor != factor[0]).any():
        where, remedy = neurons.result.name, "scale channels of the image itself"
        what = f"{op.result.name if op else where} has a factor of its own in every place"
        raise NoPath(Violation(where, what, remedy))
    channels: Ints = factor[0]
    return channels


def _refused(neurons: LIF | Integrate, op: Operation, what: str, remedy: str) -> NoPath:
    return NoPath(Violation(neurons.result.name, f"{op.keyword} {op.result.name} {what}", remedy))


def _along(walk: _Walk, op: Operation, program: Program, neurons: LIF | Integrate) -> _Walk:
    path, result = walk.path, op.result.shape
    through = isinstance(path.synapse, Dense | Conv2d)
    if isinstance(op, Delay):
        if path.delayed:
            raise _refused(neurons, op, "delays what is delayed already", "one step of delay on a way, or emit to C")
        return replace(walk, path=replace(path, delayed=True))
    if isinstance(op, Reshape):
        same = walk.factor if through else walk.factor.reshape(result)
        back = math.prod(result) == math.prod(walk.viewed) and result == walk.viewed
        return replace(walk, shape=result, factor=same, reshaped=not back)
    if isinstance(op, Scale):
        factor = program.array(op.factor)
        if through:
            assert path.weight is not None
            columns = path.weight.shape[-1]
            if columns % len(factor):
                raise _refused(neurons, op, "scales a reshaped current", "scale before the reshape")
            return replace(walk, path=replace(path, weight=path.weight * np.tile(factor, columns // len(factor))))
        scaled = walk.factor * factor
        return replace(walk, path=replace(path, synapse=op), factor=scaled)
    if isinstance(op, SumPool | MaxPool):
        return _pooled(walk, op, program, neurons)
    assert isinstance(op, Dense | Conv2d)
    if through:
        assert path.synapse is not None
        raise _refused(neurons, op, f"reads {path.synapse.result.name} with no neurons between", "put neurons between")
    return _weighted(walk, op, program, neurons)


def _pooled(walk: _Walk, op: SumPool | MaxPool, program: Program, neurons: LIF | Integrate) -> _Walk:
    path = walk.path
    if op.size == 1:
        return walk
    if path.pool != "none" or path.synapse is not None or walk.reshaped:
        raise _refused(neurons, op, "does not read neurons or the input as they are", "pool right after the neurons")
    if isinstance(op, MaxPool) and (program.values[path.source].type != SPIKE or path.source == _input(program)):
        raise _refused(neurons, op, "takes the maximum of what is no layer's spikes", "pool spikes, or emit to C")
    kind: Pool = "max" if isinstance(op, MaxPool) else "sum"
    shape = op.result.shape
    pooled = replace(path, pool=kind, size=op.size, shape=shape)
    return _Walk(pooled, shape, shape, np.ones(shape, dtype=np.int64))


def _weighted(walk: _Walk, op: Dense | Conv2d, program: Program, neurons: LIF | Integrate) -> _Walk:
    array = program.arrays[op.weight]
    weight = program.array(op.weight)
    if isinstance(op, Dense):
        weight = weight * walk.factor.reshape(-1, 1)
    else:
        if walk.reshaped:
            raise _refused(neurons, op, "reads a value in another shape than its events have", "give the image itself")
        weight = weight * _channels(walk, neurons, op)[:, None]
    path = replace(walk.path, synapse=op, weight=weight, sparse=array.form == "sparse")
    return replace(walk, path=path, shape=op.result.shape)


def _input(program: Program) -> str:
    return program.input.result.name


def is_constant(program: Program, path: Path) -> bool:
    """Whether what comes along a path is the same in every step (delayed: in every step but the first)."""
    return path.source == _input(program) and isinstance(program.input.encoding, Direct)
