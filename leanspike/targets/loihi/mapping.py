"""A program as populations of compartments and connections between them.

    V = 2^s v                     the voltage of a compartment for the potential v of a neuron
    W 2^e = w 2^(s - 6)           so that 64 W 2^e = 2^s w

A layer of spikes has s = 6: weights of up to 8 bits with sign are exact then. A multi-bit input in direct coding
reaches its neurons as a bias that the host computes, one for each sample and neuron: such a layer has no synapses, and
s is what the range of biases leaves. A max pool of spikes is compartments that fire at the first spike. A layer's input
comes ``depth`` steps later than in the program.

What is not exact is named in ``approximations``; a mapping without any gives the program's spikes and potentials.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leanspike.ir import MaxPool, Program, ranges, reference
from leanspike.ir.ops import sources
from leanspike.targets.loihi import approximations, neurons, synapses
from leanspike.targets.loihi.approximations import Approximation
from leanspike.targets.loihi.bounds import Neurons, bounds, leak_rounds, own_bias
from leanspike.targets.loihi.compartment import ALIGNED, INPUT, Compartments, Connections
from leanspike.targets.loihi.paths import Path, edges, multi_bit, paths, populations


@dataclass(frozen=True, eq=False)
class Layer:
    """A population and what it stands for.

    Attributes:
        of: the operation.
        shift: s.
        depth: steps by which it is late.
        host: whether its input is a bias that the host computes for each sample.
    """

    of: Neurons
    shift: int
    depth: int
    host: bool
    compartments: Compartments

    @property
    def name(self) -> str:
        """Of the value, and of the population."""
        return self.of.result.name


@dataclass(frozen=True, eq=False)
class Mapping:
    """A mapped program; connections of a layer that the host drives there are none."""

    program: Program
    layers: tuple[Layer, ...]
    connections: tuple[Connections, ...]
    approximations: tuple[Approximation, ...]

    @property
    def exact(self) -> bool:
        """Whether nothing is approximated: equal spikes and potentials, whatever goes in."""
        return not self.approximations

    @property
    def steps(self) -> int:
        """T and the steps that the latest layer is late."""
        return self.program.steps + max(layer.depth for layer in self.layers)


def mapped(program: Program) -> Mapping:
    """Map a program that :func:`leanspike.targets.loihi.limits.refusals` accepts."""
    found, told = ranges(program), list[Approximation]()
    layers: dict[str, Layer] = {}
    connections: list[Connections] = []
    for op in populations(program):
        ways = paths(program, op)
        host = any(multi_bit(program, way) for way in ways)
        depth = 0 if host else 1 + max(layers[way.source].depth if way.source in layers else 0 for way in ways)
        if isinstance(op, MaxPool):
            s = ALIGNED
            of = neurons.populate(program, op, s, depth, rounds=False)
        else:
            limits, rounds = bounds(program, found, op), leak_rounds(program, op, host=host)
            s = approximations.shift_of(program, op, limits, host=host)
            of = neurons.populate(program, op, s, depth, rounds=rounds)
            told += approximations.of_neurons(program, op, limits, of, s, depth, rounds=rounds)
        layers[op.result.name] = Layer(op, s, depth, host, of)
        for way in () if host else ways:
            late = depth - 1 - (layers[way.source].depth if way.source in layers else 0)
            connection, lost = _connected(program, way, s, late)
            connections.append(connection)
            if lost:
                told.append(Approximation("weights", op.result.name, f"the lowest {lost} bits of weights are rounded"))
    return Mapping(program, tuple(layers.values()), tuple(connections), tuple(told))


def _connected(program: Program, way: Path, s: int, delay: int) -> tuple[Connections, int]:
    found = edges(program, way)
    form = synapses.stored(found.weights, s)
    assert form is not None, "limits refuse weights that no exponent reaches"
    source = INPUT if way.source == program.input.result.name else way.source
    ends = found.shape, found.sources, found.targets
    return Connections(source, way.target, *ends, form.mantissas, form.exponent, form.bits, delay), form.lost


def with_host_bias(layer: Layer, program: Program, raw: npt.NDArray[np.integer]) -> Compartments:
    """The population of a host's layer with biases ``[B, n]`` for raw samples ``[B, ...]``."""
    values = {program.input.result.name: raw.astype(np.int64)}
    for op in program.operations:
        if op.result.name == layer.name:
            break
        if not isinstance(op, Neurons) and all(name in values for name in sources(op)):
            values[op.result.name] = reference.apply(op, program, values, {}, 0)
    assert not isinstance(layer.of, MaxPool)
    driven = (values[layer.of.source] + own_bias(program, layer.of)).reshape(len(raw), -1)
    rounds = leak_rounds(program, layer.of, host=True)
    mantissa, exponent = neurons.bias_of(neurons.voltage(driven, layer.shift, rounds=rounds))
    return replace(layer.compartments, bias=mantissa, bias_exponent=exponent)
