"""The grade "timing": the circuit's spikes beside the program's, neuron by neuron.

    counts   a neuron fires as often in the circuit as in the program
    times    its n-th spike lies within one step of the program's n-th

Energies are of this circuit of behavioural parts: what its supplies give for the synapses' currents, the reset and the
comparator's load. It has no bias currents, no clock drivers, no wires and no leakage: it is no figure of a chip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.trace import Ints
from leanspike.ir import run as reference
from leanspike.targets.base import Artefact
from leanspike.targets.spice.circuit import CircuitRun, Raw, design_of
from leanspike.targets.spice.simulate import PARTS


@dataclass(frozen=True, eq=False)
class Expected:
    """What the program says of the drawn neurons: ``[T, B, n]`` spikes (bool), and potentials after reset in units."""

    spikes: npt.NDArray[np.bool_]
    potentials: Ints


@dataclass(frozen=True)
class Timing:
    """How the circuit's neurons agree with the program's.

    Attributes:
        neurons, samples, steps: what was compared.
        spikes_program, spikes_circuit: over all of it.
        counts: pairs of neuron and sample whose spike counts differ.
        times: pairs whose counts agree and a spike of which lies more than a step from the program's.
        same_step: share of the program's spikes that the circuit fires in the very same step; None without a spike.
        latest: steps between a spike and the program's, largest, where counts agree.
        saturated: pairs whose potential saturates in the program, which a capacitor does not.
        error: largest difference of potentials at the ends of the steps, in thresholds, where none saturates; None
            where all do.
    """

    neurons: int
    samples: int
    steps: int
    spikes_program: int
    spikes_circuit: int
    counts: int
    times: int
    same_step: float | None
    latest: int
    saturated: int
    error: float | None

    @property
    def agrees(self) -> bool:
        """Whether the grade is met."""
        return not self.counts and not self.times


def expected(artefact: Artefact, raw: Raw, numbers: Raw | None = None) -> Expected:
    """The program's own spikes and potentials of the neurons that the artefact draws."""
    program, design = artefact.program, design_of(artefact)
    layer, neurons = design.layer_of(program), list(design.neurons_of(program))
    trace = reference(program, raw, numbers, record=True)
    shape = (program.steps, len(raw), -1)
    spikes = trace.step_spikes[layer.result.name].reshape(shape)[:, :, neurons]
    return Expected(spikes > 0, trace.step_states[layer.state].reshape(shape)[:, :, neurons])


def timing(artefact: Artefact, wanted: Expected, found: CircuitRun) -> Timing:
    """Compare."""
    program, layer = artefact.program, design_of(artefact).layer_of(artefact.program)
    row = program.array(layer.threshold)[0]
    thresholds = row[np.array(found.neurons) % len(row)]
    steps, samples, neurons = wanted.spikes.shape
    counts, times, latest = 0, 0, 0
    for b in range(samples):
        for i in range(neurons):
            ours, theirs = (np.flatnonzero(spikes[:, b, i]) for spikes in (wanted.spikes, found.spikes))
            if len(ours) != len(theirs):
                counts += 1
                continue
            distance = int(np.abs(ours - theirs).max(initial=0))
            latest, times = max(latest, distance), times + (distance > 1)
    fired = int(wanted.spikes.sum())
    kind = program.state[layer.state].type
    cut = ((wanted.potentials == kind.lowest) | (wanted.potentials == kind.highest)).any(0)
    errors = (np.abs(found.potentials - wanted.potentials) / thresholds).max(0, initial=0.0)[~cut]
    return Timing(
        neurons,
        samples,
        steps,
        fired,
        int(found.spikes.sum()),
        counts,
        times,
        float((wanted.spikes & found.spikes).sum() / fired) if fired else None,
        latest,
        int(cut.sum()),
        float(errors.max()) if errors.size else None,
    )


def energy(artefact: Artefact, found: CircuitRun) -> dict[str, Any]:
    """Switching activity and energy from the simulated currents, over the whole window of all samples.

    Returns:
        ``spikes_per_neuron_and_step``; ``energy_pj`` a neuron and sample, whole and by part; ``energy_per_spike_pj``,
        None without a spike; ``swing_v``; ``beyond_rails``: whether a membrane left them, which no real one does.
    """
    design = design_of(artefact)
    fired, picojoules = int(found.spikes.sum()), found.energy * 1e12
    low, high = found.swing
    return {
        "window_ms": artefact.program.steps * design.step_ms,
        "spikes_per_neuron_and_step": float(found.spikes.mean()),
        "energy_pj": float(picojoules.sum(-1).mean()),
        "energy_by_part_pj": dict(zip(PARTS, picojoules.mean((0, 1)).tolist(), strict=True)),
        "energy_per_spike_pj": float(picojoules.sum() / fired) if fired else None,
        "swing_v": [low, high],
        "beyond_rails": bool(low < -design.supply_v or high > design.supply_v),
    }
