"""What time costs: one more step in microseconds, in state traffic and in energy, apart from what sparsity saves.

    one more step     the last step of the same program run for T + 1 steps on the same samples, executed and counted
    updates           its neurons' part, which no sparsity saves: sums, potentials, parameters, leak, comparison
    spikes            its synapses' part, which goes with the spikes
    saved             the same step with every input computed, less what it costs event by event; where a constant input
                      is computed once, that layer's whole dense step is ``reused``, and not counted as saved by zeros
    latency           the engine on this machine, one thread, T, T + 1 and 2 T steps in turn; medians

``saved`` may be negative with memory: event by event sums stand in memory, input by input they stay in a register.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import ProgramError
from leanspike.engine import Engine
from leanspike.ir import Program, verify
from leanspike.ir.counts import constant_values
from leanspike.ir.ops import LIF, Delay, Integrate
from leanspike.measure.energy import energy
from leanspike.measure.latency import time_in_turn
from leanspike.measure.tally import Tally, tally
from leanspike.measure.traffic import traffic
from leanspike.measure.work import VARIANTS, Executed, Variant, arithmetic

_STATE = ("potential", "counter", "adaptation", "delay")


@dataclass(frozen=True)
class StepEnergy:
    """One step by one model, in nJ: its parts event by event, and what the dense machine would take more."""

    updates: float
    spikes: float
    saved: float
    reused: float


@dataclass(frozen=True)
class StepLatency:
    """Median microseconds a sample at T, T + 1 and 2 T steps."""

    steps: float
    one_more: float
    twice: float

    @property
    def of_a_step(self) -> float | None:
        """What doubling T costs, a step; None where the machine was too busy to tell."""
        return self.twice - self.steps if self.twice > self.steps else None


@dataclass(frozen=True)
class Overhead:
    """What step T + 1 costs; ``latency`` is None where the engine was not asked.

    Attributes:
        state_bits: moved from and to potentials, counters and delays.
        energy: by model.
    """

    step: int
    state_bits: float
    energy: Mapping[str, StepEnergy]
    latency: StepLatency | None


def at_steps(program: Program, steps: int) -> Program | None:
    """The program with another T; None where its parameters or its input hold one value for each step."""
    try:
        return verify(replace(program, steps=steps))
    except ProgramError:
        return None


def executed(program: Program, found: Tally, variant: Variant = "event") -> Executed:
    """Work and traffic."""
    return Executed(arithmetic(program, found, variant), traffic(program, found, variant))


def step_energy(program: Program, found: Tally, model: str, step: int) -> StepEnergy:
    """One step, counted from 0, by an arithmetic or memory model."""
    neurons = {op.result.name for op in program.operations if isinstance(op, LIF | Integrate | Delay)}
    constant = constant_values(program) if step else set()
    parts = {(part, variant): 0.0 for part in ("updates", "spikes", "reused") for variant in VARIANTS}
    for variant in VARIANTS:
        for line in energy(executed(program, found, variant), model).lines:
            part = "reused" if line.layer in constant else "updates" if line.layer in neurons else "spikes"
            parts[part, variant] += line.steps[step] * (line.picojoules or 0.0) / 1000
    own, dense = (parts["updates", v] + parts["spikes", v] for v in ("event", "dense"))
    return StepEnergy(parts["updates", "event"], parts["spikes", "event"], dense - own, parts["reused", "dense"])


def overhead(
    program: Program,
    raw: npt.NDArray[Any],
    numbers: npt.NDArray[np.integer],
    models: tuple[str, ...],
    *,
    timed: bool = True,
) -> Overhead | None:
    """What one more step costs; None where the program cannot run longer.

    Raises:
        ProgramError: the samples do not fit the program. MissingTool: the engine was not built (``timed``).
    """
    without_exit = replace(program, readout=replace(program.readout, exit=None))
    longer = at_steps(without_exit, program.steps + 1)
    if longer is None:
        return None
    _, found = tally(longer, raw, numbers)
    moved = (item for item in traffic(longer, found) if item.what in _STATE)
    return Overhead(
        program.steps + 1,
        sum(item.bits * item.steps[-1] for item in moved),
        {name: step_energy(longer, found, name, program.steps) for name in models},
        latency(without_exit, raw, numbers) if timed else None,
    )


def latency(program: Program, raw: npt.NDArray[Any], numbers: npt.NDArray[np.integer]) -> StepLatency | None:
    """The engine at T, T + 1 and 2 T steps, in turn."""
    steps = program.steps
    lengths = {str(t): at_steps(program, t) for t in (steps, steps + 1, 2 * steps)}
    some = list(zip(raw[:100], numbers[:100].tolist(), strict=True))

    def caller(engine: Engine) -> Any:
        return lambda i: engine.classify(*some[i % len(some)])

    calls = {name: caller(Engine(longer)) for name, longer in lengths.items() if longer is not None}
    if len(calls) < len(lengths):
        return None
    p50 = {name: found.p50 for name, found in time_in_turn(calls, calls=2000).items()}
    return StepLatency(p50[str(steps)], p50[str(steps + 1)], p50[str(2 * steps)])
