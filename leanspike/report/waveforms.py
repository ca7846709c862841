"""A circuit's waveforms beside the digital trace: membrane, threshold and spikes of a neuron, and the program's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.report import plots
from leanspike.report.plots import GRID, INK, MUTED, SERIES, Plot

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Waveform:
    """One neuron on one sample.

    Attributes:
        name: of the neuron. step_ms, threshold_mv: what a step and the threshold are in the circuit.
        time_ms, membrane_mv: ``[P]`` the simulator's waveform.
        circuit_steps: steps in which the circuit fired. program_steps: the program.
        program_mv: ``[T]`` the program's potential at the ends of the steps, in the circuit's unit.
    """

    name: str
    step_ms: float
    threshold_mv: float
    time_ms: Floats
    membrane_mv: Floats
    circuit_steps: npt.NDArray[np.integer[Any]]
    program_steps: npt.NDArray[np.integer[Any]]
    program_mv: Floats


def waveforms(neurons: Sequence[Waveform]) -> list[Plot]:
    """A drawing for every neuron."""
    return [_one(i, neuron) for i, neuron in enumerate(neurons)]


def _one(number: int, neuron: Waveform) -> Plot:
    window = len(neuron.program_mv) * neuron.step_ms
    fired = (neuron.program_steps, neuron.circuit_steps)
    with plots.style():
        figure, (spikes, axis) = plots.canvas(250, rows=2, ratios=(1, 4.2))
        for y, steps, colour in ((1, fired[0], MUTED), (0, fired[1], SERIES[0])):
            spikes.vlines((steps + 0.5) * neuron.step_ms, y - 0.36, y + 0.36, color=colour, lw=1.6)
        spikes.set(xlim=(0, window), ylim=(-0.6, 1.6), yticks=(0, 1), yticklabels=("circuit", "program"), xticks=())
        spikes.grid(visible=False)
        spikes.spines[["left", "bottom"]].set_visible(False)
        spikes.tick_params(length=0)
        axis.axhline(neuron.threshold_mv, color=INK, lw=0.9, ls=(0, (4, 3)))
        time, membrane = _thinned(neuron.time_ms, neuron.membrane_mv, 1200)
        axis.plot(time, membrane, color=SERIES[0], lw=1.1, label="membrane of the circuit")
        ends = (np.arange(len(neuron.program_mv)) + 1) * neuron.step_ms
        axis.plot(
            ends, neuron.program_mv, "o", color=MUTED, mec=GRID, mew=0.3, ms=2.6, label="potential of the program"
        )
        axis.set(xlim=(0, window), xlabel="time (ms)", ylabel="membrane (mV)")
        told = f"{len(fired[1])} spikes in the circuit, {len(fired[0])} in the program"
        caption = f"{told}. Dashed: the threshold, {neuron.threshold_mv:g} mV."
        return plots.finish(figure, f"neuron-{number}", neuron.name, caption, told)


def _thinned(time: Floats, values: Floats, most: int) -> tuple[Floats, Floats]:
    """At most ``2 most`` points that keep the lowest and the highest value of every stretch of time."""
    if len(time) <= 2 * most:
        return time, values
    chosen = []
    for part in np.array_split(np.arange(len(time)), most):
        low, high = part[values[part].argmin()], part[values[part].argmax()]
        chosen += sorted({int(low), int(high)})
    return time[chosen], values[chosen]
