"""Latency coding: one spike an input, the earlier the larger the value (time to first spike).

    p = min(gain * x, 1)
    t = floor((1 - p) (T - 1) + 1/2)        one spike at step t; none at all where p < threshold

(Thorpe, Gautrais, Rank order coding, 1998; the linear form as in Park et al., T2FSNN, DAC 2020.)
"""

from __future__ import annotations

import torch
from torch import Tensor

SUITED_READOUTS = ("first_spike", "membrane_last", "membrane_max")
MIN_TIMESTEPS = 2


def max_error(timesteps: int, threshold: float) -> float:
    """Bound of ``|decode(encode(x)) - p|``: half a step, or the threshold where nothing fires."""
    return max(0.5 / (timesteps - 1), threshold)


def encode(x: Tensor, gain: float, threshold: float, timesteps: int) -> Tensor:
    """``[B, ...]`` values become ``[T, B, ...]`` float32 spikes, at most one an input; T >= 2."""
    p = (x * gain).clamp(0.0, 1.0)
    when = ((1.0 - p) * (timesteps - 1) + 0.5).floor().to(torch.int64)
    spikes = torch.zeros(timesteps, *x.shape, dtype=torch.float32, device=x.device)
    return spikes.scatter_(0, when.unsqueeze(0), (p >= threshold).to(torch.float32).unsqueeze(0))


def decode(spikes: Tensor) -> Tensor:
    """``[T, B, ...]`` spikes to ``[B, ...]`` values by the first spike: ``1 - t / (T - 1)``, 0 where none came."""
    first = spikes.argmax(0).to(torch.float32)
    return torch.where(spikes.any(0), 1.0 - first / (len(spikes) - 1), 0.0)
