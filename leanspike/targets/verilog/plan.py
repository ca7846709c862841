"""The hardware of a program: which modules there are, how their memories are laid out, and how wide every signal is.

    place    p = h W + w                    of an image ``[H, W, C]``; a vector ``[C]`` is one place
    group    g of a place                   the channels g L .. g L + L - 1; L lanes work on a group at once
    address  p G + g                        G = ceil(C / L) groups a place: a word of every memory of the layer

A current is summed modulo 2^n, n the bits of its interval: sums on the way may leave it, the last one does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from leanspike.ir import LIF, Direct, Integrate, Program, ranges
from leanspike.ir.inttype import SPIKE
from leanspike.ir.ops import Shape as Sides
from leanspike.ir.ranges import Ranges
from leanspike.targets.verilog import names
from leanspike.targets.verilog.memories import signed_bits
from leanspike.targets.verilog.paths import Path, Pool, is_constant, paths

MARGIN = 16
"""Words that must be free in a queue before more are sent: what may be on its way through the neurons."""
MOST_WAITING = 112
"""Words for which a queue has room beyond that, where its reader needs no whole step at once."""


def bits_for(count: int) -> int:
    """Bits of a counter from 0 to ``count - 1``, 1 at least."""
    return max(1, (count - 1).bit_length())


@dataclass(frozen=True)
class Layout:
    """How the values of a layer lie in words of ``lanes`` values."""

    height: int
    width: int
    channels: int
    lanes: int

    @staticmethod
    def of(shape: Sides, lanes: int) -> Layout:
        """Of a value of any number of axes, the last one the channels; no more lanes than they fill."""
        height = shape[0] if len(shape) == 3 else 1
        channels = shape[-1]
        width = math.prod(shape[:-1]) // height
        return Layout(height, width, channels, min(lanes, 1 << (channels - 1).bit_length()))

    @property
    def places(self) -> int:
        """Of the image."""
        return self.height * self.width

    @property
    def groups(self) -> int:
        """Words a place."""
        return -(-self.channels // self.lanes)

    @property
    def words(self) -> int:
        """Words of the layer."""
        return self.places * self.groups


@dataclass(frozen=True, eq=False)
class Synapse:
    """A path in hardware: a queue of events, weights, and an accumulator for the current.

    Attributes:
        name: ending of its identifiers.
        value: of the program that it gives.
        path: where its events come from, and the weights.
        mode: every (events of each step), once (the same current in every step), late (the same but in the first step),
            never (a step late in a program of one step: the ends of samples are all that is taken).
        source: how its events name places: the layout after the pool.
        value_bits: of a multi-bit event with its sign; 0 where events are spikes.
        target: the layout of the neurons.
        current_bits: of an accumulator.
        depth: words that its queue holds.
    """

    name: str
    value: str
    path: Path
    mode: str
    source: Layout
    value_bits: int
    target: Layout
    current_bits: int
    depth: int

    @property
    def uses_final(self) -> bool:
        """Whether it does something else in the last step of a sample."""
        return self.mode in ("once", "late") or (self.mode == "every" and self.path.delayed)


@dataclass(frozen=True, eq=False)
class Neurons:
    """A layer of neurons with its synapses."""

    name: str
    op: LIF | Integrate
    layout: Layout
    window: int
    views: tuple[Pool, ...]
    synapses: tuple[Synapse, ...]
    is_readout: bool


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that the templates need.

    Attributes:
        exits: a sample may stop before the last step, so all layers wait for one another after every step.
        packed: the input is spikes, ``input_layout.lanes`` a beat; else a beat is one value.
    """

    program: Program
    lanes: int
    ranges: Ranges
    exits: bool
    packed: bool
    input_layout: Layout
    input_window: int
    input_views: tuple[Pool, ...]
    neurons: tuple[Neurons, ...]
    endings: dict[str, str]

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """Of all layers, in order."""
        return tuple(synapse for layer in self.neurons for synapse in layer.synapses)

    def consumers(self, source: str) -> tuple[Synapse, ...]:
        """The synapses that read the events of a value."""
        return tuple(synapse for synapse in self.synapses if synapse.path.source == source)

    @property
    def beats(self) -> int:
        """Beats of the input stream that a sample takes."""
        steps = 1 if isinstance(self.program.input.encoding, Direct) else self.program.steps
        layout = self.input_layout
        return steps * (layout.words if self.packed else layout.places * layout.channels)


def layers(program: Program) -> dict[str, tuple[LIF | Integrate, list[Path]]]:
    """Every layer of neurons with its paths, by the name of its value.

    Raises:
        NoPath: what the core has no hardware for.
    """
    found = [op for op in program.operations if isinstance(op, LIF | Integrate)]
    return {op.result.name: (op, paths(program, op)) for op in found}


def plan(program: Program, lanes: int) -> Plan:
    """Plan a program that passed the target's check."""
    found, every, start = ranges(program), layers(program), program.input.result
    uses = [path for _, ways in every.values() for path in ways]
    reads = [path for path in uses if path.source == start.name]
    flat = all(path.kind == "dense" and path.pool == "none" for path in reads)
    outputs = {start.name: Layout.of((math.prod(start.shape),) if flat else start.shape, lanes)}
    outputs |= {name: Layout.of(op.result.shape, lanes) for name, (op, _) in every.items()}
    frame = _Frame(program, found, outputs, uses, packed=start.type == SPIKE)
    endings = names.unique([start.name, *(op.result.name for op in program.operations)])
    taken: dict[str, int] = {}
    built = []
    for name, (op, ways) in every.items():
        synapses = []
        for path in ways:
            value = path.synapse.result.name if path.synapse else path.source
            ending = endings[value] if path.synapse else f"{endings[value]}_to_{endings[name]}"
            taken[ending] = taken.get(ending, 0) + 1
            ending += f"_way_{taken[ending]}" if taken[ending] > 1 else ""
            synapses.append(_synapse(frame, path, ending, value, op, len(ways)))
        here = [path for path in uses if path.source == name]
        window, is_readout = max([1, *(path.size for path in here)]), program.readout.source == name
        built.append(Neurons(endings[name], op, outputs[name], window, _views(here), tuple(synapses), is_readout))
    exits = program.readout.exit is not None and program.classes > 1
    window = max([1, *(path.size for path in reads)])
    layout = outputs[start.name]
    return Plan(program, lanes, found, exits, frame.packed, layout, window, _views(reads), tuple(built), endings)


@dataclass(frozen=True, eq=False)
class _Frame:
    program: Program
    ranges: Ranges
    outputs: dict[str, Layout]
    uses: list[Path]
    packed: bool


def _synapse(frame: _Frame, path: Path, ending: str, value: str, op: LIF | Integrate, ways: int) -> Synapse:
    program, start = frame.program, frame.program.input.result
    mode = "every"
    if is_constant(program, path):
        mode = "late" if path.delayed else "once"
    elif path.delayed and program.steps == 1 and _stands_before(frame, path.source, op.result.name):
        mode = "never"
    source = frame.outputs[path.source]
    if path.pool != "none":
        source = replace(source, height=path.shape[0], width=path.shape[1])
    of_input = path.source == start.name
    value_bits = 0 if not of_input or frame.packed else start.type.bits + (not start.type.signed)
    words = source.places * source.channels if value_bits else source.words
    alone = ways == 1 and sum(other.source == path.source for other in frame.uses) == 1 and not path.delayed
    depth = 1 << ((min(words + 1, MOST_WAITING) if alone else words + 1) + MARGIN - 1).bit_length()
    assert path.weight is not None
    bits = max(frame.ranges.values[op.source].bits, signed_bits(path.weight))
    target = frame.outputs[op.result.name]
    return Synapse(ending, value, path, mode, source, value_bits, target, bits, depth)


def _stands_before(frame: _Frame, source: str, name: str) -> bool:
    """Whether a step of ``source`` is done before that of ``name``: no recurrent edge."""
    order = list(frame.outputs)
    return order.index(source) < order.index(name)


def _views(here: list[Path]) -> tuple[Pool, ...]:
    kinds: tuple[Pool, ...] = ("none", "sum", "max")
    return tuple(kind for kind in kinds if any(path.pool == kind for path in here))
