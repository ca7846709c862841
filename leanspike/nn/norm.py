r"""Normalisation of synaptic currents, and dropout, for networks that run over time.

batch   y = gamma (I - mu) / sqrt(var + eps) + b, statistics over T and B           Ioffe & Szegedy 2015
tdbn    the same with gamma initialised to alpha * threshold                        Zheng et al. 2021, arXiv:2011.05280
bntt    one gamma (no bias) and one set of statistics for each step                 Kim & Panda 2021, arXiv:2010.01729
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanspike.nn.constant import Constant
from leanspike.nn.spikes import Spikes


class BatchNorm(nn.Module):
    """Batch norm over (T, B) and space; ``scale`` is gamma's starting value (tdBN: alpha times the threshold)."""

    def __init__(self, channels: int, scale: float = 1.0, momentum: float = 0.1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, momentum=momentum)
        nn.init.constant_(self.norm.weight, scale)

    def forward(self, current: Tensor | Constant) -> Tensor | Constant:
        """``[T, B, C, ...]`` to the same shape; a current that is constant in time stays so."""
        if isinstance(current, Constant):
            return Constant(self._normalise(current.values, 1), current.steps)
        return self._normalise(current, 2)

    def affine(self) -> tuple[Tensor, Tensor]:
        """Scale and shift ``[C]``, float64: in evaluation the norm is ``y = scale I + shift``."""
        inner = self.norm
        assert inner.running_mean is not None
        assert inner.running_var is not None
        mean, variance = inner.running_mean.double(), inner.running_var.double()
        scale = inner.weight.detach().double() / (variance + inner.eps).sqrt()
        return scale, inner.bias.detach().double() - mean * scale

    def _normalise(self, x: Tensor, channels: int) -> Tensor:
        """Channels go last, where the convolutions leave them: on a CPU torch is ten times slower at any other view."""
        last = x.movedim(channels, -1)
        normal: Tensor = self.norm(last.flatten(0, -2))
        return normal.view(last.shape).movedim(-1, channels)


class BatchNormThroughTime(nn.Module):
    """One set of statistics and one gamma a step; no bias, as published. T is fixed at construction."""

    EPSILON = 1e-5

    def __init__(self, channels: int, timesteps: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.channels, self.timesteps, self.momentum = channels, timesteps, momentum
        self.weight = nn.Parameter(torch.ones(timesteps, channels))
        self.running_mean: Tensor
        self.running_var: Tensor
        self.register_buffer("running_mean", torch.zeros(timesteps, channels))
        self.register_buffer("running_var", torch.ones(timesteps, channels))

    def forward(self, current: Tensor | Constant) -> Tensor:
        """``[T, B, C, ...]`` to the same shape, for T up to ``timesteps``."""
        if isinstance(current, Constant):
            current = current.expand()
        steps = current.shape[0]
        folded = current.transpose(0, 1).flatten(1, 2)
        normal = F.batch_norm(
            folded,
            self.running_mean[:steps].view(-1),
            self.running_var[:steps].view(-1),
            self.weight[:steps].reshape(-1),
            None,
            self.training,
            self.momentum,
            self.EPSILON,
        )
        unfolded: Tensor = normal.unflatten(1, (steps, self.channels))
        return unfolded.transpose(0, 1)


class Dropout(nn.Module):
    """Dropout with one mask for all T: a neuron that is dropped is silent for the whole sequence."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: Spikes) -> Spikes:
        """Spikes ``[T, B, ...]``; in evaluation they pass unchanged."""
        if not self.training or self.probability == 0:
            return x
        keep = 1 - self.probability
        device = None if x.values is None else x.values.device
        mask = torch.rand(x.shape[1:], device=device) < keep
        return x.masked(mask, 1 / keep)
