"""What a mapping takes of a chip: cores, compartments, synapse memory and axons, by layer. Modelled, not measured.

    synapse bits a core = sum over axons of sum over groups of up(n (weight + index + delay) + 4 + 6, 64),  n <= 64
                          index 0 (dense: every compartment of the core in order, zeros too) or 6..12 bits (sparse)
    in-axons a core     = distinct sources that reach it, of each connection
    out-axons a core    = pairs (compartment, core that it reaches)

Published limits of a core: 1,024 compartments, 128 KB of synapses in words of 64 bits, 4,096 in-axons, 4,096 out-axons;
128 cores a chip (M. Davies et al., IEEE Micro 38 (2018) 82). How synapses are packed into words, 8 thresholds and 32
sets of decays a core are what the open-source nengo-loihi allocates (``SynapseConfig.bits_per_axon``,
``VTH_PROFILES_MAX``, ``CX_PROFILES_MAX``). Placement here is simple: a layer's compartments in order, by threshold
where they have more than 8; no core serves two layers; every connection has its own format. A compiler may do better.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from leanspike.ir.inttype import Ints
from leanspike.ir.violation import Violation
from leanspike.targets.loihi.compartment import Connections
from leanspike.targets.loihi.mapping import Layer, Mapping

CORES = 128
COMPARTMENTS = 1024
SYNAPSE_BITS = 128 * 1024 * 8
AXONS = 4096
THRESHOLDS, DECAYS = 8, 32
INDEX_BITS = (6, 7, 8, 9, 10, 11, 12)
_GROUP, _HEADER, _WORD = 64, 10, 64
LIMITS = {
    "neurocores a chip": f"{CORES} (Davies et al. 2018)",
    "compartments a core": f"{COMPARTMENTS:,} (Davies et al. 2018)",
    "synapse memory a core": f"{SYNAPSE_BITS // 8:,} bytes (Davies et al. 2018)",
    "in-axons and out-axons a core": f"{AXONS:,} each (Davies et al. 2018)",
    "thresholds, decays a core": f"{THRESHOLDS} and {DECAYS} (as nengo-loihi allocates)",
    "synapses in memory": "modelled: groups of 64 in words of 64 bits, 10 bits of header (as nengo-loihi counts)",
    "placement": "modelled: layer by layer, no core serves two layers",
}
"""What the figures of a placement stand on."""


@dataclass(frozen=True)
class Core:
    """One core of a layer; ``compartments`` are numbers in the layer."""

    compartments: tuple[int, ...]
    synapse_bits: int
    in_axons: int
    out_axons: int


@dataclass(frozen=True)
class LayerUse:
    """What a layer takes."""

    name: str
    compartments: int
    synapses: int
    synapse_bits: int
    in_axons: int
    out_axons: int
    cores: int
    fullest: str
    """The limit that its fullest core is nearest to, and how near."""


@dataclass(frozen=True)
class Placement:
    """Cores by layer, the table, and what does not fit."""

    cores: dict[str, tuple[Core, ...]]
    table: tuple[LayerUse, ...]
    violations: tuple[Violation, ...]

    @property
    def total(self) -> int:
        """Cores of all layers."""
        return sum(len(cores) for cores in self.cores.values())


def axon_bits(synapses: Ints, weight: int, index: int, delay: int) -> Ints:
    """Bits of axons with so many synapses each, in groups of 64 that are rounded up to whole words."""
    whole, rest = np.divmod(synapses, _GROUP)
    each = weight + index + delay
    full = -(-(_GROUP * each + _HEADER) // _WORD) * _WORD
    last = -(-(rest * each + _HEADER) // _WORD) * _WORD
    bits: Ints = whole * full + np.where(rest > 0, last, 0)
    return bits


def placed(mapping: Mapping) -> Placement:
    """Put a mapping on cores, from the last layer to the first, so that each knows how many cores it reaches."""
    cores: dict[str, tuple[Core, ...]] = {}
    violations: list[Violation] = []
    for layer in reversed(mapping.layers):
        inward = [_Inward(connection) for connection in mapping.connections if connection.target == layer.name]
        outward = [connection for connection in mapping.connections if connection.source == layer.name]
        reached = sum((_reached(connection, cores[connection.target]) for connection in outward), np.zeros(1, int))
        fan_out = np.broadcast_to(reached, layer.compartments.size)
        found, broken = _fill(layer, inward, fan_out)
        cores[layer.name] = found
        violations += broken
    ordered = {layer.name: cores[layer.name] for layer in mapping.layers}
    table = tuple(_used(mapping, layer, ordered[layer.name]) for layer in mapping.layers)
    total = sum(len(found) for found in ordered.values())
    if total > CORES:
        most = max(table, key=lambda row: row.cores)
        what = f"needs {total} neurocores, a chip has {CORES}; {most.name} alone needs {most.cores}"
        violations.append(Violation("chip", what, _remedy(most)))
    return Placement(ordered, table, tuple(violations))


def _remedy(most: LayerUse) -> str:
    if most.fullest.startswith("thresholds"):
        return "one threshold a layer: weights.per_channel=false when it is compressed"
    if most.fullest.startswith(("compartments", "out-axons")):
        return "fewer neurons: a smaller model.width"
    return "fewer or narrower synapses: prune.sparsity, weights.bits"


class _Inward:
    """Connections into a layer, by target."""

    def __init__(self, of: Connections) -> None:
        self.of = of
        self.starts = np.searchsorted(of.targets, np.arange(of.shape[1] + 1))
        self.delay = of.delay.bit_length()

    def load(self, compartments: Ints) -> tuple[int, int]:
        """Synapse bits, and in-axons, of a core that holds these compartments."""
        picked = _slices(self.starts[compartments], self.starts[compartments + 1])
        synapses = np.bincount(self.of.sources[picked], minlength=1)
        synapses = synapses[synapses > 0]
        index = next(bits for bits in INDEX_BITS if len(compartments) <= 1 << bits)
        sparse = axon_bits(synapses, self.of.bits, index, self.delay).sum()
        dense = axon_bits(np.full(1, len(compartments)), self.of.bits, 0, self.delay).sum() * len(synapses)
        return int(min(sparse, dense)), len(synapses)


def _slices(starts: Ints, stops: Ints) -> Ints:
    """The numbers of all ranges, one behind the other."""
    lengths = stops - starts
    before = np.cumsum(lengths) - lengths
    numbers: Ints = np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
    return numbers


def _reached(connection: Connections, cores: Sequence[Core]) -> Ints:
    """How many of the cores each source reaches."""
    number = np.zeros(connection.shape[1], dtype=np.int64)
    for k, core in enumerate(cores):
        number[list(core.compartments)] = k
    pairs = np.unique(connection.sources * max(1, len(cores)) + number[connection.targets])
    counts: Ints = np.bincount(pairs // max(1, len(cores)), minlength=connection.shape[0])
    return counts


def _fill(layer: Layer, inward: list[_Inward], fan_out: Ints) -> tuple[tuple[Core, ...], list[Violation]]:
    of = layer.compartments
    order = np.arange(of.size)
    if len(np.unique(of.threshold)) > THRESHOLDS or len(np.unique(of.decay)) > DECAYS:
        order = np.lexsort((order, of.decay, of.threshold))
    found: list[Core] = []
    at = fits = 0
    while at < of.size:
        fits = _most(layer, inward, fan_out, order[at : at + COMPARTMENTS], guess=fits)
        if not fits:
            limit, count, most = next(_broken(layer, inward, fan_out, order[at : at + 1]))
            what = f"one compartment takes {count:,} {limit}, a core has {most:,}"
            remedy = "fewer synapses a neuron: prune.sparsity, or a smaller layer before it"
            return tuple(found), [Violation(layer.name, what, remedy)]
        picked = order[at : at + fits]
        loads = [way.load(picked) for way in inward]
        bits, axons = (sum(part) for part in zip((0, 0), *loads, strict=True))
        found.append(Core(tuple(picked.tolist()), bits, axons, int(fan_out[picked].sum())))
        at += fits
    return tuple(found), []


def _most(layer: Layer, inward: list[_Inward], fan_out: Ints, waiting: Ints, guess: int) -> int:
    """How many of the waiting compartments a core holds, by halving; the last core's number is tried first."""

    def good(count: int) -> bool:
        return not any(True for _ in _broken(layer, inward, fan_out, waiting[:count]))

    fits, beyond = 0, len(waiting) + 1
    for middle in (guess, guess + 1):
        if fits < middle < beyond:
            fits, beyond = (middle, beyond) if good(middle) else (fits, middle)
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        fits, beyond = (middle, beyond) if good(middle) else (fits, middle)
    return fits


def _broken(layer: Layer, inward: list[_Inward], fan_out: Ints, picked: Ints) -> Iterator[tuple[str, int, int]]:
    of = layer.compartments
    loads = [way.load(picked) for way in inward]
    uses = (
        ("bits of synapses", sum(bits for bits, _ in loads), SYNAPSE_BITS),
        ("in-axons", sum(axons for _, axons in loads), AXONS),
        ("out-axons", int(fan_out[picked].sum()), AXONS),
        ("thresholds", len(np.unique(of.threshold[picked])), THRESHOLDS),
        ("decays", len(np.unique(of.decay[picked])), DECAYS),
    )
    yield from ((limit, used, most) for limit, used, most in uses if used > most)


def _used(mapping: Mapping, layer: Layer, cores: Sequence[Core]) -> LayerUse:
    of = layer.compartments
    shares = {"none": 0.0}
    for core in cores:
        picked = np.array(core.compartments)
        core_shares = {
            "compartments": len(picked) / COMPARTMENTS,
            "synapse memory": core.synapse_bits / SYNAPSE_BITS,
            "in-axons": core.in_axons / AXONS,
            "out-axons": core.out_axons / AXONS,
            "thresholds": len(np.unique(of.threshold[picked])) / THRESHOLDS,
        }
        shares = {name: max(share, shares.get(name, 0.0)) for name, share in core_shares.items()}
    limit = max(shares, key=lambda name: shares[name])
    synapses = sum(len(connection.weights) for connection in mapping.connections if connection.target == layer.name)
    return LayerUse(
        layer.name,
        of.size,
        synapses,
        sum(core.synapse_bits for core in cores),
        sum(core.in_axons for core in cores),
        sum(core.out_axons for core in cores),
        len(cores),
        f"{limit} {shares[limit]:.0%}",
    )
