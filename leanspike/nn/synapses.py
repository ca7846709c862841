"""Synapses: linear and convolution over all T steps at once, with time folded into the batch.

A weight row belongs to an input, ``weight[in, out]`` (convolution: ``weight[kh, kw, in, out]``): a spike adds one
contiguous row, which is what the gather kernels and the event-driven targets read. Where the input is constant in
time (:class:`~leanspike.nn.constant.Constant`) the product is computed once and is constant in time again.

Pruned connections are False in ``mask``, and their weights are 0 in ``weight`` itself: forward knows no mask, so every
kernel serves, and whoever changes weights (an optimizer) calls :func:`leanspike.nn.hold` afterwards.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanspike.nn.constant import Constant
from leanspike.nn.convolution import conv_spikes
from leanspike.nn.gather import dense_product, linear_spikes
from leanspike.nn.spikes import Spikes

Signal = Tensor | Constant | Spikes


class Synapses(nn.Module):
    """What linear and convolution share: weights, and which of them are connections.

    Attributes:
        weight: ``[..., in, out]``.
        bias: ``[out]`` or None.
        mask: bool like ``weight``, False where a connection was pruned; None: all are there. A buffer, in the state
            dict where there is one; loading a state dict with or without a mask sets or removes it.
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    mask: Tensor | None

    def __init__(self, shape: tuple[int, ...], bias: bool) -> None:
        super().__init__()
        bound = 1 / math.sqrt(math.prod(shape[:-1]))
        self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(shape[-1]).uniform_(-bound, bound)) if bias else None
        self.register_buffer("mask", None)

    def scaled(self, x: Spikes) -> Tensor:
        """The weights as ``x`` sees them: multiplied with its gain."""
        return self.weight if x.gain == 1.0 else self.weight * x.gain

    def connections(self) -> Tensor:
        """How many connections each input has, ``[..., in]``."""
        if self.mask is None:
            return torch.full(self.weight.shape[:-1], self.weight.shape[-1], device=self.weight.device)
        return self.mask.sum(-1)

    def prune(self, mask: Tensor | None) -> None:
        """Keep the connections where ``mask`` (bool, like ``weight``) is True; None: all, from now on."""
        if mask is not None and (mask.shape != self.weight.shape or mask.dtype != torch.bool):
            raise ValueError(f"a mask is bool {tuple(self.weight.shape)}, not {mask.dtype} {tuple(mask.shape)}")
        self.mask = mask
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Set pruned weights to exactly 0, and the bias of outputs that have no connection left."""
        if self.mask is None:
            return
        self.weight.masked_fill_(~self.mask, 0.0)
        if self.bias is not None:
            self.bias.masked_fill_(~self.mask.flatten(0, -2).any(0), 0.0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """A state dict knows whether there is a mask."""
        self.mask = None if f"{prefix}mask" not in state_dict else torch.ones_like(self.weight, dtype=torch.bool)
        super()._load_from_state_dict(state_dict, prefix, *args)


class Linear(Synapses):
    """Dense synapses: ``[T, B, in] -> [T, B, out]``; initialised as torch's Linear (uniform, 1/sqrt(in))."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__((in_features, out_features), bias)
        self.in_features, self.out_features = in_features, out_features

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"

    def forward(self, x: Signal) -> Tensor | Constant:
        """Currents ``[T, B, out]`` of analogue input or of spikes."""
        if isinstance(x, Constant):
            return Constant(self._product(x.values), x.steps)
        if isinstance(x, Spikes):
            if x.bits is not None:
                return linear_spikes(x, self.scaled(x), self.bias)
            x = x.dense()
        return self._product(x)

    def _product(self, x: Tensor) -> Tensor:
        return dense_product(x, self.weight, self.bias)


class Conv2d(Synapses):
    """2-D convolution, stride 1 or more: ``[T, B, C, H, W] -> [T, B, out, H', W']``, initialised as torch's."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int = 3, padding: int = 1, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__((kernel, kernel, in_channels, out_channels), bias)
        self.in_channels, self.out_channels, self.kernel = in_channels, out_channels, kernel
        self.padding, self.stride = padding, stride

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        sizes = f"{self.in_channels}, {self.out_channels}, kernel={self.kernel}"
        return f"{sizes}, padding={self.padding}, stride={self.stride}, bias={self.bias is not None}"

    def forward(self, x: Signal) -> Tensor | Constant:
        """Currents ``[T, B, out, H', W']`` of analogue input or of spikes."""
        if isinstance(x, Constant):
            return Constant(self._product(x.values), x.steps)
        if isinstance(x, Spikes):
            if x.bits is not None and self.stride == 1:
                return conv_spikes(x, self.scaled(x), self.bias, self.padding)
            x = x.dense()
        unfolded: Tensor = self._product(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return unfolded

    def _product(self, x: Tensor) -> Tensor:
        weight = self.weight.permute(3, 2, 0, 1)
        return F.conv2d(x, weight, self.bias, stride=self.stride, padding=self.padding)


class MaxPool2d(nn.Module):
    """Maximum over non-overlapping windows; of spikes it is their OR, so zeros stay zeros."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Signal) -> Signal:
        """``[T, B, C, H, W] -> [T, B, C, H/size, W/size]``; spikes stay spikes."""
        if isinstance(x, Constant):
            return Constant(F.max_pool2d(x.values, self.size), x.steps)
        values = x.dense() if isinstance(x, Spikes) else x
        pooled = F.max_pool2d(values.flatten(0, 1), self.size).unflatten(0, values.shape[:2])
        return Spikes.of(pooled) if isinstance(x, Spikes) else pooled


class SumPool2d(nn.Module):
    """Sum over non-overlapping windows: of spikes, how many there are. An average pool is this with the 1/size^2 in the
    weights that follow."""

    def __init__(self, size: int = 2) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Signal) -> Tensor | Constant:
        """``[T, B, C, H, W] -> [T, B, C, H/size, W/size]``."""
        if isinstance(x, Constant):
            return Constant(self._sums(x.values), x.steps)
        values = x.dense() if isinstance(x, Spikes) else x
        unfolded: Tensor = self._sums(values.flatten(0, 1)).unflatten(0, values.shape[:2])
        return unfolded

    def _sums(self, x: Tensor) -> Tensor:
        sums: Tensor = F.avg_pool2d(x, self.size, divisor_override=1)
        return sums


class AvgPool2d(SumPool2d):
    """Mean over non-overlapping windows: a program sums, and has the 1/size^2 in the weights that follow."""

    def _sums(self, x: Tensor) -> Tensor:
        means: Tensor = F.avg_pool2d(x, self.size)
        return means


class Flatten(nn.Module):
    """``[T, B, ...] -> [T, B, features]``: images channels last (H, W, C) as the integer targets lay them out, anything
    else in C order."""

    def forward(self, x: Signal) -> Signal:
        """Flatten analogue values or spikes; what is flat already stays as it is."""
        if isinstance(x, Spikes):
            return x.flatten()
        if isinstance(x, Constant):
            values = x.values.permute(0, 2, 3, 1) if x.values.dim() == 4 else x.values
            return Constant(values.flatten(1), x.steps)
        return (x.permute(0, 1, 3, 4, 2) if x.dim() == 5 else x).flatten(2)
