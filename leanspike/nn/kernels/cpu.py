"""The C kernels as functions of tensors: float32 on the CPU. Their definition is :mod:`reference`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_double, c_int64

import torch
from torch import Tensor

from leanspike.nn.functional import LIFState
from leanspike.nn.kernels.library import FLOATS, kernels, ptr
from leanspike.nn.kernels.library import loaded as loaded
from leanspike.nn.kernels.library import serves as serves
from leanspike.nn.kernels.packing import pack, words_of
from leanspike.nn.kernels.reference import Gradients, Scanned
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.surrogate import NAMES


class _LIFArgs(ctypes.Structure):
    _fields_ = [
        ("steps", c_int64), ("batch", c_int64), ("features", c_int64),
        ("current", FLOATS), ("current_step", c_int64), ("values", FLOATS),
        ("bits", FLOATS), ("bits_batch", c_int64), ("words", c_int64), ("inputs", c_int64),
        ("weight", FLOATS), ("bias", FLOATS), ("beta", FLOATS), ("theta", FLOATS),
        ("beta_step", c_int64), ("theta_step", c_int64), ("start", FLOATS),
        ("zero_reset", c_int64), ("through_reset", c_int64), ("surrogate", c_int64), ("scale", c_double),
        ("threads", c_int64),
        ("potential", FLOATS), ("shown", FLOATS), ("spikes", FLOATS),
        ("out_bits", FLOATS), ("out_words", c_int64), ("end", FLOATS),
        ("grad_spikes", FLOATS), ("grad_step", c_int64),
        ("next_grad", FLOATS), ("next_weight", FLOATS), ("next_features", c_int64),
        ("grad_potential", FLOATS), ("grad_end", FLOATS),
        ("grad_current", FLOATS), ("grad_sum", FLOATS), ("grad_start", FLOATS),
        ("grad_beta", FLOATS), ("grad_theta", FLOATS),
        ("grad_weight", FLOATS), ("grad_bias", FLOATS), ("adds", c_int64),
    ]  # fmt: skip


def _neuron(args: _LIFArgs, beta: Tensor, threshold: Tensor, config: NeuronConfig) -> None:
    args.beta, args.theta = ptr(beta), ptr(threshold)
    args.beta_step, args.theta_step = beta.numel() > 1, threshold.numel() > 1
    args.zero_reset, args.through_reset = config.reset == "zero", not config.detach_reset
    args.surrogate, args.scale = NAMES.index(config.surrogate), config.surrogate_scale
    args.threads = torch.get_num_threads()


def _source(args: _LIFArgs, source: Tensor, steps: int, constant: bool) -> None:
    sample = source.shape[0 if constant else 1]
    args.steps, args.batch, args.features = steps, sample, source.numel() // max(1, sample * (1 if constant else steps))
    args.current, args.current_step = ptr(source), 0 if constant else args.batch * args.features


def forward(
    source: Tensor, steps: int, beta: Tensor, threshold: Tensor, state: LIFState, config: NeuronConfig, smooth: bool
) -> Scanned:
    """See :func:`leanspike.nn.kernels.reference.forward`."""
    assert not smooth
    shape = (steps, *state.potential.shape)
    spikes = source.new_empty(shape)
    u, end = _forward(source, steps, beta, threshold, state.potential, config, spikes, None)
    return Scanned(spikes, u, None, LIFState(end))


def forward_packed(
    source: Tensor, steps: int, beta: Tensor, threshold: Tensor, start: Tensor, config: NeuronConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """Potentials ``[T, B, ...]``, end state, packed spikes."""
    shape = (steps, *start.shape)
    if start.dim() != 2:
        spikes = source.new_empty(shape)
        u, end = _forward(source, steps, beta, threshold, start, config, spikes, None)
        return u, end, pack(spikes)
    bits = torch.empty((steps, start.shape[0], words_of(start.shape[1])), dtype=torch.int32)
    u, end = _forward(source, steps, beta, threshold, start, config, None, bits)
    return u, end, bits


def _forward(
    source: Tensor, steps: int, beta: Tensor, threshold: Tensor, start: Tensor, config: NeuronConfig,
    spikes: Tensor | None, bits: Tensor | None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    source, beta, threshold, start = source.contiguous(), beta.contiguous(), threshold.contiguous(), start.contiguous()
    u, end = source.new_empty((steps, *start.shape)), torch.empty_like(start)
    args = _LIFArgs(start=ptr(start), potential=ptr(u), spikes=ptr(spikes), end=ptr(end), out_bits=ptr(bits))
    args.out_words = 0 if bits is None else bits.shape[-1]
    _source(args, source, steps, source.dim() == start.dim())
    _neuron(args, beta, threshold, config)
    kernels().leanspike_lif_forward(ctypes.byref(args))
    return u, end


def backward(
    scanned: Scanned,
    start: Tensor,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    constant: bool,
    grad_spikes: Tensor | None,
    grad_potential: Tensor | None,
    grad_end: Tensor | None,
    learn: bool,
) -> Gradients:
    """See :func:`leanspike.nn.kernels.reference.backward`."""
    u = scanned.potential
    beta, threshold, start = beta.contiguous(), threshold.contiguous(), start.contiguous()
    grad = torch.empty_like(u[0] if constant else u)
    grad_start = torch.empty_like(start)
    args = _LIFArgs(start=ptr(start), potential=ptr(u), grad_current=ptr(grad), grad_start=ptr(grad_start))
    _source(args, grad, u.shape[0], constant)
    _neuron(args, beta, threshold, config)
    kept = _incoming(args, grad_spikes, grad_potential, grad_end)
    sums = torch.zeros((2, *start.shape)) if learn else None
    if sums is not None:
        args.grad_beta, args.grad_theta = ptr(sums[0]), ptr(sums[1])
    kernels().leanspike_lif_backward(ctypes.byref(args))
    del kept
    if sums is None:
        return Gradients(grad, None, None, grad_start)
    return Gradients(grad, sums[0].sum(0), sums[1].sum(0), grad_start)


def _incoming(
    args: _LIFArgs, grad_spikes: Tensor | None, grad_potential: Tensor | None, grad_end: Tensor | None
) -> list[Tensor]:
    """Point ``args`` at the arriving gradients; a gradient that is the same at every step is not copied T times."""
    kept = []
    if grad_spikes is not None:
        same = grad_spikes.shape[0] > 1 and grad_spikes.stride(0) == 0
        grad_spikes = grad_spikes[0].contiguous() if same else grad_spikes.contiguous()
        args.grad_spikes, args.grad_step = ptr(grad_spikes), 0 if same else args.batch * args.features
        kept.append(grad_spikes)
    if grad_potential is not None:
        grad_potential = grad_potential.contiguous()
        args.grad_potential = ptr(grad_potential)
        kept.append(grad_potential)
    if grad_end is not None:
        grad_end = grad_end.contiguous()
        args.grad_end = ptr(grad_end)
        kept.append(grad_end)
    return kept


def room_of_potentials(steps: int, batch: int, features: int) -> int:
    """Floats of a fused layer's potentials, in the kernel's own order (tiles of 16 neurons)."""
    return steps * batch * ((features + 15) // 16) * 16


def room_for_potentials(steps: int, batch: int, features: int) -> Tensor:
    """Room for a fused layer's potentials."""
    return torch.empty(room_of_potentials(steps, batch, features))


def gather_lif_forward(
    bits: Tensor, weight: Tensor, bias: Tensor | None, beta: Tensor, threshold: Tensor,
    config: NeuronConfig, kept: Tensor | None, potential: Tensor | None, spikes: Tensor | None, out_bits: Tensor | None,
) -> None:  # fmt: skip
    """Synapses and neurons in one pass: packed ``[T, B, words]`` through ``weight[in, out]`` into the given tensors.

    Args:
        kept: from :func:`room_for_potentials`, what backward wants; None: backward computes the potentials again.
        potential, spikes, out_bits: ``[T, B, out]`` potentials and spikes, ``[T, B, words]`` packed spikes, or None.
    """
    beta, threshold = beta.contiguous(), threshold.contiguous()
    args = _gathering(bits, weight, bias, beta, threshold, config)
    args.shown = ptr(potential)
    args.potential, args.spikes, args.out_bits = ptr(kept), ptr(spikes), ptr(out_bits)
    args.out_words = 0 if out_bits is None else out_bits.shape[-1]
    kernels().leanspike_spiking_forward(ctypes.byref(args))


def gather_lif_backward(
    bits: Tensor, weight: Tensor, bias: Tensor | None, beta: Tensor, threshold: Tensor, config: NeuronConfig,
    kept: Tensor | None, grad_spikes: Tensor | None, grad_potential: Tensor | None,
    behind: tuple[Tensor, Tensor] | None, grad_current: Tensor | None, sums: Sequence[Tensor | None],
) -> None:  # fmt: skip
    """Find the gradients of weight, bias, beta and threshold; without ``kept`` the potentials are computed again.

    Args:
        behind: the gradient of the next layer's current ``[T, B, next]`` and its weight ``[out, next]``: their product
            arrives at the spikes too.
        grad_current: ``[T, B, out]``, receives the gradient of the currents, or None.
        sums: room for them, shaped as weight, bias, beta and threshold; the last two, both or neither, are added to.
    """
    beta, threshold = beta.contiguous(), threshold.contiguous()
    args = _gathering(bits, weight, bias, beta, threshold, config)
    if behind is not None:
        grad, across = behind[0], behind[1].contiguous()
        args.next_grad, args.next_weight, args.next_features = ptr(grad), ptr(across), across.shape[1]
    args.potential, args.grad_current = ptr(kept), ptr(grad_current)
    arriving = _incoming(args, grad_spikes, grad_potential, None)
    grad_weight, grad_bias, grad_beta, grad_threshold = sums
    args.grad_weight, args.grad_bias = ptr(grad_weight), ptr(grad_bias)
    by_sample = None if grad_beta is None else torch.zeros((2, args.batch, args.features))
    if by_sample is not None:
        args.grad_beta, args.grad_theta = ptr(by_sample[0]), ptr(by_sample[1])
    kernels().leanspike_spiking_backward(ctypes.byref(args))
    del arriving
    if by_sample is not None and grad_beta is not None and grad_threshold is not None:
        grad_beta += by_sample[0].sum(0)
        grad_threshold += by_sample[1].sum(0)


def _gathering(
    bits: Tensor, weight: Tensor, bias: Tensor | None, beta: Tensor, threshold: Tensor, config: NeuronConfig
) -> _LIFArgs:
    args = _LIFArgs(bits=ptr(bits), bits_batch=bits.shape[1], words=bits.shape[-1], weight=ptr(weight), bias=ptr(bias))
    args.steps, args.batch, args.inputs, args.features = *bits.shape[:2], *weight.shape
    _neuron(args, beta, threshold, config)
    return args
