"""Rate coding: at every step an input fires with the probability that its value says, independently.

    p         = min(gain * x, 1)                                in float64
    threshold = floor(65535 * p + 1/2)                          0..65535; for gain 1 and x = k/255 exactly 257 k
    s[t,b,j]  = draw16(key(seed, number[b], t), j) < threshold[b,j]

``draw16`` and ``key`` are :mod:`leanspike.core.rng`'s; j counts the inputs of a sample in C order, those of an image
channels last, ``(H, W, C)``, as integer programs lay them out. A spike depends
on (seed, sample number, step, input) alone: not on the batch, its order, the device or T, and a microcontroller
replays it. An input fires with probability threshold / 65536, which is within 2^-15 of p. (Bernoulli approximation
of a Poisson process: Heeger, Poisson model of spike generation, 2000.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from leanspike.core.rng import GOLDEN

SUITED_READOUTS = ("count", "membrane_last", "membrane_max", "membrane_mean")
MAX_ERROR = 2.0**-15
"""Bound of ``|P(spike) - p|``."""

_MASK = 0xFFFFFFFF
# Odd 32-bit factors less 2^32 where they exceed 2^31: the same modulo 2^32, and no int64 product can overflow.
_FIRST, _SECOND, _GOLDEN = 0x21F0AAAD, 0xD35A2D97 - (1 << 32), GOLDEN - (1 << 32)


def thresholds16(x: Tensor, gain: float) -> Tensor:
    """Firing thresholds on 16-bit draws.

    Args:
        x: ``[B, ...]`` values, 0 or more.

    Returns:
        int32 of the same shape, 0..65535.
    """
    p = (x.to(torch.float64) * gain).clamp_(0.0, 1.0)
    return p.mul_(65535.0).add_(0.5).floor_().to(torch.int32)


def rate_reference(thresholds: Tensor, numbers: Tensor, timesteps: int, seed: int) -> Tensor:
    """The definition in plain torch, on any device: bit-identical to :mod:`leanspike.core.rng`.

    Args:
        thresholds: ``[B, N]`` int32, 0..65535.
        numbers: ``[B]`` int64 sample numbers; their low 32 bits count.
        seed: any integer; its low 32 bits count.

    Returns:
        ``[T, B, N]`` float32 spikes, 0 or 1.
    """
    batch, inputs = thresholds.shape
    base = _mix(torch.tensor((seed + GOLDEN) & _MASK, dtype=torch.int64, device=thresholds.device))
    streams = _mix((base + (numbers.to(torch.int64) & _MASK)) & _MASK)
    pairs = torch.arange((inputs + 1) // 2, device=thresholds.device) * _GOLDEN
    spikes = torch.empty(timesteps, batch, inputs, dtype=torch.float32, device=thresholds.device)
    even, odd = thresholds[:, 0::2], thresholds[:, 1::2]
    for step in range(timesteps):
        keys = _mix((streams + step) & _MASK)
        words = _mix((keys[:, None] + pairs) & _MASK)
        spikes[step, :, 0::2] = (words & 0xFFFF) < even
        spikes[step, :, 1::2] = (words[:, : odd.shape[1]] >> 16) < odd
    return spikes


def encode(x: Tensor, numbers: Tensor, gain: float, timesteps: int, seed: int) -> Tensor:
    """``[B, ...]`` values become ``[T, B, ...]`` float32 spikes."""
    ordered = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
    thresholds = thresholds16(ordered, gain).flatten(1)
    spikes = rate_reference(thresholds, numbers.to(x.device), timesteps, seed).view(timesteps, *ordered.shape)
    return spikes.permute(0, 1, 4, 2, 3) if x.dim() == 4 else spikes


def decode(spikes: Tensor) -> Tensor:
    """``[T, B, ...]`` spikes to ``[B, ...]`` values: the mean over the steps, an unbiased estimate of p.

    Its standard deviation is ``sqrt(p (1 - p) / T)``.
    """
    return spikes.mean(0)


def _mix(words: Tensor) -> Tensor:
    """``rng.mix`` on int64 tensors that hold 0..2^32-1."""
    words = words ^ (words >> 16)
    words = (words * _FIRST) & _MASK
    words = words ^ (words >> 15)
    words = (words * _SECOND) & _MASK
    return words ^ (words >> 15)
