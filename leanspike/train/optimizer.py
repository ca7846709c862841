"""The optimizer, the learning rate as a function of the position, and a running average of the weights."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from leanspike.nn.bounds import hold
from leanspike.train.config import TrainConfig


def make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam, AdamW or SGD, fused where torch has it (not under 16-mixed: its loss scaling excludes clipping)."""
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    fused = weights[0].device.type in ("cpu", "cuda") and config.precision != "16-mixed"
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        return torch.optim.SGD(weights, lr=rate, momentum=config.momentum, weight_decay=decay, fused=fused)
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(weights, lr=rate, weight_decay=decay, fused=fused)


def forget_gradients(optimizer: torch.optim.Optimizer) -> None:
    """What ``optimizer.zero_grad()`` does, without its hooks for profilers."""
    for group in optimizer.param_groups:
        for weight in group["params"]:
            weight.grad = None


def learning_rate(config: TrainConfig, position: float) -> float:
    """The learning rate after ``position`` epochs (a fraction counts).

    step: rate * gamma^floor(position / step_size);  cosine: rate (1 + cos(pi position / epochs)) / 2
    """
    if config.schedule == "step":
        return config.learning_rate * config.gamma ** (int(position) // config.step_size)
    if config.schedule == "cosine":
        return config.learning_rate * 0.5 * (1 + math.cos(math.pi * position / config.epochs))
    return config.learning_rate


@torch.no_grad()
def follow(average: Sequence[Tensor], network: nn.Module, decay: float, updates: int) -> None:
    """Move the average towards the weights: a += (1 - d) (w - a), d = min(decay, (1 + n) / (10 + n))."""
    decay = min(decay, (1 + updates) / (10 + updates))
    torch._foreach_lerp_(list(average), [weight.detach() for weight in network.parameters()], 1 - decay)


@contextlib.contextmanager
def averaged(average: Sequence[Tensor], network: nn.Module) -> Iterator[None]:
    """Lend the network its averaged weights; without an average it keeps its own."""
    own = [weight.detach().clone() for weight in network.parameters()] if average else []
    _assign(network, average)
    try:
        yield
    finally:
        _assign(network, own)


@torch.no_grad()
def _assign(network: nn.Module, values: Sequence[Tensor]) -> None:
    if values:
        for weight, value in zip(network.parameters(), values, strict=True):
            weight.copy_(value)
        hold(network)
