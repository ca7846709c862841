"""A program's physical graph: what NIR can say of it, in Euler steps of dt, as other simulators read it.

    integers     u = ((v m) >> k) + I + b,  s = u >= theta
    NIR          tau dv/dt = -v + I',  s = v > 1              beta = m / 2^k,  tau = dt / (1 - beta),  r = 1
                 I' = (I + b) a tau / dt,  a = 1 / (theta - 1/2)

Potentials are in units of the threshold, which half an integer keeps from ties, so that simulators which fire on > and
on >= agree and every layer has the threshold 1. The factor a tau / dt lies in weights and biases, because Norse reads
no r. Where nothing leaks, the node is IF with r = 1 / dt and the factor is a. A max pool of spikes is their OR: a
convolution with ones, and neurons that fire at the first spike and reset to 0, so that they remember nothing. Images
are channels first, as NIR has them, and dense weights behind a flattened image are ordered so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.ir import LIF, Add, Conv2d, Dense, Integrate, MaxPool, Operation, Program, Reshape, SumPool, render
from leanspike.ir.ops import Shape, sources

DT = 1e-4
"""Seconds: the step that snnTorch takes for granted."""
SLOWEST = float(1 << 20)
"""tau / dt of a channel that does not leak, in a layer of which other channels do."""

Floats = npt.NDArray[np.float64]


def channels_first(shape: Shape) -> Shape:
    """``(H, W, C)`` as ``(C, H, W)``; any other shape as it is."""
    return (shape[2], *shape[:2]) if len(shape) == 3 else shape


def beta(program: Program, operation: LIF | Integrate) -> Floats:
    """``[1]`` or ``[C]``: the share that a step keeps; the last step's where it varies."""
    share: Floats = program.array(operation.leak)[-1] / float(1 << operation.shift)
    return share


def synapses_of(program: Program, operation: LIF | Integrate) -> list[Dense | Conv2d] | None:
    """The synapses, one or several added, that feed these neurons and nothing else; None where there is another way."""
    giver = {op.result.name: op for op in program.operations}
    readers = [name for op in program.operations for name in sources(op)]
    found: list[Dense | Conv2d] = []
    waiting = [operation.source]
    while waiting:
        name = waiting.pop(0)
        op = giver.get(name)
        if readers.count(name) != 1:
            return None
        if isinstance(op, Add):
            waiting += [op.left, op.right]
        elif isinstance(op, Dense | Conv2d):
            found.append(op)
        else:
            return None
    return found


def physical(nir: Any, program: Program) -> Any:
    """The graph of a program that :func:`leanspike.targets.nir.limits.refusals` accepts, without graph metadata.

    Args:
        nir: the package.
    """
    return _Builder(nir, program).graph()


class _Builder:
    def __init__(self, nir: Any, program: Program) -> None:
        self.nir, self.program = nir, program
        self.nodes: dict[str, Any] = {}
        self.edges: list[tuple[str, str]] = []
        self.feeds: dict[str, list[str]] = {}
        """For a value, the nodes whose sum it is."""
        self.order: dict[str, npt.NDArray[np.intp]] = {}
        """For a flattened image, the feature here that stands at each place of NIR's."""
        self.factor: dict[str, Floats] = {}
        self.bias: dict[str, Floats] = {}
        lines = (line.partition(":") for line in render(program).splitlines())
        self.told = {name: line.strip() for name, _, line in lines if line}

    def graph(self) -> Any:
        start = self.program.input.result
        first = self.nir.Input({"input": np.array(channels_first(start.shape))})
        self.feeds[start.name] = [self._node(start.name, first, [], told=start.name)]
        for op in self.program.operations:
            if isinstance(op, LIF | Integrate):
                self._prepare(op)
        for op in self.program.operations:
            self._put(op)
        read = self.program.values[self.program.readout.source]
        last = self.nir.Output({"output": np.array(channels_first(read.shape))})
        self._node("output", last, self.feeds[read.name])
        return self.nir.NIRGraph(nodes=self.nodes, edges=self.edges, metadata={})

    def _node(self, name: str, node: Any, feeds: list[str], told: str | None = None) -> str:
        name = name.replace(".", "_")
        while name in self.nodes:
            name += "_"
        if told is not None:
            node.metadata = {"leanspike": self.told[told]}
        self.nodes[name] = node
        self.edges += [(feed, name) for feed in feeds]
        return name

    def _prepare(self, op: LIF | Integrate) -> None:
        """What the synapses of these neurons have to take over: the input's factor, and the bias."""
        share, channels = beta(self.program, op), op.result.shape[-1]
        factor = np.ones(channels) if (share == 1).all() else 1 / self._leaks(share)
        if isinstance(op, LIF):
            factor = factor / (self.program.array(op.threshold)[-1] - 0.5)
        factor = np.broadcast_to(factor, channels)
        for i, synapse in enumerate(synapses_of(self.program, op) or []):
            self.factor[synapse.result.name] = factor
            if i == 0 and op.bias is not None:
                self.bias[synapse.result.name] = self.program.array(op.bias)[-1] * factor

    @staticmethod
    def _leaks(share: Floats) -> Floats:
        """dt / tau."""
        return np.maximum(1 - share, 1 / SLOWEST)

    def _put(self, op: Operation) -> None:
        name, feeds = op.result.name, self.feeds[sources(op)[0]]
        if isinstance(op, Dense | Conv2d):
            self.feeds[name] = [self._node(name, self._synapse(op), feeds, told=name)]
        elif isinstance(op, LIF | Integrate):
            self.order |= {name: self.order[op.source]} if op.source in self.order else {}
            self.feeds[name] = [self._node(name, self._neurons(op), feeds, told=name)]
        elif isinstance(op, SumPool | MaxPool):
            self.feeds[name] = [self._pool(op, feeds)]
        elif isinstance(op, Add):
            other = [feed if feed not in feeds else self._again(feed) for feed in self.feeds[op.right]]
            self.order |= {name: self.order[op.left]} if op.left in self.order else {}
            self.feeds[name] = feeds + other
        elif isinstance(op, Reshape):
            self.feeds[name] = self._flat(op, feeds)

    def _again(self, feed: str) -> str:
        """A node's output once more: two nodes have one edge at most."""
        node = self.nir.Scale(np.ones(tuple(self.nodes[feed].output_type["output"]), dtype=np.float32))
        return self._node(f"{feed}_again", node, [feed])

    def _synapse(self, op: Dense | Conv2d) -> Any:
        weight, name = self.program.array(op.weight).astype(np.float64), op.result.name
        weight = weight * self.factor.get(name, 1.0)
        bias = self.bias.get(name)
        if isinstance(op, Dense):
            weight = weight[self.order[op.source]] if op.source in self.order else weight
            if bias is None:
                return self.nir.Linear(_single(weight.T))
            return self.nir.Affine(_single(weight.T), _single(bias))
        sides = self.program.values[op.source].shape[:2]
        bias = np.zeros(weight.shape[3]) if bias is None else bias
        kernel = _single(weight.transpose(3, 2, 0, 1))
        return self.nir.Conv2d(sides, kernel, op.stride, op.padding, 1, 1, _single(bias))

    def _neurons(self, op: LIF | Integrate) -> Any:
        share = beta(self.program, op)
        zero, one = self._spread(op, np.zeros(1)), self._spread(op, np.ones(1))
        if (share == 1).all():
            rate = self._spread(op, np.full(1, 1 / DT))
            return self.nir.IF(rate, one, zero) if isinstance(op, LIF) else self.nir.I(rate)
        tau = self._spread(op, DT / self._leaks(share))
        return self.nir.LIF(tau, one, zero, one, zero) if isinstance(op, LIF) else self.nir.LI(tau, one, zero)

    def _spread(self, op: LIF | Integrate, values: Floats) -> npt.NDArray[np.float32]:
        """``[1]`` or ``[C]`` as an array of the layer's shape in NIR's layout."""
        spread = np.broadcast_to(values, op.result.shape)
        if op.source in self.order:
            spread = spread[self.order[op.source]]
        return _single(np.moveaxis(spread, -1, 0) if spread.ndim == 3 else spread)

    def _pool(self, op: SumPool | MaxPool, feeds: list[str]) -> str:
        name, before = op.result.name, self.program.values[op.source].shape
        if isinstance(op, MaxPool):
            return self._any(op, feeds, before)
        size = np.array([op.size, op.size])
        node = self.nir.SumPool2d(size, size, np.array([0, 0]))
        node.input_type = {"input": np.array(channels_first(before))}
        node.output_type = {"output": np.array(channels_first(op.result.shape))}
        return self._node(name, node, feeds, told=name)

    def _any(self, op: MaxPool, feeds: list[str], before: Shape) -> str:
        ones = np.ones((op.size, op.size)) * np.eye(before[2])[..., None, None]
        node = self.nir.Conv2d(before[:2], _single(ones), op.size, 0, 1, 1, np.zeros(before[2], np.float32))
        summed = self._node(f"{op.result.name}_sum", node, feeds)
        shape = channels_first(op.result.shape)
        zero, one = np.zeros(shape, np.float32), np.ones(shape, np.float32)
        neurons = self.nir.LIF(_single(2 * DT * one), one, zero, one / 4, zero)
        return self._node(op.result.name, neurons, [summed], told=op.result.name)

    def _flat(self, op: Reshape, feeds: list[str]) -> list[str]:
        shape = self.program.values[op.source].shape
        if len(shape) != 3:
            return feeds
        numbers = np.arange(op.result.shape[0]).reshape(shape)
        self.order[op.result.name] = np.moveaxis(numbers, -1, 0).ravel()
        node = self.nir.Flatten({"input": np.array(channels_first(shape))}, 0, -1)
        return [self._node(op.result.name, node, feeds, told=op.result.name)]


def _single(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(values, dtype=np.float32)
