"""How far a simulated mapping is from its program, measured on samples and told by layer and by rule.

    differing      (neuron, step) places at which one fires and the other does not, of all T steps
    rules          the program with one rule of the compartment more, cumulative: reset to zero, whole potentials; at
                   last the simulated network, which adds what is left: rounding, granularity, ranges. Each is compared
                   with the program, and with the rule before it

A difference is a measurement, and no fault, where the mapping names an approximation; where it names none, it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leanspike.ir import LIF, Program, fast
from leanspike.ir.inttype import Ints
from leanspike.targets.loihi.mapping import Mapping
from leanspike.targets.loihi.simulate import simulated, trace

SIMULATED = "simulated"
_SAMPLES_AT_ONCE = 100


@dataclass(frozen=True)
class LayerAgreement:
    """A layer's spikes on all samples."""

    layer: str
    spikes_program: int
    spikes_simulated: int
    differing: int
    places: int


@dataclass(frozen=True)
class RuleAgreement:
    """What a rule, with those before it, changes against the program; ``spikes_added``: against the rule before."""

    rule: str
    decisions_differing: int
    spikes_differing: int
    spikes_added: int


@dataclass(frozen=True)
class Agreement:
    """A measurement on samples.

    Attributes:
        accuracy_program, accuracy_simulated: None without labels.
        clipped, wrapped: how often a voltage or a current stood at the end of its range.
    """

    samples: int
    exact: bool
    decisions_differing: int
    accuracy_program: float | None
    accuracy_simulated: float | None
    layers: tuple[LayerAgreement, ...]
    rules: tuple[RuleAgreement, ...]
    clipped: int
    wrapped: int

    @property
    def share(self) -> float:
        """Of all places, the share at which a spike differs."""
        return sum(row.differing for row in self.layers) / max(1, sum(row.places for row in self.layers))


def variants(program: Program) -> Iterator[tuple[str, Program]]:
    """The program with one rule of the compartment more each; only rules that change it."""
    operations = tuple(
        replace(op, reset="zero", reset_by=None) if isinstance(op, LIF) else op for op in program.operations
    )
    if operations != program.operations:
        program = replace(program, operations=operations)
        yield "reset", program
    states = tuple(replace(state, codec=None) for state in program.states)
    if states != program.states:
        yield "few-bit state", replace(program, states=states)


def agreement(
    mapping: Mapping,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer] | None = None,
) -> Agreement:
    """Simulate the mapping and interpret the program on raw samples ``[B, ...]``, and compare.

    Raises:
        ProgramError: the samples do not fit the program.
    """
    program = mapping.program
    names = [op.result.name for op in program.spiking]
    others = dict(variants(program))
    rules = {rule: np.zeros(3, dtype=np.int64) for rule in (*others, SIMULATED)}
    layers = {name: np.zeros(4, dtype=np.int64) for name in names}
    right, ends = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    for start in range(0, len(raw), _SAMPLES_AT_ONCE):
        part = slice(start, start + _SAMPLES_AT_ONCE)
        spikes, decisions = before, _ = _interpreted(program, raw[part], numbers[part])
        found, decided, reached = _simulated(mapping, raw[part], numbers[part])
        steps = {rule: _interpreted(variant, raw[part], numbers[part]) for rule, variant in others.items()}
        for rule, (changed, chosen) in {**steps, SIMULATED: (found, decided)}.items():
            rules[rule] += (chosen != decisions).sum(), _differing(changed, spikes), _differing(changed, before)
            before = changed
        ends += reached
        for name in names:
            differs = (found[name] != spikes[name]).sum()
            layers[name] += spikes[name].sum(), found[name].sum(), differs, spikes[name].size
        if labels is not None:
            right += (decisions == labels[part]).sum(), (decided == labels[part]).sum()
    program_right, simulated_right = (None, None) if labels is None else (right / len(raw)).tolist()
    clipped, wrapped = ends.tolist()
    return Agreement(
        len(raw),
        mapping.exact,
        int(rules[SIMULATED][0]),
        program_right,
        simulated_right,
        tuple(LayerAgreement(name, *row.tolist()) for name, row in layers.items()),
        tuple(RuleAgreement(rule, *row.tolist()) for rule, row in rules.items()),
        clipped,
        wrapped,
    )


def _interpreted(
    program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer]
) -> tuple[dict[str, Ints], Ints]:
    """Spikes ``[T, B, ...]`` by layer, and decisions ``[B]``."""
    parts, decided = [], []
    for part, (live, states) in fast.propagated(program, raw, numbers):
        parts.append({op.result.name: live[op.result.name] for op in program.spiking})
        decided.append(fast.trace(program, len(part), live, states).predictions)
    return _joined(parts), np.concatenate(decided)


def _simulated(
    mapping: Mapping, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer]
) -> tuple[dict[str, Ints], Ints, Ints]:
    """As :func:`_interpreted`, and how often voltages and currents reached their end."""
    parts, decided, ends = [], [], np.zeros(2, dtype=np.int64)
    for part in simulated(mapping, raw, numbers):
        parts.append({op.result.name: part.spikes[op.result.name] for op in mapping.program.spiking})
        decided.append(trace(mapping, part).predictions)
        ends += sum(part.clipped.values()), sum(part.wrapped.values())
    return _joined(parts), np.concatenate(decided), ends


def _differing(a: dict[str, Ints], b: dict[str, Ints]) -> int:
    return sum(int((a[name] != b[name]).sum()) for name in b)


def _joined(parts: list[dict[str, Ints]]) -> dict[str, Ints]:
    return {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
