"""A series brought to fewer values: each the mean of the old ones that its share of the time touches.

    y[t] = mean of x[a..b-1]      a = floor(t L / T), b = ceil((t + 1) L / T)      T <= L; T = L changes nothing

Neighbouring windows share a value where T does not divide L. :mod:`leanspike.ir.samples` does the same for a program's
raw samples, and :mod:`leanspike.models.sequence` for the networks that a spiking one is compared with.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d


def resampled(series: Tensor, timesteps: int) -> Tensor:
    """``[B, C, L]`` to ``[B, C, T]``."""
    return series if series.shape[-1] == timesteps else adaptive_avg_pool1d(series, timesteps)
