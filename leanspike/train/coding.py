"""A batch as the input of a network: encoded, and for the rate encoder straight to packed spikes where that pays."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from leanspike.encode import encode, rate
from leanspike.nn import Flatten, Linear, Network, Spikes, rate_spikes
from leanspike.train.batches import scaled
from leanspike.train.config import RunConfig


def coded(x: Tensor, numbers: Tensor, network: Network, config: RunConfig, seed: int) -> Tensor | Spikes:
    """The encoded batch ``[T, B, ...]``.

    Args:
        x: ``[B, ...]`` uint8, or float32 in [0, 1].
        numbers: ``[B]`` int64 sample numbers.

    Returns:
        What :func:`leanspike.encode.encode` gives, or the very same spikes packed and flat, ``[T, B, F]``, where the
        C kernels draw them and a dense layer takes them.
    """
    if config.encoder.kind == "frames":
        return encode(x, numbers, config.encoder, config.timesteps, seed)
    if straight_to_bits(network, config):
        flat = (x.permute(0, 2, 3, 1) if x.dim() == 4 else x).flatten(1)
        spikes = _drawn(flat, numbers, config, seed)
        if spikes is not None:
            return spikes
    return encode(scaled(x), numbers, config.encoder, config.timesteps, seed)


def _drawn(x: Tensor, numbers: Tensor, config: RunConfig, seed: int) -> Spikes | None:
    gain = config.encoder.gain
    if x.dtype == torch.uint8:
        return rate_spikes(x, numbers, config.timesteps, seed, _of_bytes(gain))
    return rate_spikes(rate.thresholds16(scaled(x), gain), numbers, config.timesteps, seed)


@functools.cache
def _of_bytes(gain: float) -> Tensor:
    """:func:`leanspike.encode.rate.thresholds16` of every byte."""
    return rate.thresholds16(scaled(torch.arange(256, dtype=torch.uint8)), gain).to(torch.uint16)


def straight_to_bits(network: Network, config: RunConfig) -> bool:
    """Whether the C kernels may draw the input of a network straight into words."""
    return config.encoder.kind == "rate" and isinstance(network.layers[0], Flatten | Linear)
