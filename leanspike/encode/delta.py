"""Delta coding: a series becomes ON and OFF spikes of its changes (step-forward, send-on-delta).

A tracker r follows each channel x[t] = gain * series[t] in steps of the threshold theta, one step of time for one
value of the series, so T is the series' length:

    r = 1/2 before the first value
    ON[t]  = x[t] - r >= theta, then r += theta
    OFF[t] = r - x[t] >= theta, then r -= theta        at most one of both

Channels c = 0..C-1 give inputs c (ON) and C + c (OFF). (Miskowicz, Send-on-delta concept, Sensors 6(1), 2006;
step-forward: Kasabov et al., Evolving spatio-temporal data machines, Neural Networks 78, 2016.)
"""

from __future__ import annotations

import torch
from torch import Tensor

SUITED_READOUTS = ("count", "membrane_last", "membrane_max", "membrane_mean")
START = 0.5
"""Where the tracker starts: the middle of [0, 1]."""


def encode(series: Tensor, gain: float, threshold: float) -> Tensor:
    """``[B, C, L]`` values become ``[L, B, 2 C]`` float32 spikes: ON of every channel, then OFF."""
    values = (series * gain).permute(2, 0, 1)
    track = torch.full_like(values[0], START)
    steps = []
    for value in values:
        change = value - track
        on, off = (change >= threshold).to(series.dtype), (-change >= threshold).to(series.dtype)
        track = track + threshold * (on - off)
        steps.append(torch.cat([on, off], dim=1))
    return torch.stack(steps)


def decode(spikes: Tensor, threshold: float) -> Tensor:
    """``[L, B, 2 C]`` spikes to ``[B, C, L]`` values ``gain * series``: the tracker after each step.

    The error is at most theta at every step from which the tracker has caught up, as long as the series changes by
    no more than theta a step; until then the gap narrows by theta less the series' own change a step.
    """
    on, off = spikes.chunk(2, dim=2)
    return (START + threshold * (on - off).cumsum(0)).permute(1, 2, 0)
