"""Fold norms into synapses and neurons, exactly but for rounding.

    one set of statistics        W := scale W, bias := scale bias + shift
    one set a step (BNTT)        u = v / a_t with a_t = scale[t] > 0:
                                 leak a_(t-1) / a_t, bias + shift[t] / a_t, threshold / a_t a step and channel

A channel whose scales are all negative is turned over first (W, bias and scale change sign).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from leanspike.core.errors import LoweringError
from leanspike.lower.draft import Draft, Norm, Stage, Synapse

Kind = TypeVar("Kind", bound=Synapse)


def fold_norms(draft: Draft, timesteps: int) -> Draft:
    """The same network without norms.

    Raises:
        LoweringError: a norm through time that cannot be folded.
    """
    return replace(draft, stages=tuple(_stage(stage, timesteps) for stage in draft.stages))


def _stage(stage: Stage, timesteps: int) -> Stage:
    through = [synapse.norm for synapse in stage.synapses if synapse.norm is not None and len(synapse.norm.scale) > 1]
    if not through:
        return replace(_fold(stage), more=tuple(_fold(synapse) for synapse in stage.more))
    where = f"stage {stage.number}"
    if stage.more:
        what = "batch norm through time cannot be folded where several synapses meet"
        raise LoweringError(what, where=where, remedy="train it with norm = batch or tdbn")
    norm = through[0]
    if len(norm.scale) < timesteps:
        what = f"batch norm through time knows {len(norm.scale)} steps, not {timesteps}"
        raise LoweringError(what, where=where, remedy="lower with fewer timesteps")
    return _through_time(stage, Norm(norm.scale[:timesteps], norm.shift[:timesteps]))


def _fold(synapse: Kind) -> Kind:
    norm = synapse.norm
    if norm is None:
        return synapse
    bias = synapse.bias * norm.scale + norm.shift
    return replace(synapse, norm=None, weight=synapse.weight * norm.scale[0], bias=bias)


def _through_time(stage: Stage, norm: Norm) -> Stage:
    where = f"stage {stage.number}"
    if stage.adaptation is not None:
        what = "batch norm through time cannot be folded into neurons whose thresholds adapt"
        raise LoweringError(what, where=where, remedy="train it with norm = batch or tdbn")
    sign = np.sign(norm.scale[0])
    if (np.sign(norm.scale) != sign).any() or (sign == 0).any():
        what = "batch norm through time has scales of both signs, or 0, in one channel"
        raise LoweringError(what, where=where, remedy="train it with norm = batch or tdbn")
    if stage.refractory or stage.threshold is None:
        what = "batch norm through time cannot be folded into refractory or integrating neurons"
        raise LoweringError(what, where=where, remedy="train it with norm = batch or tdbn")
    a = norm.scale * sign
    before = np.concatenate([a[:1], a[:-1]])
    return replace(
        stage,
        norm=None,
        weight=stage.weight * sign,
        bias=stage.bias * sign + norm.shift / a,
        leak=stage.leak * before / a,
        threshold=stage.threshold / a,
        reset_by=None if stage.reset_by is None else stage.reset_by / a,
    )
