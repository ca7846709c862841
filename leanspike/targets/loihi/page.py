"""A mapping for people: what is exact, what is not, and what it takes of a chip, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leanspike.targets.loihi import cores
from leanspike.targets.loihi.cores import Placement
from leanspike.targets.loihi.mapping import Mapping


def rendered(mapping: Mapping, placement: Placement, note: str) -> str:
    """The whole page."""
    return "\n".join(_lines(mapping, placement, note)) + "\n"


def _lines(mapping: Mapping, placement: Placement, note: str) -> Iterator[str]:
    program = mapping.program
    yield from (f"# {program.name} on Loihi's rules", "", f"{note[0].upper()}{note[1:]}.", "")
    if mapping.exact:
        yield "Exact: the simulated network gives the program's spikes and potentials, whatever goes in."
    else:
        yield "Approximated; `leanspike check --target loihi` measures by how much:"
        yield from ("", *(f"* {found}" for found in mapping.approximations))
    yield from ("", "## Populations", "")
    yield from table(
        ("population", "compartments", "V = 2^s v, s", "steps late", "input"),
        [
            (layer.name, f"{layer.compartments.size:,}", layer.shift, layer.depth, "host" if layer.host else "spikes")
            for layer in mapping.layers
        ],
    )
    yield from ("", "## Connections", "")
    yield from table(
        ("from", "to", "synapses", "bits", "exponent", "delay"),
        [(of.source, of.target, f"{len(of.weights):,}", of.bits, of.exponent, of.delay) for of in mapping.connections],
    )
    yield from ("", f"## Neurocores: {placement.total} of {cores.CORES}", "")
    yield from table(
        ("population", "cores", "synapse memory, bytes", "in-axons", "out-axons", "fullest core"),
        [
            (row.name, row.cores, f"{row.synapse_bits // 8:,}", f"{row.in_axons:,}", f"{row.out_axons:,}", row.fullest)
            for row in placement.table
        ],
    )
    yield from ("", *(f"* {key}: {value}" for key, value in cores.LIMITS.items()))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A table of Markdown."""
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(str(cell) for cell in cells)} |"
