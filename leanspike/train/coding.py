"""A batch as the input of a network: encoded, and for the rate encoder straight to packed spikes where that pays."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
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
        ordered = x.permute(0, 2, 3, 1) if x.dim() == 4 else x
        thresholds = _thresholds(ordered, config.encoder.gain).flatten(1)
        spikes = rate_spikes(thresholds, numbers, config.timesteps, seed)
        if spikes is not None:
            return spikes
    return encode(scaled(x), numbers, config.encoder, config.timesteps, seed)


def _thresholds(x: Tensor, gain: float) -> Tensor:
    """:func:`leanspike.encode.rate.thresholds16` of a batch; bytes look theirs up, which NumPy does in one thread."""
    if x.dtype != torch.uint8 or x.device.type != "cpu":
        return rate.thresholds16(scaled(x), gain)
    return torch.from_numpy(_of_bytes(gain).take(x.numpy()))


@functools.cache
def _of_bytes(gain: float) -> npt.NDArray[np.int32]:
    found: npt.NDArray[np.int32] = rate.thresholds16(scaled(torch.arange(256, dtype=torch.uint8)), gain).numpy()
    return found


def straight_to_bits(network: Network, config: RunConfig) -> bool:
    """Whether the C kernels may draw the input of a network straight into words."""
    return config.encoder.kind == "rate" and isinstance(network.layers[0], Flatten | Linear)
