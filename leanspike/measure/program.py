"""What a program does on labelled samples: its answers, its spikes, its operations, its memory.

Every figure is counted on the integer program, which every target executes spike for spike: nothing is estimated from
a rate or taken from the network of floats. Definitions: :mod:`leanspike.measure.activity`, :mod:`leanspike.ir.counts`,
:mod:`leanspike.measure.footprint`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike import engine
from leanspike.core.errors import MissingTool
from leanspike.core.trace import Trace
from leanspike.ir import Program
from leanspike.ir.counts import multiplies, synapses
from leanspike.ir.fast import step_predictions
from leanspike.measure.activity import LayerActivity, firing_rates, sparsity, spikes_per_sample
from leanspike.measure.energy import energies
from leanspike.measure.footprint import Footprint, footprint
from leanspike.measure.quality import accuracy, share_interval
from leanspike.measure.tally import Tally, tally
from leanspike.measure.work import Executed, arithmetic


@dataclass(frozen=True, eq=False)
class Measurement:
    """A program on N samples.

    Attributes:
        predictions: ``[N]``.
        accuracy, accuracy_ci95: share of right predictions, with Wilson's 95 % interval.
        mean_steps: steps used, T unless the program exits early.
        spikes_per_sample: of all spiking layers.
        firing_rate: spikes a neuron and step, by the name of the layer's value.
        sparsity: share of (neuron, step) pairs without a spike; None without a spiking layer.
        macs, acs: synaptic operations a sample, mean.
        footprint: memory as stored.
        executed: the arithmetic by layer, kind and width; memory traffic is for :mod:`leanspike.measure.account`.
        energy_nj: of that, nJ a sample by every model of :mod:`leanspike.measure.energy` that prices no more;
            None where one has no figure.
    """

    predictions: npt.NDArray[np.int64]
    accuracy: float
    accuracy_ci95: tuple[float, float]
    mean_steps: float
    spikes_per_sample: float
    firing_rate: dict[str, float]
    sparsity: float | None
    macs: float
    acs: float
    footprint: Footprint
    executed: Executed
    energy_nj: dict[str, float | None]


def measure(
    program: Program,
    raw: npt.NDArray[Any],
    labels: npt.NDArray[np.int64],
    numbers: npt.NDArray[np.int64] | None = None,
) -> Measurement:
    """Run a program on raw samples and measure.

    Args:
        raw: ``[N, *program.input.raw.shape]`` integers, N >= 1.
        labels: ``[N]`` true classes, or ``[N, T]`` of every step, -1 for none; the decisions are then those of the
            steps, and all figures a sample stay those of whole samples.
        numbers: ``[N]`` sample numbers for the rate encoding.

    Raises:
        ProgramError: the samples do not fit the program. DataError: no samples, or not as many labels.
    """
    trace, found = _run(program, raw, numbers)
    synaptic = {name: float(done.sum()) for name, done in found.operations.items()}
    layers = [_activity(program, op.result.name, trace.spikes[op.result.name]) for op in program.spiking]
    steps = float(trace.steps.mean())
    predictions = trace.predictions if labels.ndim == 1 else step_predictions(program, raw, numbers)
    multiplied = {op.result.name for op in synapses(program) if multiplies(op, program)}
    work = Executed(arithmetic(program, found))
    return Measurement(
        predictions,
        accuracy(predictions, labels),
        share_interval(predictions, labels),
        steps,
        spikes_per_sample(layers),
        dict(firing_rates(layers)),
        sparsity(layers) if layers else None,
        float(sum(count for name, count in synaptic.items() if name in multiplied)),
        float(sum(count for name, count in synaptic.items() if name not in multiplied)),
        footprint(program),
        work,
        energies(work),
    )


def _run(program: Program, raw: npt.NDArray[Any], numbers: npt.NDArray[np.integer] | None) -> tuple[Trace, Tally]:
    """Trace and what was executed: by the engine; where it was not built or cannot tell, by the interpreter, slower."""
    if all(op.hold is None for op in program.spiking):
        try:
            trace, counts = engine.run_counted(program, raw, numbers)
        except MissingTool:
            pass
        else:
            return trace, _totals(trace, counts)
    return tally(program, raw, numbers)


def _totals(trace: Trace, counts: engine.Counts) -> Tally:
    """What the engine counted, all steps as one."""
    spikes = {name: _mean(found) for name, found in trace.spikes.items()}
    done = {name: _mean(found) for name, found in counts.synaptic.items()}
    updates = {name: _mean(found) for name, found in counts.updates.items()}
    return Tally(_mean(trace.steps), spikes, done, {}, {}, updates)


def _mean(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.array([counts.mean()])


def _activity(program: Program, name: str, spikes: npt.NDArray[np.int64]) -> LayerActivity:
    return LayerActivity(name, math.prod(program.values[name].shape), program.steps, float(spikes.mean()))
