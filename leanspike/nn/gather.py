"""Synapses that see spikes: forward and weight gradient add the rows of active inputs instead of multiplying zeros.

    I[r, :]  = bias + sum of weight[k, :] over the active inputs k of row r          (gather)
    dW[k, :] = sum of dI[r, :] over the rows r in which input k is active            (gather, by the transposed bits)
    ds[r, k] = <weight[k, :], dI[r, :]>                                              (dense product)

A row r is one step of one sample. Where the measured density exceeds ``DENSE_ABOVE`` the dense product is faster and serves.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from leanspike.nn.spikes import Spikes

DENSE_ABOVE = 0.4


def linear_spikes(x: Spikes, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Currents ``[T, B, out]`` of packed spikes ``[T, B, in]`` through ``weight[in, out]``."""
    return F.linear(x.dense(), weight.t(), bias)


def conv_spikes(x: Spikes, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Currents ``[T, B, out, H, W]`` of packed spikes through ``weight[kh, kw, in, out]``."""
    values = x.dense()
    current = F.conv2d(values.flatten(0, 1), weight.permute(3, 2, 0, 1), bias, padding=padding)
    return current.unflatten(0, values.shape[:2])
