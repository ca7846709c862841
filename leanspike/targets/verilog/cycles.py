"""Clock cycles that a simulated core takes for a sample: its latency, and the distance of samples sent back to back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.targets.base import Artefact
from leanspike.targets.verilog.plan import plan
from leanspike.targets.verilog.simulate import Simulator, simulate


@dataclass(frozen=True)
class Cycles:
    """Cycles of N samples.

    Attributes:
        samples: N.
        mean, least, most: from a sample's first beat to the last word of its answer, one sample at a time.
        interval: between answers, where every sample enters as soon as there is room; None where that was not run.
    """

    samples: int
    mean: float
    least: int
    most: int
    interval: float | None


def cycles(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    simulator: Simulator | None = None,
) -> Cycles:
    """Count the cycles of raw samples ``[B, *program.input.raw.shape]``, B >= 1.

    Raises:
        ProgramError: the samples do not fit the program. MissingTool: there is no simulator.
        TargetError: the core stops.
    """
    planned = plan(artefact.program, artefact.facts["lanes"])
    got = simulate(artefact, planned, raw, numbers, record=False, simulator=simulator)
    each = got.results[:, -1]
    interval = None
    if simulator != "icarus" and len(raw) > 1:
        flow = simulate(artefact, planned, raw, numbers, record=False, simulator=simulator, streaming=True)
        interval = flow.cycles / len(raw)
    return Cycles(len(raw), float(each.mean()), int(each.min()), int(each.max()), interval)
