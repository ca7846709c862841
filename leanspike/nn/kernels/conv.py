"""The C kernels of csrc/conv.h as functions of tensors, channels last: float32 on the CPU."""

from __future__ import annotations

import ctypes
from ctypes import c_double, c_int64
from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.nn.kernels.cpu import _LIFArgs, _neuron
from leanspike.nn.kernels.library import FLOATS, kernels, ptr
from leanspike.nn.kernels.packing import words_of
from leanspike.nn.neuron import NeuronConfig


class _ConvArgs(ctypes.Structure):
    _fields_ = [
        ("lif", _LIFArgs),
        ("rows", c_int64), ("columns", c_int64), ("kernel", c_int64), ("padding", c_int64),
        ("out_rows", c_int64), ("out_columns", c_int64), ("pool", c_int64),
        ("pooled_bits", FLOATS), ("grad_pooled", FLOATS), ("grad_same", c_double), ("grad_input", FLOATS),
    ]  # fmt: skip


@dataclass(frozen=True)
class Geometry:
    """Sizes of a layer that sees ``[T, B, rows, columns, inputs]``; without synapses ``kernel`` and ``inputs`` are 0.

    ``pool`` is 2, or 1 for none.
    """

    steps: int
    batch: int
    rows: int
    columns: int
    features: int
    inputs: int = 0
    kernel: int = 0
    padding: int = 0
    pool: int = 1

    @property
    def out(self) -> tuple[int, int]:
        """Rows and columns of the image that leaves."""
        less = self.kernel - 1 - 2 * self.padding if self.kernel else 0
        return self.rows - less, self.columns - less

    @property
    def pooled(self) -> tuple[int, int]:
        """Rows and columns behind the pool."""
        return self.out[0] // self.pool, self.out[1] // self.pool


@dataclass(frozen=True)
class Layer:
    """What a call reads.

    Attributes:
        bits: ``[T, B, rows, columns, words]``, with ``weight`` ``[kernel, kernel, inputs, features]`` and ``bias``; or
        current: ``[T, B, rows, columns, features]``, without T where it is constant in time.
        beta, threshold: ``[features]``; None: nothing fires.
    """

    geometry: Geometry
    bits: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    current: Tensor | None
    beta: Tensor | None
    threshold: Tensor | None
    config: NeuronConfig | None

    @property
    def constant(self) -> bool:
        """Whether the current is the same at every step."""
        return self.current is not None and self.current.dim() == 4


@dataclass(frozen=True)
class Gradients:
    """Gradients, shaped like what they belong to; ``source`` is that of the dense input or of the current."""

    source: Tensor | None
    weight: Tensor | None
    bias: Tensor | None
    beta: Tensor | None
    threshold: Tensor | None


def room_for_potentials(g: Geometry) -> Tensor:
    """Room for the potentials that backward wants, in the kernel's own order."""
    return torch.empty(g.steps * g.batch * g.out[0] * g.out[1] * ((g.features + 15) // 16) * 16)


def forward(layer: Layer, kept: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Packed spikes ``[T, B, out_rows, out_columns, words]``, and the pooled ones where there is a pool."""
    g, words = layer.geometry, words_of(layer.geometry.features)
    bits = torch.empty((g.steps, g.batch, *g.out, words), dtype=torch.int32)
    pooled = torch.empty((g.steps, g.batch, *g.pooled, words), dtype=torch.int32) if g.pool > 1 else None
    args = _arguments(layer)
    args.lif.potential, args.lif.out_bits, args.lif.out_words = ptr(kept), ptr(bits), words
    args.pooled_bits = ptr(pooled)
    kernels().leanspike_conv_forward(ctypes.byref(args))
    return bits, pooled


def currents(layer: Layer) -> Tensor:
    """``[T, B, out_rows, out_columns, features]`` of a layer in which nothing fires."""
    g = layer.geometry
    current = torch.empty((g.steps, g.batch, *g.out, g.features))
    args = _arguments(layer)
    args.lif.shown = ptr(current)
    kernels().leanspike_conv_forward(ctypes.byref(args))
    return current


def backward(
    layer: Layer,
    kept: Tensor | None,
    grad_spikes: Tensor | float,
    grad_pooled: Tensor | None,
    learn: bool,
    source: bool,
) -> Gradients:
    """Gradients of a spiking layer.

    Args:
        grad_spikes: ``[T, B, out_rows, out_columns, features]``, or one number for all spikes.
        grad_pooled: the same behind the pool, or None.
        learn: beta and threshold are wanted.
        source: the gradient of the dense input is wanted (that of a current always is).
    """
    args = _arguments(layer)
    args.lif.potential, args.grad_pooled = ptr(kept), ptr(grad_pooled)
    if isinstance(grad_spikes, Tensor):
        args.lif.grad_spikes = ptr(grad_spikes)
    else:
        args.grad_same = grad_spikes
    return _backward(layer, args, learn, source)


def currents_backward(layer: Layer, grad: Tensor, source: bool) -> Gradients:
    """Gradients of a layer in which nothing fires, from that of its currents."""
    args = _arguments(layer)
    args.lif.grad_potential = ptr(grad)
    return _backward(layer, args, False, source)


def _backward(layer: Layer, args: _ConvArgs, learn: bool, source: bool) -> Gradients:
    g = layer.geometry
    d_weight = None if layer.weight is None else torch.empty_like(layer.weight)
    d_bias = None if layer.bias is None else torch.empty_like(layer.bias)
    d_neuron = torch.empty((2, g.features)) if learn else None
    d_source = None
    if layer.current is not None:
        d_source = torch.empty_like(layer.current)
        args.lif.grad_current = ptr(d_source)
    elif source:
        d_source = torch.empty((g.steps, g.batch, g.rows, g.columns, g.inputs))
        args.grad_input = ptr(d_source)
    args.lif.grad_weight, args.lif.grad_bias = ptr(d_weight), ptr(d_bias)
    if d_neuron is None:
        kernels().leanspike_conv_backward(ctypes.byref(args))
        return Gradients(d_source, d_weight, d_bias, None, None)
    args.lif.grad_beta, args.lif.grad_theta = ptr(d_neuron[0]), ptr(d_neuron[1])
    kernels().leanspike_conv_backward(ctypes.byref(args))
    return Gradients(d_source, d_weight, d_bias, d_neuron[0], d_neuron[1])


def _arguments(layer: Layer) -> _ConvArgs:
    g = layer.geometry
    args = _ConvArgs(rows=g.rows, columns=g.columns, kernel=g.kernel, padding=g.padding, pool=g.pool)
    args.out_rows, args.out_columns = g.out
    lif = args.lif
    lif.steps, lif.batch, lif.features, lif.inputs = g.steps, g.batch, g.features, g.inputs
    lif.threads = torch.get_num_threads()
    lif.bits, lif.weight, lif.bias = ptr(layer.bits), ptr(layer.weight), ptr(layer.bias)
    lif.words = words_of(g.inputs)
    lif.current = ptr(layer.current)
    lif.current_step = 0 if layer.constant else g.batch * g.rows * g.columns * g.features
    if layer.beta is not None and layer.threshold is not None and layer.config is not None:
        _neuron(lif, layer.beta, layer.threshold, layer.config)
    return args
