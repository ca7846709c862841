"""Dense synapses that see packed spikes, or analogue values by a dense product; see :mod:`leanspike.nn.chain`."""

from __future__ import annotations

import torch
from torch import Tensor

from leanspike.nn.chain import DENSE_ABOVE, SpikingLayer, spiking_layers
from leanspike.nn.kernels import cpu
from leanspike.nn.kernels.product import matmul
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes

_PASS_THROUGH = NeuronConfig(beta=0.0, threshold=1e30)


def linear_spikes(x: Spikes, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Currents ``[T, B, out]`` of packed spikes ``[T, B, in]`` through ``weight[in, out]``."""
    if x.density > DENSE_ABOVE:
        return dense_product(x.dense(), weight, bias)
    features = weight.shape[1]
    beta, never = torch.zeros(features), torch.full((features,), _PASS_THROUGH.threshold)
    # A neuron without leak or spike holds its current as its potential: the fused kernel serves for both.
    layer = SpikingLayer(weight, bias, beta, never, _PASS_THROUGH, fires=False)
    current = spiking_layers(x, [layer], output=True)[0].potential
    assert current is not None
    return current


def dense_product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x @ weight (+ bias)`` over the last axis, by our own product where the kernels serve."""
    if cpu.serves(x) and cpu.serves(weight):
        product: Tensor = _Product.on(x, weight, bias)
        return product
    return x @ weight if bias is None else x @ weight + bias


class _Product(Operation):
    @staticmethod
    def forward(ctx, x, weight, bias):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        ctx.biased = bias is not None
        return matmul(x.reshape(-1, x.shape[-1]), weight, bias).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        rows = grad.reshape(-1, grad.shape[-1])
        d_x = matmul(rows, weight.t()).view(x.shape) if ctx.needs_input_grad[0] else None
        d_weight = matmul(x.reshape(-1, x.shape[-1]).t(), rows) if ctx.needs_input_grad[1] else None
        return d_x, d_weight, rows.sum(0) if ctx.biased else None
