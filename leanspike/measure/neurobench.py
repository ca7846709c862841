"""Our figures beside those of NeuroBench's harness (J. Yik et al., Nature Communications 16 (2025) 1545), same network.

NeuroBench 2.3 watches a torch model run; we count on the integer program. Each of its rules is applied here to the
program's own values, so that a difference is explained by a number: ``ours``, ``by their rules`` (ours, counted their
way), ``theirs``. The last two must agree. Nothing here imports NeuroBench: benchmarks/neurobench_check.py does.

    effective synops     non-zero inputs times non-zero weights, step by step: a constant input again in each step,
                         and a weight of 0 that is stored and executed not at all; biases not at all
    MAC or AC            of a whole call at once: AC if every input in the batch lies in {-1, 0, 1}
    dense synops         every input times every weight (zeros, and connections that are not there, too), every step
    membrane updates     potentials that changed over a step, and every neuron in the first step
    activation sparsity  zeros among outputs of all neuron layers, those that never fire included
    connection sparsity  zeros among weights, rounded to four digits
    footprint            bytes of parameters and buffers as torch holds them; potentials are neither
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import ConfigError
from leanspike.ir import Program, reference
from leanspike.ir.encodings import encode
from leanspike.ir.ops import LIF, Dense, Integrate, Reshape
from leanspike.measure.footprint import footprint
from leanspike.measure.tally import tally
from leanspike.measure.work import arithmetic

TOLERANCE = 1e-4
"""Relative: NeuroBench sums operations in float32 and rounds shares to four digits."""
WHY = {
    "effective_macs": "a constant input is computed once by the program and again in every step by a torch model; "
    "weights that are 0 but stored are executed by the program and not counted there",
    "effective_acs": "weights that are 0 but stored are executed by the program and not counted there; a batch of "
    "binary pixels would be counted as ACs",
    "dense_synops": "the same rule, but connections that are not stored at all count there",
    "membrane_updates": "the program updates every neuron in every step; there a potential that stays as it was is no "
    "update",
    "activation_sparsity": "the program has spikes only in layers that fire; there an integrator's outputs count, too",
    "connection_sparsity": "zeros among all weights; the program's synapses are those that are stored",
    "footprint_bytes": "float32 parameters there; as stored here, with thresholds, leaks and states",
    "accuracy": "the same samples and the same integers",
}


@dataclass(frozen=True)
class Row:
    """One metric."""

    metric: str
    ours: float
    by_their_rules: float
    theirs: float
    why: str

    @property
    def is_explained(self) -> bool:
        """Whether the program's own values, counted by their rules, give their figure."""
        return math.isclose(self.by_their_rules, self.theirs, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def check(program: Program) -> None:
    """Refuse what the torch twin does not express.

    Raises:
        ConfigError: an operation but dense, lif, integrate, reshape; a codec of an integrator; a refractory period;
            thresholds that adapt.
    """
    strange = [op.keyword for op in program.operations if not isinstance(op, Dense | LIF | Integrate | Reshape)]
    integrators = [op.state for op in program.operations if isinstance(op, Integrate)]
    strange += [f"codec of {name}" for name in integrators if program.state[name].codec is not None]
    strange += [f"hold of {op.result.name}" for op in program.spiking if op.hold is not None]
    strange += [f"adaptation of {op.result.name}" for op in program.spiking if op.adapt is not None]
    if strange:
        remedy = "take a fully connected program"
        raise ConfigError(f"the torch twin has no {strange[0]}", where=f"program {program.name}", remedy=remedy)


def ours(program: Program, raw: npt.NDArray[Any], labels: npt.NDArray[np.int64], numbers: Any) -> dict[str, float]:
    """Our figures under the names of ``WHY``; both variants of operations, memory as stored."""
    trace, found = tally(program, raw, numbers)
    event, dense = (arithmetic(program, found, variant) for variant in ("event", "dense"))
    layers = [op.result for op in program.spiking]
    neurons = sum(math.prod(value.shape) for value in layers)
    fired = sum(float(found.nonzero[value.name].sum()) for value in layers)
    weights = [program.arrays[op.weight] for op in program.operations if isinstance(op, Dense)]
    stored = footprint(program)
    return {
        "effective_macs": sum(item.count for item in event if item.kind == "mac"),
        "effective_acs": sum(item.count for item in event if item.kind == "ac"),
        "dense_synops": sum(item.count for item in dense if item.kind in ("mac", "ac")),
        "membrane_updates": sum(item.count for item in event if item.kind == "update"),
        "activation_sparsity": 1 - fired / (neurons * float(found.used.sum())),
        "connection_sparsity": 1 - stored.synapses / sum(array.values.size for array in weights),
        "footprint_bytes": float(stored.array_bytes + stored.state_bytes),
        "accuracy": float((trace.predictions == labels).mean()),
    }


def by_their_rules(
    program: Program, raw: npt.NDArray[Any], labels: npt.NDArray[np.int64], numbers: Any, batch: int, held_bytes: int
) -> dict[str, float]:
    """The program's own values counted as NeuroBench counts.

    Args:
        batch: samples in a call, which decides between MAC and AC.
        held_bytes: of the parameters and buffers of the torch twin.
    """
    check(program)
    sums = dict.fromkeys(("effective_macs", "effective_acs", "dense_synops", "membrane_updates"), 0.0)
    zeros = outputs = right = 0
    for start in range(0, len(raw), batch):
        part = slice(start, start + batch)
        trace = reference.run(program, raw[part], numbers[part], record=True)
        values = _inputs(program, raw[part], numbers[part], trace.step_spikes)
        _operations(program, values, sums)
        for op in program.operations:
            if isinstance(op, LIF | Integrate):
                potentials = trace.step_states[op.state]
                sums["membrane_updates"] += potentials[0].size + np.count_nonzero(np.diff(potentials, axis=0))
                given = trace.step_spikes[op.result.name] if isinstance(op, LIF) else potentials
                zeros += int((given == 0).sum())
                outputs += given.size
        right += int((trace.predictions == labels[part]).sum())
    weights = [program.array(op.weight) for op in program.operations if isinstance(op, Dense)]
    empty = sum(int((weight == 0).sum()) for weight in weights)
    return {key: value / len(raw) for key, value in sums.items()} | {
        "activation_sparsity": zeros / outputs,
        "connection_sparsity": round(empty / sum(weight.size for weight in weights), 4),
        "footprint_bytes": float(held_bytes),
        "accuracy": right / len(raw),
    }


def _inputs(program: Program, raw: Any, numbers: Any, spikes: Mapping[str, Any]) -> dict[str, Any]:
    """``[T, B, size]`` of every value that a synapse may read."""
    start = program.input.result.name
    values = {start: encode(program, raw, numbers).reshape(program.steps, len(raw), -1), **spikes}
    for op in program.operations:
        if isinstance(op, Reshape):
            values[op.result.name] = values[op.source].reshape(program.steps, len(raw), -1)
    return values


def _operations(program: Program, values: Mapping[str, Any], sums: dict[str, float]) -> None:
    for op in program.operations:
        if isinstance(op, Dense):
            weight = program.array(op.weight)
            for x in values[op.source]:
                kind = "effective_macs" if ((x != 0) & (abs(x) != 1)).any() else "effective_acs"
                sums[kind] += float(((x != 0) @ (weight != 0).sum(1)).sum())
                sums["dense_synops"] += x.shape[0] * weight.size


def rows(mine: Mapping[str, float], ruled: Mapping[str, float], theirs: Mapping[str, float]) -> list[Row]:
    """One row a metric, in the order of ``WHY``."""
    return [Row(key, mine[key], ruled[key], theirs[key], why) for key, why in WHY.items()]


def unexplained(found: Sequence[Row]) -> list[str]:
    """Metrics in which their figure is not what their rules give on the program's values."""
    return [row.metric for row in found if not row.is_explained]
