"""Netlists through ngspice, and its waveforms taken apart into steps."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import MissingTool, TargetError
from leanspike.targets.spice.design import RESET, Design

Floats = npt.NDArray[np.float64]
WAVES = "waves.txt"
PARTS = ("excitatory", "inhibitory", "reset", "output")
_SECONDS = 300
_SAID = 250


@dataclass(frozen=True, eq=False)
class Waves:
    """A neuron over a window, at the times that the simulator chose.

    Attributes:
        time: ``[P]`` s. membrane, output: ``[P]`` V. compared: ``[P]``, above 0.5 where the comparator says "fire".
        powers: ``[4, P]`` W out of the supplies, as in ``PARTS``.
    """

    time: Floats
    membrane: Floats
    output: Floats
    compared: Floats
    powers: Floats

    @property
    def energy(self) -> Floats:
        """``[4]`` J out of each supply over the window."""
        return np.asarray(np.trapezoid(self.powers, self.time, axis=1))


@dataclass(frozen=True, eq=False)
class Simulated:
    """A neuron on a sample: ``spikes [T]`` bool, ``potentials [T]`` V at the ends of the steps, and the waveforms."""

    spikes: npt.NDArray[np.bool_]
    potentials: Floats
    waves: Waves


def find_ngspice() -> str:
    """The path of ngspice.

    Raises:
        MissingTool: it is not installed.
    """
    found = shutil.which("ngspice")
    if found is None:
        raise MissingTool("ngspice is not installed", remedy="apt install ngspice")
    return found


def simulate(netlist: str, stimulus: tuple[str, str], design: Design, steps: int, where: object) -> Simulated:
    """Run a netlist in a folder of its own.

    Args:
        stimulus: name and text of the file that it includes.
        where: what it is, for messages.

    Raises:
        MissingTool: ngspice is not installed. TargetError: it refuses the netlist or does not converge.
    """
    program = find_ngspice()
    with tempfile.TemporaryDirectory(prefix="leanspike-spice-") as folder:
        Path(folder, stimulus[0]).write_text(stimulus[1], encoding="utf-8")
        Path(folder, "neuron.cir").write_text(netlist, encoding="utf-8")
        try:
            done = subprocess.run(
                [program, "-b", "neuron.cir"],
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=_SECONDS,
                env={**os.environ, "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            what = f"ngspice did not end within {_SECONDS} s"
            raise TargetError(what, where=where, remedy="fewer steps") from error
        waves = _read(Path(folder, WAVES), design)
    end = steps * design.step
    if waves is None or waves.time[-1] < end * (1 - 1e-6):
        reached = "" if waves is None else f" at {waves.time[-1] * 1e3:.4g} of {end * 1e3:.4g} ms"
        remedy = "emit the netlist anew, or other parts (step, capacitance, threshold)"
        raise TargetError(f"ngspice stopped{reached} ({_complaint(done)})", where=where, remedy=remedy)
    return _by_steps(waves, design, steps)


def _complaint(done: subprocess.CompletedProcess[str]) -> str:
    """ngspice's own first words on what went wrong; it often ends with 0 all the same."""
    said = " ".join(done.stderr.split()) or " ".join(line for line in done.stdout.splitlines() if "rror" in line)
    return said[:_SAID] or f"no message, exit code {done.returncode}"


def _read(path: Path, design: Design) -> Waves | None:
    """What ``wrdata`` wrote; None where there is nothing, or something that is no table of numbers."""
    try:
        found = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError):
        return None
    if found.shape[0] < 2 or found.shape[1] != 8 or not np.isfinite(found).all():
        return None
    rails = design.supply_v * np.array([1, -1, -1, 1])
    time, membrane, output, compared = found[:, :4].T
    return Waves(time, membrane, output, compared, -found[:, 4:].T * rails[:, None])


def _by_steps(waves: Waves, design: Design, steps: int) -> Simulated:
    begins = np.arange(steps) * design.step
    output = np.interp(begins + sum(RESET) / 2 * design.step, waves.time, waves.output)
    potentials = np.interp(begins + design.step, waves.time, waves.membrane)
    return Simulated(output > design.supply_v / 2, potentials, waves)
