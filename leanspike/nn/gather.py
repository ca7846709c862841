"""Synapses that see packed spikes, alone or fused with the LIF neurons behind them.

    I[r, :]  = bias + sum of weight[k, :] over the active inputs k of row r          (gather)
    dW[k, :] = sum of dI[r, :] over the rows r in which input k is active            (gather, by the transposed bits)
    ds[r, k] = <weight[k, :], dI[r, :]>                                              (dense product)

A row r is one step of one sample. Where more than ``DENSE_ABOVE`` of the inputs are active, counted on the very
batch, the dense product is faster and serves. Backward keeps the packed inputs and the potentials ``[T, B, out]``,
or (``recompute``) the packed inputs alone: then the potentials are computed again a few samples at a time.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leanspike.nn.kernels import cpu
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes

DENSE_ABOVE = 0.4
_PASS_THROUGH = NeuronConfig(beta=0.0, threshold=1e30)


def linear_spikes(x: Spikes, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Currents ``[T, B, out]`` of packed spikes ``[T, B, in]`` through ``weight[in, out]``."""
    if x.density > DENSE_ABOVE:
        return dense_product(x.dense(), weight, bias)
    features = weight.shape[1]
    beta, never = torch.zeros(features), torch.full((features,), _PASS_THROUGH.threshold)
    # A neuron without leak or spike holds its current as its potential: the fused kernel serves for both.
    _, current, _ = _DenseLIF.on(
        x.edge, weight, bias, beta, never, x.bits, x.shape[2], _PASS_THROUGH, False, True, False
    )
    return current  # type: ignore[no-any-return]


def dense_lif(
    x: Spikes,
    weight: Tensor,
    bias: Tensor | None,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    output: bool,
    recompute: bool,
) -> tuple[Spikes, Tensor | None]:
    """Synapses and neurons in one pass over packed spikes ``[T, B, in]``.

    Args:
        output: give dense spikes and the potentials ``[T, B, out]``; else packed spikes and None.
        recompute: keep no potentials for backward.
    """
    shape = (*x.shape[:2], weight.shape[1])
    edge, potential, bits = _DenseLIF.on(
        x.edge, weight, bias, beta, threshold, x.bits, x.shape[2], config, not output, output, recompute
    )
    if output:
        return Spikes.of(edge), potential
    return Spikes.packed(bits, shape, edge), None


def dense_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight (+ bias)`` over the last axis, by our own product where the kernels serve."""
    if cpu.serves(x) and cpu.serves(weight):
        product: Tensor = _Product.on(x, weight, bias)
        return product
    return x @ weight if bias is None else x @ weight + bias


class _DenseLIF(Operation):
    @staticmethod
    def forward(  # type: ignore[no-untyped-def]
        ctx, edge, weight, bias, beta, threshold, bits, inputs, config, pack, show, recompute
    ):
        beta, threshold = beta.contiguous(), threshold.contiguous()
        shape = (*bits.shape[:2], weight.shape[1])
        keep = any(ctx.needs_input_grad) and not recompute
        kept = cpu.room_for_potentials(*shape) if keep else None
        u = torch.empty(shape) if show else None
        spikes = None if pack or config is _PASS_THROUGH else torch.empty(shape)
        words = torch.empty((*shape[:2], cpu.words_of(shape[2])), dtype=torch.int32) if pack else None
        cpu.gather_lif_forward(bits, inputs, weight, bias, beta, threshold, config, kept, u, spikes, words)
        ctx.set_materialize_grads(False)
        ctx.config, ctx.inputs = config, inputs
        ctx.save_for_backward(bits, weight, bias, beta, threshold, kept)
        if words is not None:
            ctx.mark_non_differentiable(words)
            spikes = torch.zeros(1).expand(shape)
        return spikes, u, words

    @staticmethod
    def backward(ctx, grad_spikes, grad_potential, _words):  # type: ignore[no-untyped-def]
        bits, weight, bias, beta, threshold, kept = ctx.saved_tensors
        shape = (*bits.shape[:2], weight.shape[1])
        grad_current = torch.empty(shape) if ctx.needs_input_grad[0] else None
        learn = ctx.needs_input_grad[3] or ctx.needs_input_grad[4]
        d_weight, d_bias, d_beta, d_threshold = cpu.gather_lif_backward(
            bits, ctx.inputs, weight, bias, beta, threshold, ctx.config,
            kept, grad_spikes, grad_potential, grad_current, learn,
        )  # fmt: skip
        d_input = None
        if grad_current is not None:
            d_input = cpu.matmul(grad_current.view(-1, shape[2]), weight.t()).view(*shape[:2], -1)
        return d_input, d_weight, d_bias, d_beta, d_threshold, None, None, None, None, None, None


class _Product(Operation):
    @staticmethod
    def forward(ctx, x, weight, bias):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        return cpu.matmul(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        d_x = cpu.matmul(rows, weight.t()).view(x.shape) if ctx.needs_input_grad[0] else None
        d_weight = cpu.matmul(x.reshape(-1, x.shape[-1]).t(), rows) if ctx.needs_input_grad[1] else None
        return d_x, d_weight, rows.sum(0) if ctx.biased else None


def conv_spikes(x: Spikes, weight: Tensor, bias: Tensor | None, padding: int) -> Tensor:
    """Currents ``[T, B, out, H, W]`` of packed spikes through ``weight[kh, kw, in, out]``."""
    values = x.dense()
    current = torch.nn.functional.conv2d(values.flatten(0, 1), weight.permute(3, 2, 0, 1), bias, padding=padding)
    unfolded: Tensor = current.unflatten(0, values.shape[:2])
    return unfolded
