"""A layer's neurons on samples: every neuron of every sample is a run of ngspice of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import TargetError
from leanspike.core.records import from_dict
from leanspike.core.trace import Ints
from leanspike.ir.reference import check_raw
from leanspike.targets.base import Artefact
from leanspike.targets.spice.design import Design, cell
from leanspike.targets.spice.loop import currents
from leanspike.targets.spice.netlist import stem, stimulus
from leanspike.targets.spice.simulate import Floats, Simulated, Waves, simulate

Raw = npt.NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class CircuitRun:
    """What the circuits did on B samples, n neurons, T steps.

    Attributes:
        neurons: their indices in the layer.
        currents: ``[T, B, n]`` units of the potential that went in.
        spikes: ``[T, B, n]`` bool. potentials: ``[T, B, n]`` units of the program's potential at the ends of the steps.
        energy: ``[B, n, 4]`` J out of the supplies, as in :data:`leanspike.targets.spice.simulate.PARTS`.
        swing: ``[2]`` V, the lowest and the highest potential of any membrane.
        waves: ``[B][n]``.
    """

    neurons: tuple[int, ...]
    currents: Ints
    spikes: npt.NDArray[np.bool_]
    potentials: Floats
    energy: Floats
    swing: tuple[float, float]
    waves: tuple[tuple[Waves, ...], ...]


def design_of(artefact: Artefact) -> Design:
    """The design that an artefact was drawn by."""
    return from_dict(Design, artefact.facts["design"])


def run_circuits(
    artefact: Artefact, raw: Raw, numbers: Raw | None = None, told: Callable[[], None] = lambda: None
) -> CircuitRun:
    """Run an artefact's netlists on raw samples.

    Args:
        raw, numbers: as :func:`leanspike.ir.reference.run`.
        told: called after every neuron of every sample.

    Raises:
        ProgramError: the samples do not fit. MissingTool: ngspice is not installed.
        TargetError: ngspice refuses a netlist or does not converge; a file of the artefact is missing.
    """
    program, design = artefact.program, design_of(artefact)
    check_raw(program, raw)
    layer, neurons = design.layer_of(program), design.neurons_of(program)
    brought = currents(program, layer, raw, numbers)[:, :, list(neurons)]
    found = []
    for sample in range(len(raw)):
        for i, neuron in enumerate(neurons):
            found.append(_one(artefact, design, neuron, brought[:, sample, i].astype(np.float64)))
            told()
    units = np.array([cell(program, design, neuron).lsb for neuron in neurons])
    volts = _stacked([one.potentials for one in found], len(raw), len(neurons))
    waves = [one.waves for one in found]
    return CircuitRun(
        neurons,
        brought,
        _stacked([one.spikes for one in found], len(raw), len(neurons)),
        volts / units,
        np.stack([one.energy for one in waves]).reshape(len(raw), len(neurons), -1),
        (min(float(one.membrane.min()) for one in waves), max(float(one.membrane.max()) for one in waves)),
        tuple(tuple(waves[b * len(neurons) : (b + 1) * len(neurons)]) for b in range(len(raw))),
    )


def _one(artefact: Artefact, design: Design, neuron: int, brought: Floats) -> Simulated:
    program = artefact.program
    name = stem(program, design, neuron)
    path = Path(artefact.folder, f"{name}.cir")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TargetError("cannot be read", where=path, remedy="emit it anew") from error
    given = stimulus(cell(program, design, neuron), brought, design.step)
    return simulate(text, (f"{name}.stim", given), design, program.steps, path.name)


def _stacked(parts: list[npt.NDArray[Any]], batch: int, count: int) -> npt.NDArray[Any]:
    """``[T, B, n]`` of a list of ``[T]`` in the order of samples, then neurons."""
    return np.stack(parts, axis=1).reshape(-1, batch, count)
