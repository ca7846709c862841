"""Convolutions over packed spikes, LIF neurons and a 2x2 pool by OR, alone or as one operation.

    I[y, x, :]       = bias + sum of weight[ky, kx, c, :] over the active inputs c at (y + ky - p, x + kx - p)
    pooled[y, x, :]  = OR of the spikes of the window, the gradient going to its first maximum
    dW[ky, kx, c, :] = sum of dI[y + p - ky, x + p - kx, :] over the active inputs c at (y, x)
    ds[y, x, c]      = sum of <weight[ky, kx, c, :], dI[y + p - ky, x + p - kx, :]> over the taps

Steps and samples are left out above; p is the padding. Images stand channels last, as their words do. Backward keeps
the packed input, and the potentials where summing them again would cost more than reading them. Strides other than 1,
padding of the kernel's size or more, refractory neurons, other pools, and input more than ``CONV_DENSE_ABOVE`` active
take the torch path layer by layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from leanspike.nn.constant import Constant
from leanspike.nn.kernels import conv
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes

CONV_DENSE_ABOVE = 0.6
GATHER_AGAIN_BELOW = 40
"""Active inputs of a window: up to so many, summing them again is no slower than keeping potentials in memory."""


@dataclass(frozen=True)
class Neurons:
    """LIF neurons behind a current: ``beta`` and ``threshold`` ``[channels]``; ``pool`` 2, or 1 for none."""

    beta: Tensor
    threshold: Tensor
    config: NeuronConfig
    pool: int


def gathers(x: Spikes, kernel: int, padding: int, stride: int) -> bool:
    """Whether the kernels convolve ``x``: packed and sparse enough, stride 1, padding below the kernel's size."""
    fits = stride == 1 and padding < kernel and min(x.shape[3:]) + 2 * padding >= kernel
    return fits and x.bits is not None and x.density <= CONV_DENSE_ABOVE


def conv_spikes(x: Spikes, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Currents ``[T, B, out, H, W]`` of packed spikes through ``weight[kh, kw, in, out]``."""
    if gathers(x, weight.shape[0], padding, 1):
        current: Tensor = _Currents.on(x.edge, weight, bias, x.bits, _geometry(x, weight, padding, 1))
        return current
    values = x.dense()
    dense = F.conv2d(values.flatten(0, 1), weight.permute(3, 2, 0, 1), bias, padding=padding)
    unfolded: Tensor = dense.unflatten(0, values.shape[:2])
    return unfolded


def conv_lif(
    x: Spikes, weight: Tensor, bias: Tensor | None, padding: int, neurons: Neurons, recompute: bool = False
) -> tuple[Spikes, Spikes | None]:
    """Synapses, neurons and pool over packed spikes ``[T, B, C, H, W]`` that :func:`gathers` accepts.

    Args:
        weight, bias: ``[k, k, C, out]``, ``[out]`` or None.
        recompute: never keep potentials for backward.

    Returns:
        spikes ``[T, B, out, H', W']``, and behind the pool ``[T, B, out, H'//2, W'//2]`` or None.
    """
    geometry = _geometry(x, weight, padding, neurons.pool)
    again = recompute or x.density * weight.shape[:3].numel() < GATHER_AGAIN_BELOW
    return _fire(x.edge, weight, bias, x.bits, neurons, geometry, again)


def lif_pool(current: Tensor | Constant, neurons: Neurons) -> tuple[Spikes, Spikes | None]:
    """Neurons and pool over currents ``[T, B, C, H, W]``; see :func:`conv_lif`."""
    steps, batch, channels, rows, columns = current.shape
    geometry = conv.Geometry(steps, batch, rows, columns, channels, pool=neurons.pool)
    source = current.values if isinstance(current, Constant) else current
    return _fire(source, None, None, None, neurons, geometry, False)


def _geometry(x: Spikes, weight: Tensor, padding: int, pool: int) -> conv.Geometry:
    steps, batch, channels, rows, columns = x.shape
    return conv.Geometry(steps, batch, rows, columns, weight.shape[3], channels, weight.shape[0], padding, pool)


def _fire(
    source: Tensor | None, weight: Tensor | None, bias: Tensor | None, bits: Tensor | None, neurons: Neurons,
    geometry: conv.Geometry, again: bool,
) -> tuple[Spikes, Spikes | None]:  # fmt: skip
    edge, pooled_edge, words, pooled_words = _Fire.on(
        source, weight, bias, neurons.beta, neurons.threshold, bits, neurons.config, geometry, again
    )
    spikes = Spikes.packed(words, tuple(edge.shape), edge)
    if pooled_words is None:
        return spikes, None
    return spikes, Spikes.packed(pooled_words, tuple(pooled_edge.shape), pooled_edge)


def _last(values: Tensor) -> Tensor:
    """``[..., C, H, W]`` to contiguous ``[..., H, W, C]``: free where it lies channels last already."""
    return values.movedim(-3, -1).contiguous()


def _first(values: Tensor | None) -> Tensor | None:
    return None if values is None else values.movedim(-1, -3)


class _Fire(Operation):
    """Edges of the spikes and the pooled spikes, and the words of both."""

    @staticmethod
    def forward(ctx, source, weight, bias, beta, threshold, bits, config, geometry, again):  # type: ignore[no-untyped-def]
        current = _last(source) if bits is None else None
        weight = None if weight is None else weight.contiguous()
        beta, threshold = beta.contiguous(), threshold.contiguous()
        keep = bits is not None and any(ctx.needs_input_grad) and not again
        kept = conv.room_for_potentials(geometry) if keep else None
        layer = conv.Layer(geometry, bits, weight, bias, current, beta, threshold, config)
        words, pooled = conv.forward(layer, kept)
        ctx.set_materialize_grads(False)
        ctx.geometry, ctx.config = geometry, config
        ctx.save_for_backward(bits, weight, bias, current, beta, threshold, kept)
        ctx.mark_non_differentiable(words, *([] if pooled is None else [pooled]))
        over = (geometry.steps, geometry.batch, geometry.features)
        edge = torch.zeros(1).expand(*over, *geometry.out)
        pooled_edge = None if pooled is None else torch.zeros(1).expand(*over, *geometry.pooled)
        return edge, pooled_edge, words, pooled

    @staticmethod
    def backward(ctx, grad_spikes, grad_pooled, _words, _pooled):  # type: ignore[no-untyped-def]
        bits, weight, bias, current, beta, threshold, kept = ctx.saved_tensors
        layer = conv.Layer(ctx.geometry, bits, weight, bias, current, beta, threshold, ctx.config)
        learn = ctx.needs_input_grad[3] or ctx.needs_input_grad[4]
        arriving = None if grad_pooled is None else _last(grad_pooled)
        g = conv.backward(layer, kept, _compact(grad_spikes), arriving, learn, ctx.needs_input_grad[0])
        return _first(g.source), g.weight, g.bias, g.beta, g.threshold, None, None, None, None


def _compact(grad: Tensor | None) -> Tensor | float:
    """A gradient that is one number seen everywhere (of a mean or a sum) is not written out."""
    if grad is None:
        return 0.0
    return _last(grad) if any(grad.stride()) else float(grad[(0,) * grad.dim()])


class _Currents(Operation):
    @staticmethod
    def forward(ctx, edge, weight, bias, bits, geometry):  # type: ignore[no-untyped-def]
        weight = weight.contiguous()
        ctx.geometry = geometry
        ctx.save_for_backward(bits, weight, bias)
        return _first(conv.currents(conv.Layer(geometry, bits, weight, bias, None, None, None, None)))

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        bits, weight, bias = ctx.saved_tensors
        layer = conv.Layer(ctx.geometry, bits, weight, bias, None, None, None, None)
        g = conv.currents_backward(layer, _last(grad), ctx.needs_input_grad[0])
        return _first(g.source), g.weight, g.bias, None, None
