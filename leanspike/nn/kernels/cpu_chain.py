"""A whole batch through dense spiking layers, forward and backward, as one call of C: no step of Python between layers.

The loss is :class:`leanspike.nn.loss.CountCrossEntropy`'s.
"""

from __future__ import annotations

import ctypes
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
        ValueError: a label is no class.
    """
    steps, batch, words = bits.shape
    piece = min(piece, batch)
    args = (_LIFArgs * len(layers))()
    own = torch.empty((steps, piece, words), dtype=torch.int32)
    classes = layers[-1].weight.shape[1]
    grad = torch.empty((piece, classes))
    kept: list[Tensor] = []
    learned: list[tuple[Tensor, Layer]] = []
    source = own
    behind: Tensor | None = None
    for i, layer in enumerate(layers):
        beta, threshold = layer.beta.contiguous(), layer.threshold.contiguous()
        args[i] = _gathering(source, layer.weight, layer.bias, beta, threshold, layer.config)
        one = args[i]
        features = layer.weight.shape[1]
        potentials = cpu.room_for_potentials(steps, piece, features)
        one.potential = _at(potentials)
        kept += [beta, threshold, potentials, source]
        one.grad_weight, one.grad_bias = _at(layer.sums[0]), _at(layer.sums[1])
        if layer.sums[2] is not None:
            by_sample = torch.zeros((2, piece, features))
            one.grad_beta, one.grad_theta = _at(by_sample[0]), _at(by_sample[1])
            learned.append((by_sample, layer))
        if i:
            behind = torch.empty((steps, piece, features))
            before = args[i - 1]
            one.grad_current = before.next_grad = _at(behind)
            across = layer.weight.contiguous()
            before.next_weight, before.next_features = _at(across), features
            kept += [behind, across]
        if i < len(layers) - 1:
            source = torch.empty((steps, piece, cpu.words_of(features)), dtype=torch.int32)
            one.out_bits, one.out_words = _at(source), source.shape[-1]
        else:
            spikes = torch.empty((steps, piece, classes))
            one.spikes, one.grad_spikes = _at(spikes), _at(grad)
            kept.append(spikes)
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
