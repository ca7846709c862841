"""Recurrent and convolutional networks of series, which a spiking network of the same size is compared with.

    x: [B, C, L] values, brought to T steps (mean of each share of the time) and normed by the training set's figures

    lstm, gru   one recurrent layer of H units; logits = W mean over t of h[t] + b
    cnn         two convolutions over 7 and 5 steps with H channels each, batch norm, ReLU; the mean over t; W, b

All read the mean over time, as a spiking network with the readout ``membrane_mean`` does. (Hochreiter & Schmidhuber,
Neural Computation 9(8), 1997; Cho et al., EMNLP 2014; global average pooling: Wang, Yan, Oates, Time series
classification from scratch with deep neural networks, IJCNN 2017.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d

SequenceKind = Literal["lstm", "gru", "cnn"]
KINDS: tuple[SequenceKind, ...] = ("lstm", "gru", "cnn")
KERNELS = (7, 5)


@dataclass(frozen=True)
class Multiplications:
    """Multiplications with an addition a sample, by layer; ``others`` are the element-wise products of the gates."""

    layers: dict[str, int]
    others: int

    @property
    def macs(self) -> int:
        """Those of all layers."""
        return sum(self.layers.values())


class SequenceNetwork(nn.Module):
    """A network ``[B, C, L] -> logits [B, K]``.

    Args:
        kind: which.
        channels, classes, timesteps: C, K, T.
        hidden: H.
        dropout: before the last layer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, kind: SequenceKind, channels: int, classes: int, timesteps: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.kind, self.timesteps, self.hidden, self.channels, self.classes = kind, timesteps, hidden, channels, classes
        self.register_buffer("mean", torch.zeros(channels, 1))
        self.register_buffer("scale", torch.ones(channels, 1))
        self.body = _convolutions(channels, hidden) if kind == "cnn" else _recurrent(kind, channels, hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, classes)

    def fit_norm(self, x: Tensor) -> None:
        """Take mean and spread of training samples ``[N, C, L]``, a channel each; they fold into the first layer."""
        self.mean.copy_(x.mean((0, 2))[:, None])
        self.scale.copy_(1 / x.std((0, 2)).clamp(min=1e-6)[:, None])

    def forward(self, x: Tensor) -> Tensor:
        """Logits of ``[B, C, L]`` values."""
        series = x if x.shape[-1] == self.timesteps else adaptive_avg_pool1d(x, self.timesteps)
        series = (series - self.mean) * self.scale
        cnn = self.kind == "cnn"
        features = self.body(series).mean(-1) if cnn else self.body(series.transpose(1, 2))[0].mean(1)
        logits: Tensor = self.head(self.dropout(features))
        return logits

    def multiplications(self) -> Multiplications:
        """What one answer takes."""
        steps, c, h = self.timesteps, self.channels, self.hidden
        head = {"output": h * self.classes}
        if self.kind == "cnn":
            first, second = KERNELS
            return Multiplications({"conv 1": steps * first * c * h, "conv 2": steps * second * h * h, **head}, 0)
        gates = 4 if self.kind == "lstm" else 3
        layers = {"input": steps * gates * h * c, "recurrent": steps * gates * h * h, **head}
        return Multiplications(layers, steps * 3 * h)


def _recurrent(kind: str, channels: int, hidden: int) -> nn.Module:
    return (nn.LSTM if kind == "lstm" else nn.GRU)(channels, hidden, batch_first=True)


def _convolutions(channels: int, hidden: int) -> nn.Module:
    layers: list[nn.Module] = []
    for size, source in zip(KERNELS, (channels, hidden), strict=True):
        layers += [nn.Conv1d(source, hidden, size, padding=size // 2), nn.BatchNorm1d(hidden), nn.ReLU()]
    return nn.Sequential(*layers)


def closest(size: int, count: Callable[[int], int]) -> int:
    """The width from 1 up whose parameters, ``count(width)``, which grow with it, come closest to ``size``."""
    high = 1
    while count(high) < size:
        high *= 2
    low = max(1, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if count(middle) < size else (low, middle)
    return low - 1 if low > 1 and size - count(low - 1) < count(low) - size else low
