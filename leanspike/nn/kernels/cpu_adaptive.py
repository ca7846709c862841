"""The C kernel of adapting thresholds, as functions of tensors. Its definition is :mod:`adaptive`."""

from __future__ import annotations

import ctypes
from ctypes import c_double

import torch
from torch import Tensor

from leanspike.nn.functional import LIFState
from leanspike.nn.kernels.adaptive import Arriving, Gradients
from leanspike.nn.kernels.cpu import _incoming, _LIFArgs, _neuron, _source
from leanspike.nn.kernels.library import FLOATS, kernels, ptr
from leanspike.nn.kernels.packing import pack, words_of
from leanspike.nn.kernels.reference import Scanned
from leanspike.nn.neuron import NeuronConfig


class _Args(ctypes.Structure):
    _fields_ = [
        ("lif", _LIFArgs), ("strength", c_double), ("decay", c_double),
        ("start_adaptation", FLOATS), ("end_adaptation", FLOATS),
        ("grad_end_adaptation", FLOATS), ("grad_start_adaptation", FLOATS),
    ]  # fmt: skip


def forward(
    source: Tensor, steps: int, beta: Tensor, threshold: Tensor, state: LIFState, config: NeuronConfig, smooth: bool
) -> Scanned:
    """See :func:`leanspike.nn.kernels.adaptive.forward`; there is no smooth kernel."""
    assert not smooth
    spikes = source.new_empty((steps, *state.potential.shape))
    u, end = _forward(source, steps, beta, threshold, state, config, spikes, None)
    return Scanned(spikes, u, None, end)


def forward_packed(
    source: Tensor, steps: int, beta: Tensor, threshold: Tensor, state: LIFState, config: NeuronConfig
) -> tuple[Tensor, LIFState, Tensor]:
    """Potentials ``[T, B, ...]``, end state, packed spikes."""
    shape = (steps, *state.potential.shape)
    if len(shape) != 3:
        spikes = source.new_empty(shape)
        return *_forward(source, steps, beta, threshold, state, config, spikes, None), pack(spikes)
    bits = torch.empty((*shape[:2], words_of(shape[2])), dtype=torch.int32)
    return *_forward(source, steps, beta, threshold, state, config, None, bits), bits


def _forward(
    source: Tensor, steps: int, beta: Tensor, threshold: Tensor, state: LIFState, config: NeuronConfig,
    spikes: Tensor | None, bits: Tensor | None,
) -> tuple[Tensor, LIFState]:  # fmt: skip
    assert state.adaptation is not None
    source, beta, threshold = source.contiguous(), beta.contiguous(), threshold.contiguous()
    start, a = state.potential.contiguous(), state.adaptation.contiguous()
    u, end, end_a = source.new_empty((steps, *start.shape)), torch.empty_like(start), torch.empty_like(a)
    args = _Args(strength=config.adapt_strength, decay=config.adapt_decay)
    args.start_adaptation, args.end_adaptation = ptr(a), ptr(end_a)
    own = args.lif
    own.start, own.potential, own.spikes, own.end = (ptr(part) for part in (start, u, spikes, end))
    own.out_bits, own.out_words = ptr(bits), 0 if bits is None else bits.shape[-1]
    _source(own, source, steps, source.dim() == start.dim())
    _neuron(own, beta, threshold, config)
    kernels().leanspike_adaptive_forward(ctypes.byref(args))
    return u, LIFState(end, None, end_a)


def backward(
    scanned: Scanned,
    start: LIFState,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    constant: bool,
    arriving: Arriving,
    learn: bool,
) -> Gradients:
    """See :func:`leanspike.nn.kernels.adaptive.backward`; the spikes are found again from the potentials."""
    assert start.adaptation is not None
    u, beta, threshold = scanned.potential, beta.contiguous(), threshold.contiguous()
    before, a = start.potential.contiguous(), start.adaptation.contiguous()
    grad = torch.empty_like(u[0] if constant else u)
    grad_start, grad_a = torch.empty_like(before), torch.empty_like(a)
    args = _Args(strength=config.adapt_strength, decay=config.adapt_decay)
    args.start_adaptation, args.grad_start_adaptation = ptr(a), ptr(grad_a)
    arriving_a = None if arriving.adaptation is None else arriving.adaptation.contiguous()
    args.grad_end_adaptation = ptr(arriving_a)
    own = args.lif
    own.start, own.potential, own.grad_current, own.grad_start = (ptr(part) for part in (before, u, grad, grad_start))
    _source(own, grad, u.shape[0], constant)
    _neuron(own, beta, threshold, config)
    kept = _incoming(own, arriving.spikes, arriving.potential, arriving.end)
    sums = torch.empty((2, *before.shape)) if learn else None
    if sums is not None:
        own.grad_beta, own.grad_theta = ptr(sums[0]), ptr(sums[1])
    kernels().leanspike_adaptive_backward(ctypes.byref(args))
    del kept
    if sums is None:
        return Gradients(grad, None, None, grad_start, grad_a)
    return Gradients(grad, sums[0].sum(0), sums[1].sum(0), grad_start, grad_a)
