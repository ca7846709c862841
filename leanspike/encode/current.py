"""Current coding of a series: its value in each step is the input current of the first layer.

    i[t, c] = gain * series[c, t]        one value a step

The first layer's neurons, leaky, turn it into spikes; the network's time is the series'. (The input of Bellec et al.,
Long short-term memory and learning-to-learn in networks of spiking neurons, NeurIPS 2018, for real-valued signals.)
"""

from __future__ import annotations

from torch import Tensor

SUITED_READOUTS = ("count", "membrane_last", "membrane_max", "membrane_mean")


def encode(series: Tensor, gain: float) -> Tensor:
    """``[B, C, L]`` values become ``[L, B, C]`` float32 currents."""
    values = series.permute(2, 0, 1)
    return values if gain == 1.0 else values * gain


def decode(current: Tensor) -> Tensor:
    """``[L, B, C]`` back to ``[B, C, L]``, exactly: ``gain * series``."""
    return current.permute(1, 2, 0)
