"""A whole batch through dense spiking layers, forward and backward, as one call of C: no step of Python between layers.

The loss is :class:`leanspike.nn.loss.CountCrossEntropy`'s.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from ctypes import c_double, c_int64
from typing import NamedTuple

import torch
from torch import Tensor

from leanspike.nn.kernels import cpu
from leanspike.nn.kernels.cpu import _at, _c, _gathering, _LIFArgs
from leanspike.nn.neuron import NeuronConfig


class _ChainArgs(ctypes.Structure):
    _fields_ = [
        ("layers", c_int64), ("layer", ctypes.POINTER(_LIFArgs)),
        ("bits", ctypes.c_void_p), ("own", ctypes.c_void_p), ("batch", c_int64), ("piece", c_int64),
        ("labels", ctypes.c_void_p), ("smoothing", c_double), ("scale", c_double),
        ("grad", ctypes.c_void_p), ("loss", c_double), ("right", c_int64),
    ]  # fmt: skip


_LINE = 16
"""Floats of a cache line."""


class _Room:
    """One block of memory for all that a call needs: malloc leaves gaps between many."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.block, self.at = torch.empty(sum(-(-size // _LINE) * _LINE for size in sizes)), 0

    def take(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """The next part of it."""
        size = math.prod(shape)
        part = self.block[self.at : self.at + size]
        self.at += -(-size // _LINE) * _LINE
        return part.view(dtype).view(shape)


class Layer(NamedTuple):
    """Synapses, neurons, and where their gradients are added: of weight, bias, beta, threshold (or None)."""

    config: NeuronConfig
    weight: Tensor
    bias: Tensor | None
    beta: Tensor
    threshold: Tensor
    sums: Sequence[Tensor | None]


def train(
    bits: Tensor, layers: Sequence[Layer], piece: int, labels: Tensor, smoothing: float, scale: float
) -> tuple[float, int]:
    """Add the gradients of a batch to the layers' sums, ``piece`` samples at a time.

    Args:
        bits: packed ``[T, B, words]``.
        labels: ``[B]`` int64 within the classes.
        smoothing: of the labels.
        scale: what the loss of a sample is multiplied with.

    Returns:
        the loss, summed over the batch, and how many decisions were right.

    Raises:
        ValueError: a label is no class, or there is not one for every sample.
    """
    steps, batch, words = bits.shape
    if labels.shape != (batch,) or labels.dtype != torch.int64:
        raise ValueError(f"labels are int64 [{batch}], not {labels.dtype} {list(labels.shape)}")
    piece, widths = min(piece, batch), [layer.weight.shape[1] for layer in layers]
    rows, classes = steps * piece, widths[-1]
    sizes = [rows * words, piece * classes, rows * classes]
    sizes += [cpu.room_of_potentials(steps, piece, width) for width in widths]
    sizes += [rows * width for width in widths[1:]] + [rows * cpu.words_of(width) for width in widths[:-1]]
    room = _Room(sizes)
    own, grad = room.take(steps, piece, words, dtype=torch.int32), room.take(piece, classes)
    source, args, kept = own, (_LIFArgs * len(layers))(), list[Tensor]()
    learned: list[tuple[Tensor, Layer]] = []
    for i, (layer, width) in enumerate(zip(layers, widths, strict=True)):
        beta, threshold = layer.beta.contiguous(), layer.threshold.contiguous()
        kept += [beta, threshold]
        args[i] = _gathering(source, layer.weight, layer.bias, beta, threshold, layer.config)
        one = args[i]
        one.potential = _at(room.take(cpu.room_of_potentials(steps, piece, width)))
        one.grad_weight, one.grad_bias = _at(layer.sums[0]), _at(layer.sums[1])
        if layer.sums[2] is not None:
            by_sample = torch.zeros((2, piece, width))
            one.grad_beta, one.grad_theta = _at(by_sample[0]), _at(by_sample[1])
            learned.append((by_sample, layer))
        if i:
            before = args[i - 1]
            one.grad_current = before.next_grad = _at(room.take(steps, piece, width))
            before.next_weight, before.next_features = _at(layer.weight), width
        if i < len(layers) - 1:
            source = room.take(steps, piece, cpu.words_of(width), dtype=torch.int32)
            one.out_bits, one.out_words = _at(source), source.shape[-1]
        else:
            one.spikes, one.grad_spikes = _at(room.take(steps, piece, classes)), _at(grad)
    chain = _ChainArgs(
        len(layers), args, _at(bits), _at(own), batch, piece, _at(labels), smoothing, scale, _at(grad), 0.0, 0
    )
    if _c().leanspike_chain(ctypes.byref(chain)):
        raise ValueError(f"labels are 0 to {classes - 1}, not {int(labels.min())} to {int(labels.max())}")
    for by_sample, layer in learned:
        for total, each in zip(layer.sums[2:], by_sample, strict=True):
            assert total is not None
            total += each.sum(0)
    return chain.loss, chain.right
