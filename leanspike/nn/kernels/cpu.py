"""The C kernels as functions of tensors: float32 on the CPU. Their definition is :mod:`reference`."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_double, c_int64, c_uint32

import torch
from torch import Tensor

from leanspike.nn.functional import LIFState
from leanspike.nn.kernels import library
from leanspike.nn.kernels.reference import Gradients, Scanned
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.surrogate import NAMES

_FLOATS = ctypes.c_void_p


class _LIFArgs(ctypes.Structure):
    _fields_ = [
        ("steps", c_int64), ("batch", c_int64), ("features", c_int64),
        ("current", _FLOATS), ("current_step", c_int64), ("values", _FLOATS),
        ("bits", _FLOATS), ("bits_batch", c_int64), ("words", c_int64), ("inputs", c_int64),
        ("weight", _FLOATS), ("bias", _FLOATS), ("beta", _FLOATS), ("theta", _FLOATS), ("start", _FLOATS),
        ("zero_reset", c_int64), ("through_reset", c_int64), ("surrogate", c_int64), ("scale", c_double),
        ("threads", c_int64),
        ("potential", _FLOATS), ("shown", _FLOATS), ("spikes", _FLOATS),
        ("out_bits", _FLOATS), ("out_words", c_int64), ("end", _FLOATS),
        ("grad_spikes", _FLOATS), ("grad_step", c_int64),
        ("next_grad", _FLOATS), ("next_weight", _FLOATS), ("next_features", c_int64),
        ("grad_potential", _FLOATS), ("grad_end", _FLOATS),
        ("grad_current", _FLOATS), ("grad_sum", _FLOATS), ("grad_start", _FLOATS),
        ("grad_beta", _FLOATS), ("grad_theta", _FLOATS),
        ("grad_weight", _FLOATS), ("grad_bias", _FLOATS),
    ]  # fmt: skip


def loaded() -> bool:
    """Whether a library was built at installation and may be used."""
    return library.load() is not None


def serves(tensor: Tensor) -> bool:
    """True where the C kernels can run: float32 on the CPU, and a library is loaded."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and loaded()


def _c() -> ctypes.CDLL:
    found = library.load()
    assert found is not None
    return found


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def words_of(features: int) -> int:
    """Words that ``features`` bits take."""
    return (features + 31) // 32


def _channels_last(values: Tensor) -> Tensor:
    return (values.permute(0, 1, 3, 4, 2) if values.dim() == 5 else values).contiguous()


def pack_binary(values: Tensor) -> Tensor | None:
    """int32 words of ``[T, B, F]`` or (channels last) ``[T, B, C, H, W]``; None unless all values are 0 or 1."""
    if not serves(values) or not _binary(values[:1, :1]):
        return None
    bits, binary = _pack(values)
    return bits if binary else None


def _binary(values: Tensor) -> bool:
    return bool(((values == 0) | (values == 1)).all())


def pack(values: Tensor) -> Tensor:
    """Like :func:`pack_binary`, with every value that is not 0 as a one."""
    return _pack(values)[0]


def _pack(values: Tensor) -> tuple[Tensor, bool]:
    values = _channels_last(values)
    features = values.shape[-1]
    bits = torch.empty((*values.shape[:-1], words_of(features)), dtype=torch.int32)
    rows = values.numel() // max(1, features)
    binary = _c().leanspike_pack(
        _FLOATS(_at(values)), c_int64(rows), c_int64(features), _FLOATS(_at(bits)), c_int64(torch.get_num_threads())
    )
    return bits, bool(binary)


def unpack(bits: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The float tensor of ``shape`` that ``bits`` stand for."""
    last = (*shape[:2], shape[3], shape[4], shape[2]) if len(shape) == 5 else shape
    values = torch.empty(last)
    rows = values.numel() // max(1, last[-1])
    _c().leanspike_unpack(
        _FLOATS(_at(bits)), c_int64(rows), c_int64(last[-1]), _FLOATS(_at(values)), c_int64(torch.get_num_threads())
    )
    return values.permute(0, 1, 4, 2, 3) if len(shape) == 5 else values


def ones(bits: Tensor) -> int:
    """How many bits of the words are set."""
    count = _c().leanspike_ones
    count.restype = c_int64
    return int(count(_FLOATS(_at(bits)), c_int64(bits.numel()), c_int64(torch.get_num_threads())))


def rate(levels: Tensor, numbers: Tensor, steps: int, seed: int, of_byte: Tensor | None = None) -> Tensor:
    """Rate-coded words ``[T, B, ceil(F/32)]``; see :mod:`leanspike.core.rng`.

    Args:
        levels: ``[B, F]`` thresholds 0..65535; or uint8, with the threshold ``of_byte`` ``[256]`` uint16 of each value.
    """
    batch, features = levels.shape
    bits = torch.empty((steps, batch, words_of(features)), dtype=torch.int32)
    streams = numbers.to(torch.int64).contiguous()
    levels = (levels.to(torch.uint16) if of_byte is None else levels).contiguous()
    thresholds, bytes_ = (levels, None) if of_byte is None else (None, levels)
    _c().leanspike_rate(
        _FLOATS(_at(thresholds)), _FLOATS(_at(bytes_)), _FLOATS(_at(of_byte)), _FLOATS(_at(streams)),
        c_int64(steps), c_int64(batch), c_int64(features), c_uint32(seed & 0xFFFFFFFF), _FLOATS(_at(bits)),
        c_int64(torch.get_num_threads()),
    )  # fmt: skip
    return bits


def _neuron(args: _LIFArgs, beta: Tensor, threshold: Tensor, config: NeuronConfig) -> None:
    args.beta, args.theta = _at(beta), _at(threshold)
    args.zero_reset, args.through_reset = config.reset == "zero", not config.detach_reset
    args.surrogate, args.scale = NAMES.index(config.surrogate), config.surrogate_scale
    args.threads = torch.get_num_threads()


def _source(args: _LIFArgs, source: Tensor, steps: int, constant: bool) -> None:
    sample = source.shape[0 if constant else 1]
    args.steps, args.batch, args.features = steps, sample, source.numel() // max(1, sample * (1 if constant else steps))
    args.current, args.current_step = _at(source), 0 if constant else args.batch * args.features


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
    args = _LIFArgs(start=_at(start), potential=_at(u), spikes=_at(spikes), end=_at(end), out_bits=_at(bits))
    args.out_words = 0 if bits is None else bits.shape[-1]
    _source(args, source, steps, source.dim() == start.dim())
    _neuron(args, beta, threshold, config)
    _c().leanspike_lif_forward(ctypes.byref(args))
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
    args = _LIFArgs(start=_at(start), potential=_at(u), grad_current=_at(grad), grad_start=_at(grad_start))
    _source(args, grad, u.shape[0], constant)
    _neuron(args, beta, threshold, config)
    kept = _incoming(args, grad_spikes, grad_potential, grad_end)
    sums = torch.zeros((2, *start.shape)) if learn else None
    if sums is not None:
        args.grad_beta, args.grad_theta = _at(sums[0]), _at(sums[1])
    _c().leanspike_lif_backward(ctypes.byref(args))
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
        args.grad_spikes, args.grad_step = _at(grad_spikes), 0 if same else args.batch * args.features
        kept.append(grad_spikes)
    if grad_potential is not None:
        grad_potential = grad_potential.contiguous()
        args.grad_potential = _at(grad_potential)
        kept.append(grad_potential)
    if grad_end is not None:
        grad_end = grad_end.contiguous()
        args.grad_end = _at(grad_end)
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
    args.shown = _at(potential)
    args.potential, args.spikes, args.out_bits = _at(kept), _at(spikes), _at(out_bits)
    args.out_words = 0 if out_bits is None else out_bits.shape[-1]
    _c().leanspike_spiking_forward(ctypes.byref(args))


def gather_lif_backward(
    bits: Tensor, weight: Tensor, bias: Tensor | None, beta: Tensor, threshold: Tensor, config: NeuronConfig,
    kept: Tensor | None, grad_spikes: Tensor | None, grad_potential: Tensor | None,
    behind: tuple[Tensor, Tensor] | None, grad_current: Tensor | None, sums: Sequence[Tensor | None],
) -> None:  # fmt: skip
    """Add to the gradients of weight, bias, beta and threshold; without ``kept`` the potentials are computed again.

    Args:
        behind: the gradient of the next layer's current ``[T, B, next]`` and its weight ``[out, next]``: their product
            arrives at the spikes too.
        grad_current: ``[T, B, out]``, receives the gradient of the currents, or None.
        sums: the gradients, shaped as weight, bias, beta and threshold; the last two both or neither.
    """
    beta, threshold = beta.contiguous(), threshold.contiguous()
    args = _gathering(bits, weight, bias, beta, threshold, config)
    if behind is not None:
        grad, across = behind[0], behind[1].contiguous()
        args.next_grad, args.next_weight, args.next_features = _at(grad), _at(across), across.shape[1]
    args.potential, args.grad_current = _at(kept), _at(grad_current)
    arriving = _incoming(args, grad_spikes, grad_potential, None)
    grad_weight, grad_bias, grad_beta, grad_threshold = sums
    args.grad_weight, args.grad_bias = _at(grad_weight), _at(grad_bias)
    by_sample = None if grad_beta is None else torch.zeros((2, args.batch, args.features))
    if by_sample is not None:
        args.grad_beta, args.grad_theta = _at(by_sample[0]), _at(by_sample[1])
    _c().leanspike_spiking_backward(ctypes.byref(args))
    del arriving
    if by_sample is not None and grad_beta is not None and grad_threshold is not None:
        grad_beta += by_sample[0].sum(0)
        grad_threshold += by_sample[1].sum(0)


def _gathering(
    bits: Tensor, weight: Tensor, bias: Tensor | None, beta: Tensor, threshold: Tensor, config: NeuronConfig
) -> _LIFArgs:
    args = _LIFArgs(bits=_at(bits), bits_batch=bits.shape[1], words=bits.shape[-1], weight=_at(weight), bias=_at(bias))
    args.steps, args.batch, args.inputs, args.features = *bits.shape[:2], *weight.shape
    _neuron(args, beta, threshold, config)
    return args
