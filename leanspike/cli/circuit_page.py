"""The page that ``leanspike emit --target spice`` draws: arrays of the target for the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from leanspike.report.single_page import Page, Table, write_page
from leanspike.report.waveforms import Waveform, waveforms
from leanspike.targets import Artefact, spice
from leanspike.targets.spice.netlist import told as parts_told
from leanspike.targets.spice.timing import Expected

DRAWN = 12
_METHOD = (
    "Membrane: a capacitor. Leak: a {leak}. Threshold: a comparator that is strobed once a step. Reset: a charge, or a "
    "switch to ground. The rule from integers to parts stands in docs/explanation/analog.md.",
    "Energy is what the supplies give for synaptic currents, reset and the comparators' loads: no bias currents, clock "
    "drivers, wires or leakage are in it.",
)


def draw(
    path: Path,
    artefact: Artefact,
    wanted: Expected,
    found: spice.CircuitRun,
    facts: dict[str, Any],
    told: tuple[str, str],
    command: str,
) -> None:
    """Write the page of one sample, the most active neurons first.

    Args:
        facts: of the artefact, with ``timing`` and ``energy``. told: the finding, and which sample it is.
    """
    design, steps = spice.design_of(artefact), artefact.program.steps
    by_activity = np.argsort(-found.spikes[:, 0].sum(0), kind="stable").tolist()
    drawn = min(DRAWN, len(by_activity))
    rows = list(_rows(artefact, wanted, found, by_activity))
    page = Page(
        "leanspike emit --target spice",
        f"{artefact.program.name}: {len(by_activity)} neurons as circuits",
        f"layer {facts['layer']} · {told[1]} · {steps} steps of {design.step_ms:g} ms",
        f"{told[0][0].upper()}{told[0][1:]}.",
        _figures(facts),
        "Waveforms beside the digital trace",
        "Above, the steps in which the program and the circuit fired; below, the membrane as ngspice integrates it, "
        f"and as dots the program's potential at the end of every step. The {drawn} most active of {len(by_activity)}.",
        waveforms([_waveform(artefact, wanted, found, i) for i in by_activity[:DRAWN]]),
        (Table("Neurons", ("neuron", "program", "circuit", "pJ", "parts"), rows, ("parts",)),),
        [paragraph.format(leak=design.leak) for paragraph in _METHOD],
        command,
        artefact.facts["design"],
        "A membrane leaves the rails: no real one does; lower threshold_v." if facts["energy"]["beyond_rails"] else "",
    )
    write_page(path, page)


def _figures(facts: dict[str, Any]) -> tuple[tuple[str, str, str], ...]:
    timing, spike = facts["timing"], facts["energy"]["energy_per_spike_pj"]
    error = "all saturate" if timing["error"] is None else f"{timing['error']:.2g}"
    return (
        ("Spikes", str(timing["spikes_circuit"]), f"{timing['spikes_program']} in the program"),
        ("Largest difference", error, "of a threshold, at the ends of the steps"),
        ("Energy a spike", "no spike" if spike is None else f"{spike:.3g} pJ", "of these behavioural parts, no chip"),
    )


def _waveform(artefact: Artefact, wanted: Expected, found: spice.CircuitRun, i: int) -> Waveform:
    design, waves = spice.design_of(artefact), found.waves[0][i]
    unit = spice.cell(artefact.program, design, found.neurons[i]).lsb
    return Waveform(
        f"{artefact.facts['layer']}[{found.neurons[i]}]",
        design.step_ms,
        design.threshold_v * 1e3,
        waves.time * 1e3,
        waves.membrane * 1e3,
        np.flatnonzero(found.spikes[:, 0, i]),
        np.flatnonzero(wanted.spikes[:, 0, i]),
        wanted.potentials[:, 0, i] * unit * 1e3,
    )


def _rows(
    artefact: Artefact, wanted: Expected, found: spice.CircuitRun, order: list[int]
) -> Iterator[tuple[str, str, str, str, str]]:
    """Name, spikes of the program and of the circuit, energy and parts of every neuron."""
    design = spice.design_of(artefact)
    for i in order:
        neuron = found.neurons[i]
        ours, theirs = (int(spikes[:, 0, i].sum()) for spikes in (wanted.spikes, found.spikes))
        parts = parts_told(spice.cell(artefact.program, design, neuron))
        picojoules = found.waves[0][i].energy.sum() * 1e12
        yield f"{artefact.facts['layer']}[{neuron}]", str(ours), str(theirs), f"{picojoules:.3g}", parts
