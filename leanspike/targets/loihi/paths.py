"""From spikes to neurons: the operations between them as one synapse, and as a list of connections.

A path is what stands between a value of spikes (the input's, a layer's or a max pool's) and neurons: sum pools and
reshapes, then at most one dense or convolutional synapse, then reshapes. Pools go into the connections: every spike
under a window gets the window's weight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from leanspike.ir import LIF, Add, Conv2d, Dense, Integrate, MaxPool, Operation, Program, Reshape, SumPool
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.reference import windows


@dataclass(frozen=True)
class Path:
    """Operations in the order in which a value passes them.

    Attributes:
        source: the value of spikes, or the input.
        target: the value of the neurons (or max pool) that it ends in.
    """

    source: str
    target: str
    operations: tuple[Operation, ...]

    @property
    def synapse(self) -> Dense | Conv2d | None:
        """The one synapse; None where spikes meet neurons directly."""
        return next((op for op in self.operations if isinstance(op, Dense | Conv2d)), None)


@dataclass(frozen=True, eq=False)
class Edges:
    """Connections ``[E]`` with weights as the program has them, zeros left out, sorted by target."""

    shape: tuple[int, int]
    sources: Ints
    targets: Ints
    weights: Ints


def populations(program: Program) -> list[LIF | Integrate | MaxPool]:
    """What becomes compartments, in order."""
    return [op for op in program.operations if isinstance(op, LIF | Integrate | MaxPool)]


def paths(program: Program, of: LIF | Integrate | MaxPool) -> list[Path]:
    """Every path into these neurons."""
    giver = {op.result.name: op for op in program.operations}
    return [Path(source, of.result.name, way) for source, way in _ways(giver, of.source)]


def _ways(giver: dict[str, Operation], name: str) -> Iterator[tuple[str, tuple[Operation, ...]]]:
    op = giver.get(name)
    if isinstance(op, Add):
        yield from _ways(giver, op.left)
        yield from _ways(giver, op.right)
    elif isinstance(op, Dense | Conv2d | SumPool | Reshape):
        for source, way in _ways(giver, op.source):
            yield source, (*way, op)
    else:
        yield name, ()


def multi_bit(program: Program, path: Path) -> bool:
    """Whether the path carries values that are no spikes."""
    return program.values[path.source].type != SPIKE


def edges(program: Program, path: Path) -> Edges:
    """The path's connections; of a path of spikes."""
    shape = program.values[path.source].shape
    size = int(np.prod(shape))
    places = np.arange(size).reshape(*shape, 1)
    weights: Ints | None = None
    for op in path.operations:
        if isinstance(op, Reshape):
            places = places.reshape(*op.result.shape, -1)
        elif isinstance(op, SumPool):
            places = _pooled(places, op.size)
        elif isinstance(op, Dense | Conv2d):
            weights = program.array(op.weight)
            found = _dense(places, weights) if isinstance(op, Dense) else _convolved(places, op, weights)
    target = int(np.prod(program.values[path.target].shape))
    if weights is None:
        flat = _window(program, path, places)
        found = flat.ravel(), np.repeat(np.arange(len(flat)), flat.shape[1]), np.ones(flat.size, dtype=np.int64)
    sources, targets, values = (array[found[2] != 0] for array in found)
    order = np.lexsort((sources, targets))
    return Edges((size, target), sources[order], targets[order], values[order])


def _window(program: Program, path: Path, places: Ints) -> Ints:
    """``[targets, places]`` of a path without weights; a max pool sees its window."""
    neurons = next(op for op in program.operations if op.result.name == path.target)
    if isinstance(neurons, MaxPool):
        places = _pooled(places, neurons.size)
    return places.reshape(-1, places.shape[-1])


def _pooled(places: Ints, size: int) -> Ints:
    """``[H, W, C, k]`` to ``[H/size, W/size, C, size size k]``."""
    height, width, channels, held = places.shape
    cut = windows(places.reshape(height, width, channels * held), size)
    cut = cut.reshape(*cut.shape[:4], channels, held)
    return np.moveaxis(cut, 4, 2).reshape(*cut.shape[:2], channels, size * size * held)


def _dense(places: Ints, weights: Ints) -> tuple[Ints, Ints, Ints]:
    held, wide = places.shape[-1], weights.shape[1]
    sources = np.broadcast_to(places.reshape(-1, held, 1), (len(weights), held, wide))
    targets = np.broadcast_to(np.arange(wide), sources.shape)
    return sources.ravel(), targets.ravel(), np.broadcast_to(weights[:, None], sources.shape).ravel()


def _convolved(places: Ints, op: Conv2d, weights: Ints) -> tuple[Ints, Ints, Ints]:
    height, width, channels = op.result.shape
    side, across = places.shape[:2]
    result = np.arange(height * width * channels).reshape(height, width, 1, 1, channels)
    found: list[tuple[Ints, Ints, Ints]] = []
    for a in range(weights.shape[0]):
        for b in range(weights.shape[1]):
            rows, columns = (np.arange(n) * op.stride + tap - op.padding for n, tap in ((height, a), (width, b)))
            inside_rows, inside_columns = (rows >= 0) & (rows < side), (columns >= 0) & (columns < across)
            taken = places[rows[inside_rows]][:, columns[inside_columns]][..., None]
            shape = (*taken.shape[:4], channels)
            near = result[inside_rows][:, inside_columns]
            parts = (taken, near, weights[a, b][:, None, :])
            found.append(tuple(np.broadcast_to(part, shape).ravel() for part in parts))  # type: ignore[arg-type]
    sources, targets, values = (np.concatenate(part) for part in zip(*found, strict=True))
    return sources, targets, values
