"""Direct coding: the value itself is the input current of the first layer, the same at every step.

    i[t] = gain * x        t = 0..T-1

The first layer's neurons turn it into spikes. (Rueckauer et al., Frontiers in Neuroscience 11:682, 2017; Rathi and
Roy, DIET-SNN, IEEE TNNLS 2021.) The result is a view with stride 0 in time: nothing is copied, and a network that
sees the stride computes its first synapse once instead of T times.
"""

from __future__ import annotations

from torch import Tensor

SUITED_READOUTS = ("count", "membrane_last", "membrane_max", "membrane_mean", "first_spike")


def encode(x: Tensor, timesteps: int) -> Tensor:
    """``[B, ...]`` float32 becomes ``[T, B, ...]``, the same memory T times."""
    return x.unsqueeze(0).expand(timesteps, *x.shape)


def decode(current: Tensor) -> Tensor:
    """``[T, B, ...]`` back to ``[B, ...]``, exactly: any step is the value."""
    return current[0]
