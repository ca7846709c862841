"""What a circuit of this kind has no part for: named, each with its remedy."""

from __future__ import annotations

from collections.abc import Iterator

from leanspike.ir import LIF, Program
from leanspike.ir.ops import parameters, reads
from leanspike.ir.violation import Violation
from leanspike.targets.spice.design import Design


def refusals(program: Program, design: Design) -> list[Violation]:
    """Everything of the layer that cannot be drawn.

    Raises:
        ConfigError: the program has no such layer or neuron.
    """
    if not program.spiking:
        return [Violation("program", "no layer fires", "a program with LIF neurons")]
    layer = design.layer_of(program)
    design.neurons_of(program)
    return list(_refusals(program, layer))


def _refusals(program: Program, layer: LIF) -> Iterator[Violation]:
    name, one = layer.result.name, 1 << layer.shift
    if layer.hold is not None:
        yield Violation(
            name, "a refractory period: a capacitor leaks while the program's potential stays", "refractory=0"
        )
    if layer.adapt is not None:
        yield Violation(name, "its thresholds adapt: the comparator has one reference", "neuron.adapt_strength=0")
    if program.state[layer.state].codec is not None:
        yield Violation(name, "a potential kept in few bits: a capacitor rounds nothing", "a state without a codec")
    for array in parameters(layer):
        if array != layer.bias and len(program.arrays[array].values) > 1:
            yield Violation(name, f"{array} changes from step to step: a part has one value", "one row for all steps")
    leak = program.array(layer.leak)
    if leak.min() <= 0 or leak.max() > one:
        what = f"a leak that keeps {leak.min()}/{one} to {leak.max()}/{one}: an RC circuit keeps above 0, at most all"
        yield Violation(name, what, "a beta above 0 and at most 1")
    if program.readout.exit is not None:
        yield Violation("readout", "an early exit: the circuit runs all steps", "a readout without exit")
    if _feeds_itself(program, layer):
        yield Violation(name, "its own spikes return to it: its currents are not known beforehand", "no feedback")


def _feeds_itself(program: Program, layer: LIF) -> bool:
    """Whether a layer's spikes reach its own synapses, which only a delay makes possible."""
    reached, before = {layer.result.name}, 0
    while len(reached) > before:
        before = len(reached)
        reached |= {op.result.name for op in program.operations if set(reads(op)) & reached}
    return layer.source in reached
