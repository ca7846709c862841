"""From floats to integers, stage by stage.

    q      = round(W / s), |q| <= 2^(bits-1) - 1          s a channel; one for all that a membrane readout compares
    unit   = s * (unit of the input)                       what 1 of a current and a potential stands for
    theta  = max(1, round(threshold / unit)),  b = round(bias / unit),  m = round(leak 2^k)

s is the least-squares choice among clipped maxima, and large enough that the threshold fits a potential. Because
synapses see 0/1 (or raw integers of one unit), no multiplier is left anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from leanspike.core.errors import LoweringError
from leanspike.ir import Codec
from leanspike.ir.inttype import Ints
from leanspike.ir.neuron_rules import MOST_MULTIPLIER
from leanspike.lower.config import LowerConfig
from leanspike.lower.draft import Draft, Floats, Stage

_CLIPS = np.linspace(0.4, 1.0, 61)
_DEAD = 1e-30


@dataclass(frozen=True, eq=False)
class IntegerStage:
    """A stage in integers; ``of`` is the stage it stands for.

    Attributes:
        scale: ``[C]`` what the integer 1 of its weights stands for.
        unit: ``[C]`` what the integer 1 of its currents and potentials stands for.
        weight: as the stage's, integers.
        bias, multiplier, threshold, reset_by: ``[S, C]``.
        codec: how its potentials are kept; None keeps them whole.
        weight_bits: of every weight; None: as the configuration says.
    """

    of: Stage
    scale: Floats
    unit: Floats
    weight: Ints
    bias: Ints
    multiplier: Ints
    threshold: Ints | None
    reset_by: Ints | None
    codec: Codec | None = None
    weight_bits: int | None = None

    def as_stage(self, leak_bits: int) -> Stage:
        """The stage with integers in the place of its floats; its leak is ``m / 2^k``, exactly."""
        threshold, amount = (None if a is None else a.astype(np.float64) for a in (self.threshold, self.reset_by))
        weight, bias = self.weight.astype(np.float64), self.bias.astype(np.float64)
        leak = self.multiplier / (1 << leak_bits)
        return replace(self.of, weight=weight, bias=bias, leak=leak, threshold=threshold, reset_by=amount)


def quantised(draft: Draft, unit: float, config: LowerConfig) -> tuple[IntegerStage, ...]:
    """Every stage in integers.

    Args:
        unit: what 1 of the program's input stands for; spikes stand for 1.

    Raises:
        LoweringError: a leak, bias or threshold that no integer of the allowed width comes near.
    """
    stages = []
    for i, stage in enumerate(draft.stages):
        last = i == len(draft.stages) - 1
        stages.append(_quantised(stage, unit if i == 0 else 1.0, config, common=last and stage.threshold is None))
    return tuple(stages)


def _quantised(stage: Stage, unit_in: float, config: LowerConfig, *, common: bool) -> IntegerStage:
    most = (1 << (config.weight_bits - 1)) - 1
    columns = stage.weight.reshape(-1, stage.weight.shape[-1])
    scale = _scales(columns.reshape(-1, 1) if common else columns, most)
    multiplier = _rounded(stage.leak * (1 << config.leak_bits), MOST_MULTIPLIER + 1, stage, "leak")
    limit = 1 << (config.state_bits(int(multiplier.max())) - 1)
    scale = np.broadcast_to(np.maximum(scale, _least_scale(stage, limit * unit_in)), (columns.shape[1],))
    unit = scale * unit_in
    bias = _rounded(stage.bias / unit, limit, stage, "bias")
    threshold = None
    if stage.threshold is not None:
        threshold = np.maximum(1, _rounded(stage.threshold / unit, limit, stage, "threshold"))
    reset_by = None if stage.reset_by is None else _rounded(stage.reset_by / unit, limit, stage, "reset")
    weight = np.rint(stage.weight / scale).clip(-most, most).astype(np.int64)
    return IntegerStage(stage, scale, unit, weight, bias, multiplier, threshold, reset_by)


def _scales(columns: Floats, most: int) -> Floats:
    """The scale of every column that leaves the smallest squared error."""
    highest = np.maximum(np.abs(columns).max(0), _DEAD)
    best: Floats = highest / most
    least = np.full(columns.shape[1], np.inf)
    for clip in _CLIPS:
        scale = clip * highest / most
        error = ((np.rint(columns / scale).clip(-most, most) * scale - columns) ** 2).sum(0)
        best, least = np.where(error <= least, scale, best), np.minimum(error, least)
    return best


def _least_scale(stage: Stage, limit: float) -> Floats:
    """The scale at which the largest threshold or bias takes a quarter of a potential's range, which is +-``limit``."""
    largest = np.abs(stage.bias).max(0)
    theta = stage.threshold
    largest = largest.max(keepdims=True) if theta is None else np.maximum(largest, theta.max(0))
    least: Floats = largest * 4 / limit
    return least


def _rounded(values: Floats, limit: int, stage: Stage, what: str) -> Ints:
    whole = np.rint(values)
    if not np.isfinite(whole).all() or np.abs(whole).max() >= limit:
        largest = np.abs(values).max()
        raise LoweringError(
            f"the {what} would be {largest:.3g}", where=f"stage {stage.number}", remedy=f"below {limit}"
        )
    rows: Ints = whole.astype(np.int64)
    return _common(rows)


def _common(rows: Ints) -> Ints:
    """The rows with an axis of length 1 where all its entries are equal."""
    if (rows == rows[:1]).all():
        rows = rows[:1]
    return rows[:, :1] if (rows == rows[:, :1]).all() else rows
