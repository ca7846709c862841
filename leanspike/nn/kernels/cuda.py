r"""The LIF scan on CUDA tensors: one Triton kernel forward, one backward. Its definition is :mod:`reference`.

    u[t] = beta v[t-1] + I[t],   s[t] = 1[u[t] >= threshold],   v[t] = u[t] - s[t] threshold   or   u[t] (1 - s[t])

Arithmetic is float32; what is stored takes the type of the current (float32, float16 or bfloat16). In float32,
spikes and potentials equal the reference to the last bit: multiplication and addition are not fused.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor

from leanspike.nn.functional import LIFState
from leanspike.nn.kernels.reference import Gradients, Scanned
from leanspike.nn.neuron import NeuronConfig

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
_BLOCK = 256
_LAUNCH: dict[str, Any] = {"BLOCK": _BLOCK, "num_warps": 4, "enable_fp_fusion": False}


def serves(tensor: Tensor) -> bool:
    """True where these kernels can run: a CUDA tensor of one of ``DTYPES``, and Triton installed."""
    return tensor.is_cuda and tensor.dtype in DTYPES and _kernels() is not None


@functools.cache
def _kernels() -> Any:
    """The module with the kernels, or None: an installation for the CPU goes without Triton."""
    try:
        from leanspike.nn.kernels import triton_lif
    except ImportError:
        return None
    return triton_lif


def forward(
    source: Tensor, steps: int, beta: Tensor, threshold: Tensor, state: LIFState, config: NeuronConfig, smooth: bool
) -> Scanned:
    """See :func:`leanspike.nn.kernels.reference.forward`; there is no smooth kernel."""
    assert not smooth
    start = state.potential.contiguous()
    hold = None if state.hold is None else state.hold.contiguous()
    shape = (steps, *start.shape)
    spikes, potential, end = source.new_empty(shape), source.new_empty(shape), torch.empty_like(start)
    held = None if hold is None else torch.empty(shape, dtype=torch.bool, device=source.device)
    end_hold = None if hold is None else torch.empty_like(hold)
    with torch.cuda.device_of(source):
        _kernels().lif_forward[_grid(start)](
            source.contiguous(), beta.contiguous(), threshold.contiguous(), start, hold,
            spikes, potential, None if held is None else held.view(torch.uint8), end, end_hold,
            start.numel(), beta.numel(), steps, config.refractory,
            CONSTANT=source.dim() == start.dim(), ZERO=config.reset == "zero", **_LAUNCH,
        )  # fmt: skip
    return Scanned(spikes, potential, held, LIFState(end, end_hold))


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
    u, held, start = scanned.potential, scanned.held, start.contiguous()
    grad_current, grad_start = torch.empty_like(u[0] if constant else u), torch.empty_like(start)
    sums = torch.empty((2, *start.shape), dtype=torch.float32, device=u.device) if learn else None
    by_comparison = u.dtype == torch.float32 and held is None
    with torch.cuda.device_of(u):
        _kernels().lif_backward[_grid(start)](
            u, None if by_comparison else scanned.spikes, None if held is None else held.view(torch.uint8),
            start, beta.contiguous(), threshold.contiguous(), *_arriving(grad_spikes), *_arriving(grad_potential),
            None if grad_end is None else grad_end.contiguous(), grad_current, grad_start,
            None if sums is None else sums[0], None if sums is None else sums[1],
            start.numel(), beta.numel(), u.shape[0], config.surrogate_scale, SURROGATE=config.surrogate,
            CONSTANT=constant, ZERO=config.reset == "zero", THROUGH=not config.detach_reset, **_LAUNCH,
        )  # fmt: skip
    if sums is None:
        return Gradients(grad_current, None, None, grad_start)
    return Gradients(grad_current, sums[0].sum(0).to(beta.dtype), sums[1].sum(0).to(threshold.dtype), grad_start)


def _grid(start: Tensor) -> tuple[int]:
    return (-(-start.numel() // _BLOCK),)


def _arriving(grad: Tensor | None) -> tuple[Tensor | None, int]:
    """A gradient ``[T, B, ...]`` and its stride in time; one that is the same at every step is not copied T times."""
    if grad is None:
        return None, 0
    if grad.stride(0) == 0:
        return grad[0].contiguous(), 0
    return grad.contiguous(), grad[0].numel()
