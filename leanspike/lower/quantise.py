"""From floats to integers, stage by stage.

    q      = round(W / s), |q| <= 2^(bits-1) - 1          s a channel; one for all that a membrane readout compares
    unit   = s * (unit of the input)                       what 1 of a current and a potential stands for
    unit   = s_k u_k / f_k                                 of several synapses k: f_k whole, a scale behind k
    theta  = max(1, round(threshold / unit)),  b = round(bias / unit),  m = round(leak 2^k)
    jump   = round(strength 2^f / unit),  n = round(decay 2^k)         f: so fine is the adaptation

s is the least-squares choice among clipped maxima, and large enough that the threshold fits a potential. Because
synapses see 0/1 (or integers of one unit), no multiplier is left anywhere. Synapses whose inputs have one unit share s;
where the units differ (the input beside recurrent spikes), the finer current sets the unit, and the coarser one is a
whole multiple f of it. A one-to-one synapse (an identity shortcut) is such a multiple itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from leanspike.compress.adaptation import decay_of, fraction_of, most_jump
from leanspike.core.errors import LoweringError
from leanspike.ir import Codec
from leanspike.ir.inttype import Ints
from leanspike.ir.neuron_rules import MOST_MULTIPLIER
from leanspike.lower.config import LowerConfig
from leanspike.lower.draft import Adaptation, Draft, Floats, Stage, Synapse
from leanspike.lower.signals import unit_of

_CLIPS = np.linspace(0.4, 1.0, 61)
_DEAD = 1e-30
ALONE = 64
"""The factor of a one-to-one synapse that is its neurons' only one: so fine are their potentials."""
MOST_FACTOR = 1 << 20


@dataclass(frozen=True, eq=False)
class IntegerSynapse:
    """A synapse in integers.

    Attributes:
        scale: ``[C]`` what the integer 1 of its weights stands for, or of a one-to-one synapse of its factor.
        weight: as the synapse's, integers; of a one-to-one synapse ``[1]`` or ``[C]``.
        factor: ``[1]`` or ``[C]`` by which its sums are multiplied; None for 1.
    """

    of: Synapse
    scale: Floats
    weight: Ints
    factor: Ints | None = None

    def as_synapse(self) -> Synapse:
        """With integers in the place of its floats; the bias is the stage's."""
        return replace(self.of, weight=self.whole, bias=np.zeros((1, 1)))

    @property
    def whole(self) -> Floats:
        """Weights times factors."""
        factor = 1.0 if self.factor is None else self.factor.astype(np.float64)
        whole: Floats = self.weight.astype(np.float64) * factor
        return whole


@dataclass(frozen=True, eq=False)
class IntegerAdaptation:
    """What thresholds adapt by, in integers: ``jump`` and ``multiplier`` ``[1, C]`` or ``[1, 1]``, and f."""

    jump: Ints
    multiplier: Ints
    fraction: int


@dataclass(frozen=True, eq=False)
class IntegerStage:
    """A stage in integers; ``of`` is the stage it stands for.

    Attributes:
        scale: ``[C]`` what the integer 1 of its weights stands for.
        unit: ``[C]`` what the integer 1 of its currents and potentials stands for.
        weight: as the stage's, integers.
        bias, multiplier, threshold, reset_by: ``[S, C]``; the bias is that of all its synapses.
        codec: how its potentials are kept; None keeps them whole.
        weight_bits: of every weight; None: as the configuration says.
        factor: ``[1]`` or ``[C]`` by which the first synapse's sums are multiplied; None for 1.
        more: its further synapses.
        adaptation: None where thresholds stay.
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
    factor: Ints | None = None
    more: tuple[IntegerSynapse, ...] = ()
    adaptation: IntegerAdaptation | None = None

    @property
    def synapses(self) -> tuple[IntegerSynapse, ...]:
        """All of them, the first one first."""
        return (IntegerSynapse(self.of, self.scale, self.weight, self.factor), *self.more)

    def as_stage(self, leak_bits: int) -> Stage:
        """The stage with integers in the place of its floats; its leak is ``m / 2^k``, exactly."""
        threshold, amount = (None if a is None else a.astype(np.float64) for a in (self.threshold, self.reset_by))
        weight, more = self.synapses[0].whole, tuple(synapse.as_synapse() for synapse in self.more)
        bias, leak = self.bias.astype(np.float64), self.multiplier / (1 << leak_bits)
        firing: dict[str, Any] = {"threshold": threshold, "reset_by": amount, "adaptation": None}
        if self.adaptation is not None:
            decay = int(self.adaptation.multiplier.max()) / (1 << leak_bits)
            firing["adaptation"] = Adaptation(self.adaptation.jump.astype(np.float64), decay, self.adaptation.fraction)
        return replace(self.of, weight=weight, bias=bias, leak=leak, more=more, **firing)


def quantised(draft: Draft, unit: float, config: LowerConfig) -> tuple[IntegerStage, ...]:
    """Every stage in integers.

    Args:
        unit: what 1 of the program's input stands for; spikes stand for 1.

    Raises:
        LoweringError: a leak, bias or threshold that no integer of the allowed width comes near; signals that are
            added and have different units.
    """
    last = len(draft.stages)
    return tuple(
        _quantised(stage, unit, config, common=stage.number == last and stage.threshold is None)
        for stage in draft.stages
    )


def _quantised(stage: Stage, unit_in: float, config: LowerConfig, *, common: bool) -> IntegerStage:
    multiplier = _rounded(stage.leak * (1 << config.leak_bits), MOST_MULTIPLIER + 1, stage, "leak")
    limit = 1 << (config.state_bits(int(multiplier.max())) - 1)
    bias = sum((synapse.bias for synapse in stage.more), stage.bias)
    units = [unit_of(synapse.source, unit_in) for synapse in stage.synapses]
    wanted = _wanted(stage, units, config, common=common)
    channels = max(stage.leak.shape[-1], *(synapse.weight.shape[-1] for synapse in stage.synapses))
    finest = np.min(np.broadcast_arrays(*wanted.values()), 0)
    unit: Floats = np.broadcast_to(np.maximum(finest, _least_unit(stage, bias, limit)), (channels,))
    pairs = zip(stage.synapses, units, strict=True)
    first, *more = (_synapse(synapse, own, unit, wanted.get(own), config, stage) for synapse, own in pairs)
    threshold = None
    if stage.threshold is not None:
        threshold = np.maximum(1, _rounded(stage.threshold / unit, limit, stage, "threshold"))
    reset_by = None if stage.reset_by is None else _rounded(stage.reset_by / unit, limit, stage, "reset")
    end = (_rounded(bias / unit, limit, stage, "bias"), multiplier, threshold, reset_by)
    return IntegerStage(
        stage, first.scale, unit, first.weight, *end,
        factor=first.factor, more=tuple(more), adaptation=adaptation_of(stage, unit, config.leak_bits),
    )  # fmt: skip


def adaptation_of(stage: Stage, unit: Floats, leak_bits: int) -> IntegerAdaptation | None:
    """What a stage's thresholds adapt by where 1 of a potential stands for ``unit`` ``[C]``.

    Raises:
        LoweringError: a rise of the threshold that no integer of the allowed width holds.
    """
    if stage.adaptation is None:
        return None
    decay = decay_of(stage.adaptation.decay, leak_bits)
    rise: Floats = stage.adaptation.jump / unit
    fraction = fraction_of(float(rise.min()), float(rise.max()), decay, leak_bits)
    jump = _rounded(rise * 2.0**fraction, most_jump(decay, leak_bits), stage, "adaptation")
    return IntegerAdaptation(jump, np.array([[decay]]), fraction)


def _wanted(stage: Stage, units: list[float], config: LowerConfig, *, common: bool) -> dict[float, Floats]:
    """By the unit of an input, the unit ``[C]`` that suits the currents of all synapses which have such an input."""
    pairs = list(zip(stage.synapses, units, strict=True))
    weighted = [(synapse.weight, own) for synapse, own in pairs if not synapse.one_to_one]
    if not weighted:
        return {own: np.abs(synapse.weight) * own / ALONE for synapse, own in pairs}
    most, wanted = (1 << (config.weight_bits - 1)) - 1, {}
    for own in dict.fromkeys(unit for _, unit in weighted):
        columns = np.concatenate([weight.reshape(-1, weight.shape[-1]) for weight, unit in weighted if unit == own])
        wanted[own] = own * _scales(columns.reshape(-1, 1) if common else columns, most)
    return wanted


def _synapse(
    synapse: Synapse, own: float, unit: Floats, wanted: Floats | None, config: LowerConfig, stage: Stage
) -> IntegerSynapse:
    """A synapse whose currents have the unit ``[C]``, or are whole multiples of it that come nearest to ``wanted``."""
    if synapse.one_to_one:
        factor = _rounded((synapse.weight * own / unit)[None], MOST_FACTOR, stage, "factor")[0]
        return IntegerSynapse(synapse, unit / own, factor)
    assert wanted is not None
    times = np.maximum(1, _rounded((wanted / unit)[None], MOST_FACTOR, stage, "factor")[0])
    scale = np.broadcast_to(times * unit / own, unit.shape)
    most = (1 << (config.weight_bits - 1)) - 1
    weight = np.rint(synapse.weight / scale).clip(-most, most).astype(np.int64)
    return IntegerSynapse(synapse, scale, weight, None if (times == 1).all() else times)


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


def _least_unit(stage: Stage, bias: Floats, limit: int) -> Floats:
    """The unit at which the largest threshold or bias takes a quarter of a potential's range, which is +-``limit``."""
    largest = np.abs(bias).max(0)
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
