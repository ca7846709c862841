"""Frames of events: F frames of a recording become T steps, each a spike where an event fell.

    s[t] = max over frames f with floor(t F / T) <= f < floor((t + 1) F / T) of x[f]   >= 1/2       T <= F

:func:`leanspike.ir.samples.raw_samples` does the same for a program's raw samples.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

SUITED_READOUTS = ("count", "membrane_last", "membrane_max", "membrane_mean")


def encode(x: Tensor, timesteps: int) -> Tensor:
    """``[B, F, ...]`` in [0, 1], or uint8 where 255 stands for 1, become ``[T, B, ...]`` float32 spikes."""
    frames = x.shape[1]
    edges = [t * frames // timesteps for t in range(timesteps + 1)]
    least = 128 if x.dtype == torch.uint8 else 0.5
    steps = [x[:, start:end].amax(1) >= least for start, end in pairwise(edges)]
    return torch.stack(steps).float()


def decode(spikes: Tensor) -> Tensor:
    """``[T, B, ...]`` spikes back to ``[B, T, ...]`` frames."""
    return spikes.movedim(0, 1)
