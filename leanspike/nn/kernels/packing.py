"""Packing spikes 32 to a word, and rate coding straight to words (csrc/bits.h): float32 on the CPU."""

from __future__ import annotations

from ctypes import c_int64, c_uint32

import torch
from torch import Tensor

from leanspike.nn.kernels.library import FLOATS, kernels, ptr, serves


def words_of(features: int) -> int:
    """Words that ``features`` bits take."""
    return (features + 31) // 32


def _channels_last(values: Tensor) -> Tensor:
    return (values.permute(0, 1, 3, 4, 2) if values.dim() == 5 else values).contiguous()


def pack_binary(values: Tensor) -> tuple[Tensor, int] | None:
    """int32 words of ``[T, B, F]`` or (channels last) ``[T, B, C, H, W]``, and how many ones they have.

    Returns:
        None unless all values are 0 or 1.
    """
    if not serves(values) or (values.dim() == 5 and not _binary(values[:1, :1])):
        return None
    bits, ones = _pack(values, strict=True)
    return None if ones < 0 else (bits, ones)


def _binary(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def pack(values: Tensor) -> Tensor:
    """The words of :func:`pack_binary`, with every value that is not 0 as a one."""
    return _pack(values, strict=False)[0]


def _pack(values: Tensor, strict: bool) -> tuple[Tensor, int]:
    values = _channels_last(values)
    features = values.shape[-1]
    bits = torch.empty((*values.shape[:-1], words_of(features)), dtype=torch.int32)
    rows = values.numel() // max(1, features)
    call = kernels().leanspike_pack
    call.restype = c_int64
    ones = call(
        FLOATS(ptr(values)), c_int64(rows), c_int64(features), c_int64(strict), FLOATS(ptr(bits)),
        c_int64(torch.get_num_threads()),
    )  # fmt: skip
    return bits, int(ones)


def unpack(bits: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The float tensor of ``shape`` that ``bits`` stand for."""
    last = (*shape[:2], shape[3], shape[4], shape[2]) if len(shape) == 5 else shape
    values = torch.empty(last)
    rows = values.numel() // max(1, last[-1])
    kernels().leanspike_unpack(
        FLOATS(ptr(bits)),
        c_int64(rows),
        c_int64(last[-1]),
        FLOATS(ptr(values)),
        c_int64(torch.get_num_threads()),
    )
    return values.permute(0, 1, 4, 2, 3) if len(shape) == 5 else values


def ones(bits: Tensor) -> int:
    """How many bits of the words are set."""
    count = kernels().leanspike_ones
    count.restype = c_int64
    return int(count(FLOATS(ptr(bits)), c_int64(bits.numel()), c_int64(torch.get_num_threads())))


def rate(levels: Tensor, numbers: Tensor, steps: int, seed: int, of_byte: Tensor | None = None) -> tuple[Tensor, int]:
    """Rate-coded words ``[T, B, ceil(F/32)]``, and how many ones they have; see :mod:`leanspike.core.rng`.

    Args:
        levels: ``[B, F]`` thresholds 0..65535; or uint8, with the threshold ``of_byte`` ``[256]`` uint16 of each value.
    """
    batch, features = levels.shape
    bits = torch.empty((steps, batch, words_of(features)), dtype=torch.int32)
    streams = numbers.to(torch.int64).contiguous()
    levels = (levels.to(torch.uint16) if of_byte is None else levels).contiguous()
    thresholds, bytes_ = (levels, None) if of_byte is None else (None, levels)
    call = kernels().leanspike_rate
    call.restype = c_int64
    ones = call(
        FLOATS(ptr(thresholds)), FLOATS(ptr(bytes_)), FLOATS(ptr(of_byte)), FLOATS(ptr(streams)),
        c_int64(steps), c_int64(batch), c_int64(features), c_uint32(seed & 0xFFFFFFFF), FLOATS(ptr(bits)),
        c_int64(torch.get_num_threads()),
    )  # fmt: skip
    return bits, int(ones)
