"""What no population of compartments can do: refused before anything is mapped, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from leanspike.ir import LIF, Conv2d, Delay, Dense, Direct, Integrate, Matmul, MaxPool, Program, Scale, SumPool, counts
from leanspike.ir.inttype import SPIKE
from leanspike.ir.ops import parameters
from leanspike.ir.violation import Violation
from leanspike.targets.loihi import cores, synapses
from leanspike.targets.loihi.approximations import MOST_BIAS
from leanspike.targets.loihi.bounds import own_bias
from leanspike.targets.loihi.compartment import ALIGNED, MOST_THRESHOLD
from leanspike.targets.loihi.paths import Path, multi_bit, paths, populations

_NO_COMPARTMENT = {
    Scale: "scale the weights when the network is trained",
    Matmul: "a network without attention",
    Delay: "a network without recurrent edges",
}


def refusals(program: Program) -> list[Violation]:
    """Everything that stands in the way of a mapping."""
    found = [
        Violation(op.result.name, f"a {op.keyword}: no compartment or synapse does it here", remedy)
        for op in program.operations
        for kind, remedy in _NO_COMPARTMENT.items()
        if isinstance(op, kind)
    ]
    if len(program.values[program.readout.source].shape) > 1:
        found.append(Violation("readout", "the scores of a map", "a dense layer before the readout"))
    if found:
        return found
    for op in populations(program):
        broken = list(_of_paths(program, op))
        if not isinstance(op, MaxPool):
            broken += _of_neurons(program, op)
        found += broken or _of_spikes(program, op)
    return found or _of_memory(program)


def _of_paths(program: Program, op: LIF | Integrate | MaxPool) -> Iterator[Violation]:
    name, ways = op.result.name, paths(program, op)
    silent = {giver.result.name for giver in program.operations if isinstance(giver, Integrate)}
    for way in ways:
        if way.source in silent:
            yield Violation(name, f"reads the potentials of {way.source}: axons carry spikes", "neurons that fire")
        if not _one_synapse_behind_pools(way):
            what = f"what leads from {way.source} to it is more than sum pools and then one synapse"
            yield Violation(name, what, "pool spikes, and put neurons behind every synapse")
    if isinstance(op, MaxPool) and (program.values[op.source].type != SPIKE or any(way.synapse for way in ways)):
        yield Violation(name, "a max pool of values that are no spikes", "pool behind the neurons")
    wide = [way for way in ways if multi_bit(program, way) and way.source not in silent]
    if wide and not isinstance(program.input.encoding, Direct):
        kind = program.input.encoding.keyword
        remedy = "rate, latency or delta encoding: axons carry single bits"
        yield Violation(name, f"multi-bit input that changes from step to step ({kind})", remedy)
    if wide and len(wide) < len(ways):
        yield Violation(name, "reads a multi-bit input and spikes", "a layer of its own for the input")


def _one_synapse_behind_pools(path: Path) -> bool:
    synapse = path.synapse
    if synapse is None:
        return True
    behind = path.operations[path.operations.index(synapse) + 1 :]
    return not any(isinstance(op, SumPool | Dense | Conv2d) for op in behind)


def _of_neurons(program: Program, op: LIF | Integrate) -> Iterator[Violation]:
    name = op.result.name
    if any(len(program.arrays[array].values) > 1 for array in parameters(op)):
        remedy = "batch norm and neurons whose parameters are the same in all steps"
        yield Violation(name, "parameters that vary by the step", remedy)
    if int(program.array(op.leak).max()) > 1 << op.shift:
        yield Violation(name, "a leak above 1: potentials that grow by themselves", "beta of 1 at most")
    if isinstance(op, LIF) and op.refractory:
        what = "a refractory period: Lava's simulation, which this mapping is held to, has none"
        yield Violation(name, what, "neuron.refractory=0")
    if isinstance(op, LIF) and op.adapt is not None:
        what = "its thresholds adapt: the compartment that this mapping is held to has one threshold"
        yield Violation(name, what, "neuron.adapt_strength=0")


def _of_spikes(program: Program, op: LIF | Integrate | MaxPool) -> list[Violation]:
    """Parameters that a layer cannot take which spikes reach; a layer that the host drives is scaled to fit."""
    name, found = op.result.name, []
    ways = [way for way in paths(program, op) if not multi_bit(program, way)]
    if isinstance(op, LIF) and ways and int(program.array(op.threshold).max()) > MOST_THRESHOLD + 1:
        what = f"a threshold of {program.array(op.threshold).max():,}: 17 bits hold {MOST_THRESHOLD + 1:,}"
        found.append(Violation(name, what, "fewer bits in the weights"))
    bias = int(abs(own_bias(program, op)).max())
    if ways and bias << ALIGNED > MOST_BIAS:
        what = f"a bias of {bias:,}: mantissa and exponent hold {MOST_BIAS >> ALIGNED:,}"
        found.append(Violation(name, what, "fewer bits in the weights, or model.norm=none"))
    for synapse in [way.synapse for way in ways if way.synapse is not None]:
        weights = program.array(synapse.weight).ravel()
        if synapses.stored(weights, ALIGNED) is None:
            remedy = "weights of 8 bits, which map exactly"
            found.append(Violation(name, f"weights of up to {abs(weights).max():,}, which no exponent reaches", remedy))
    return found


def _of_memory(program: Program) -> list[Violation]:
    """More synapses than a chip's memory holds, seen before they are unrolled."""
    sparse = {name: replace(array, form="sparse") for name, array in program.arrays.items()}
    counted, bits, total = replace(program, arrays=sparse), 0, 0
    for op in populations(program):
        for way in paths(program, op):
            if way.synapse is None or multi_bit(program, way):
                continue
            form = synapses.stored(program.array(way.synapse.weight).ravel(), ALIGNED)
            number = int(counts.reach(way.synapse, counted).sum())
            total, bits = total + number, bits + number * (form.bits if form else 8)
    if bits <= cores.CORES * cores.SYNAPSE_BITS:
        return []
    what = f"{total:,} synapses take {bits // 8:,} bytes, a chip has {cores.CORES * cores.SYNAPSE_BITS // 8:,}"
    return [Violation("chip", what, "fewer or narrower synapses: model.width, prune.sparsity, weights.bits")]
