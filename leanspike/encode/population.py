"""Population coding of a series: K Gaussian receptive fields a channel, each firing while the value lies in it.

    x = floor(255 min(gain series, 1) + 1/2) / 255                           as a program reads it
    g[k] = exp(-(x - m[k])^2 / (2 w^2))      m[k] = (k - 1/2) / (K - 2), k = 0..K-1;  w = 1 / (1.5 (K - 2))
    s[k] = g[k] >= threshold

The centres reach half a spacing beyond [0, 1] on both sides. At threshold 0.1 a value lies in two or three fields.
Channels c = 0..C-1 give inputs c K .. c K + K - 1. (Bohte, Kok, La Poutre, Error-backpropagation in temporally encoded
networks of spiking neurons, Neurocomputing 48, 2002; there the answer also sets the time of the spike.)
"""

from __future__ import annotations

import torch
from torch import Tensor

SUITED_READOUTS = ("count", "membrane_last", "membrane_max", "membrane_mean")
OVERLAP = 1.5
LEVELS = 255


def centres(fields: int) -> Tensor:
    """``[K]`` float64."""
    return (torch.arange(fields, dtype=torch.float64) - 0.5) / (fields - 2)


def answers(values: Tensor, fields: int) -> Tensor:
    """Gaussian answers ``[..., K]`` float64 of values ``[...]``."""
    width = 1 / (OVERLAP * (fields - 2))
    distance = values.double()[..., None] - centres(fields).to(values.device)
    return torch.exp(-(distance**2) / (2 * width**2))


def fires(fields: int, threshold: float, levels: int = LEVELS) -> Tensor:
    """Which of the K fields fire at each raw level, ``[levels + 1, K]`` bool."""
    return answers(torch.arange(levels + 1, dtype=torch.float64) / levels, fields) >= threshold


def encode(series: Tensor, gain: float, threshold: float, fields: int) -> Tensor:
    """``[B, C, L]`` values become ``[L, B, C K]`` float32 spikes."""
    raw = ((series * gain).clamp(0.0, 1.0) * LEVELS + 0.5).floor().long()
    spikes = fires(fields, threshold).to(series.device)[raw].float()
    return spikes.permute(2, 0, 1, 3).flatten(2)


def decode(spikes: Tensor, fields: int) -> Tensor:
    """``[L, B, C K]`` spikes to ``[B, C, L]`` values: the mean centre of the fields that fire, 1/2 where none does."""
    parts = spikes.unflatten(2, (-1, fields)).double()
    total, count = (parts * centres(fields).to(spikes.device)).sum(-1), parts.sum(-1)
    values = torch.where(count > 0, total / count.clamp(min=1), 0.5)
    return values.float().clamp(0.0, 1.0).permute(1, 2, 0)
