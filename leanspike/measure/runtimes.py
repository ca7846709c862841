"""One program in several runtimes on the same samples: is it right, how large is it, how long does one answer take?

Latency is that of one raw sample in, one class out, on one thread, with the model loaded and warm; the runtimes take
turns in one run (:func:`leanspike.measure.latency.time_in_turn`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike import engine, targets
from leanspike.core.errors import TargetError
from leanspike.core.trace import mismatches
from leanspike.ir import Program, run_fast
from leanspike.measure.latency import Latency, time_in_turn
from leanspike.measure.quality import accuracy

RUNTIMES = ("engine", "onnx", "tflite")
SAMPLES_TIMED = 100


@dataclass(frozen=True)
class Runtime:
    """A program in one runtime on N samples.

    Attributes:
        name: of the target.
        accuracy: share of right predictions.
        differing: of predictions, scores, steps, spike counts and final potentials, the most samples in which one of
            them differs from the program.
        file_bytes: of the file that runs all steps.
        latency: microseconds a sample, batch 1, one thread.
    """

    name: str
    samples: int
    accuracy: float
    differing: int
    file_bytes: int
    latency: Latency


def compare(
    names: Sequence[str],
    program: Program,
    raw: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64] | None = None,
    *,
    calls: int = 300,
) -> list[Runtime]:
    """Run every runtime on all samples and time it on the first ones.

    Args:
        names: of :data:`RUNTIMES`.
        raw: ``[N, *program.input.raw.shape]`` integers of the raw type, N >= 1.
        labels: ``[N]`` true classes.
        numbers: ``[N]`` sample numbers for the rate encoding; 0..N-1 if None.
        calls: timed, of each runtime.

    Raises:
        TargetError: no such runtime, or it cannot express the program. MissingTool: it is not installed.
        ProgramError: the samples do not fit the program. DataError: no samples, or not as many labels.
    """
    for name in names:
        if name not in RUNTIMES:
            raise TargetError(f"{name!r} is no runtime here", remedy=f"there are {', '.join(RUNTIMES)}")
    order = np.arange(len(raw)) if numbers is None else numbers
    expected = run_fast(program, raw, order)
    with tempfile.TemporaryDirectory() as folder:
        artefacts = {name: targets.emit(name, program, Path(folder) / name) for name in names}
        ready = {name: _ready(artefact) for name, artefact in artefacts.items()}
        sizes = {name: artefact.facts["bytes"] for name, artefact in artefacts.items()}
    traces = {name: runtime.run(raw, order) for name, runtime in ready.items()}
    some = list(zip(raw[:SAMPLES_TIMED], order[:SAMPLES_TIMED].tolist(), strict=True))

    def one(runtime: Any) -> Any:
        return lambda i: runtime.classify(*some[i % len(some)])

    times = time_in_turn({name: one(runtime) for name, runtime in ready.items()}, calls=calls)
    return [
        Runtime(
            name,
            len(raw),
            accuracy(trace.predictions, labels),
            max(mismatches(expected, trace).values()),
            sizes[name],
            times[name],
        )
        for name, trace in traces.items()
    ]


def _ready(artefact: targets.Artefact) -> Any:
    """The artefact loaded, on one thread: ``run`` and ``classify``, as :class:`leanspike.engine.Engine` has them."""
    if artefact.target == "engine":
        return engine.Engine(artefact.program)
    return targets.target(artefact.target).prepare(artefact)  # type: ignore[attr-defined]


def table(rows: Sequence[Runtime]) -> str:
    """The comparison as text."""
    lines = [f"{'runtime':<8} {'accuracy':>9} {'differing':>9} {'bytes':>11} {'p50 us':>9} {'p99 us':>9}"]
    for row in rows:
        times = f"{row.latency.p50:>9.1f} {row.latency.p99:>9.1f}"
        lines.append(f"{row.name:<8} {row.accuracy:>9.2%} {row.differing:>9} {row.file_bytes:>11,} {times}")
    return "\n".join(lines)
