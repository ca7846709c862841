"""What a core cannot be made of, all at once: operations that are no sum over events, and signals that are too wide."""

from __future__ import annotations

from collections.abc import Iterator

from leanspike.ir import LIF, Integrate, Matmul, Program
from leanspike.ir.violation import Violation
from leanspike.targets.verilog import memories
from leanspike.targets.verilog.paths import NoPath, Path, matmul, paths

MOST_WEIGHT_BITS = 18
"""The side of a multiplier in the FPGAs that open tools place and route."""
MOST_VALUE_BITS = 17
MOST_MEMORY_BITS = 1 << 30


def broken(program: Program) -> list[Violation]:
    """Every broken limit."""
    return list(_broken(program))


def _broken(program: Program) -> Iterator[Violation]:
    yield from (matmul(op) for op in program.operations if isinstance(op, Matmul))
    if len(program.values[program.readout.source].shape) > 1:
        yield Violation("readout", "the scores of a map", "a dense layer before the readout, or emit to C")
    for layer in program.spiking:
        if layer.adapt is not None:
            yield Violation(layer.result.name, "its thresholds adapt", "neuron.adapt_strength=0, or emit to C")
    ways: dict[str, list[Path]] = {}
    sizes: dict[str, set[int]] = {}
    for op in program.operations:
        if not isinstance(op, LIF | Integrate):
            continue
        try:
            ways[op.result.name] = paths(program, op)
        except NoPath as error:
            if not any(
                isinstance(other, Matmul) and other.result.name == error.violation.where for other in program.operations
            ):
                yield error.violation
            continue
        for path in ways[op.result.name]:
            yield from _widths(op, path)
            if path.pool != "none":
                sizes.setdefault(path.source, set()).add(path.size)
    for name, found in sizes.items():
        if len(found) > 1:
            told = " and ".join(map(str, sorted(found)))
            yield Violation(name, f"is pooled by {told}", "pools of one size for a layer, or emit to C")
    yield from _value(program)
    if len(ways) == sum(isinstance(op, LIF | Integrate) for op in program.operations):
        yield from _reached(program, ways)


def _widths(op: LIF | Integrate, path: Path) -> Iterator[Violation]:
    assert path.weight is not None
    bits = memories.signed_bits(path.weight)
    if bits > MOST_WEIGHT_BITS:
        where = path.synapse.result.name if path.synapse else op.result.name
        what = f"weights of {bits} bits, scales folded in"
        yield Violation(where, what, f"{MOST_WEIGHT_BITS} bits at most: quantise, or emit to C")
    stored = path.weight.size * bits
    if stored > MOST_MEMORY_BITS:
        yield Violation(op.result.name, f"{stored} bits of weights", f"{MOST_MEMORY_BITS} at most: a smaller network")


def _value(program: Program) -> Iterator[Violation]:
    kind = program.input.result.type
    bits = kind.bits + (not kind.signed)
    if bits > MOST_VALUE_BITS + 1:
        what = f"inputs of {kind}"
        yield Violation(program.input.result.name, what, f"{MOST_VALUE_BITS} bits at most: fewer levels, or emit to C")


def _reached(program: Program, ways: dict[str, list[Path]]) -> Iterator[Violation]:
    """Layers to which nothing of the input comes have nothing to tell them when a sample begins."""
    reached = {program.input.result.name}
    while True:
        more = {name for name, found in ways.items() if any(path.source in reached for path in found)} - reached
        if not more:
            break
        reached |= more
    for name in ways:
        if name not in reached:
            yield Violation(name, "is reached by nothing of the input", "remove it, or emit to C")
