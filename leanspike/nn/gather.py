"""Dense synapses that see packed spikes, with the neurons behind them, layer behind layer as one operation.

    I[r, :]  = bias + sum of weight[k, :] over the active inputs k of row r          (gather)
    dW[k, :] = sum of dI[r, :] over the rows r in which input k is active            (gather, by the transposed bits)
    ds[r, k] = <weight[k, :], dI[r, :]>                                              (dense product)

A row r is one step of one sample. Where more than ``DENSE_ABOVE`` of the inputs are active, counted on the very
batch, the dense product is faster and serves. Backward keeps the packed inputs and the potentials ``[T, B, out]``,
or (``recompute``) the packed inputs alone: then the potentials are computed again a few samples at a time. Between two
layers ds is made tile by tile inside the scan that consumes it and never stands in memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.nn.kernels import cpu
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes

DENSE_ABOVE = 0.4
_PASS_THROUGH = NeuronConfig(beta=0.0, threshold=1e30)


@dataclass(frozen=True)
class SpikingLayer:
    """Synapses and the neurons behind them.

    Attributes:
        weight, bias: ``[in, out]``, ``[out]`` or None.
        beta, threshold: ``[out]``.
        fires: False where the threshold is out of reach.
    """

    weight: Tensor
    bias: Tensor | None
    beta: Tensor
    threshold: Tensor
    config: NeuronConfig
    fires: bool = True


@dataclass(frozen=True)
class Activity:
    """What a layer does: ``spikes``, None where it never fires; of an output layer the potential ``[T, B, out]``."""

    spikes: Spikes | None
    potential: Tensor | None


def spiking_layers(x: Spikes, layers: Sequence[SpikingLayer], output: bool, recompute: bool = False) -> list[Activity]:
    """Run packed spikes ``[T, B, in]`` through layers in a row.

    Args:
        output: the last layer shows dense spikes and its potential; all others give packed spikes.
        recompute: keep no potentials for backward.

    Returns:
        the activity of every layer that was run: all, or those up to a hidden layer more than ``DENSE_ABOVE`` active.
    """
    tensors = [tensor for layer in layers for tensor in (layer.weight, layer.bias, layer.beta, layer.threshold)]
    kinds = tuple((layer.config, layer.fires) for layer in layers)
    *edges, potential, words = _Layers.on(x.edge, x.bits, x.shape[2], kinds, output, recompute, *tensors)
    shapes = [(*x.shape[:2], layer.weight.shape[1]) for layer in layers]
    done = [
        Activity(Spikes.packed(bits, shape, edge), None)
        for bits, shape, edge in zip(words, shapes, edges, strict=False)
    ]
    if potential is None:
        return done
    return [*done, Activity(Spikes.of(edges[-1]) if layers[-1].fires else None, potential)]


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


class _Layers(Operation):
    """Hidden edges (and the output's spikes), the output's potential, and the hidden layers' words."""

    @staticmethod
    def forward(ctx, edge, bits, inputs, kinds, output, recompute, *tensors):  # type: ignore[no-untyped-def]
        keep = any(ctx.needs_input_grad) and not recompute
        saved, edges, words, potential = [], [], [], None
        for i, (config, fires) in enumerate(kinds):
            weight, bias, beta, threshold = tensors[4 * i : 4 * i + 4]
            beta, threshold = beta.contiguous(), threshold.contiguous()
            shape = (*bits.shape[:2], weight.shape[1])
            shown = output and i == len(kinds) - 1
            kept = cpu.room_for_potentials(*shape) if keep else None
            potential = torch.empty(shape) if shown else None
            spikes = torch.empty(shape) if shown and fires else None
            out = None if shown else torch.empty((*shape[:2], cpu.words_of(shape[2])), dtype=torch.int32)
            cpu.gather_lif_forward(bits, inputs, weight, bias, beta, threshold, config, kept, potential, spikes, out)
            saved += [bits, weight, bias, beta, threshold, kept]
            if out is None:
                edges.append(spikes)
                continue
            edges.append(torch.zeros(1).expand(shape))
            words.append(out)
            bits, inputs = out, shape[2]
            if cpu.ones(out) > DENSE_ABOVE * math.prod(shape):
                break
        ctx.set_materialize_grads(False)
        ctx.kinds = kinds[: len(edges)]
        ctx.unused = 4 * (len(kinds) - len(edges))
        ctx.save_for_backward(*saved)
        return *edges, potential, tuple(words)

    @staticmethod
    def backward(ctx, *grads):  # type: ignore[no-untyped-def]
        saved, grad_potential = ctx.saved_tensors, grads[-2]
        found: list[Tensor | None] = []
        behind: tuple[Tensor, Tensor] | None = None
        for i in reversed(range(len(ctx.kinds))):
            bits, weight, bias, beta, threshold, kept = saved[6 * i : 6 * i + 6]
            wanted = ctx.needs_input_grad[6 + 4 * i : 10 + 4 * i]
            grad_current = torch.empty((*bits.shape[:2], weight.shape[1])) if i or ctx.needs_input_grad[0] else None
            own = cpu.gather_lif_backward(
                bits, weight, bias, beta, threshold, ctx.kinds[i][0],
                kept, grads[i], grad_potential, behind, grad_current, wanted[2] or wanted[3],
            )  # fmt: skip
            found[:0] = own
            behind, grad_potential = None if grad_current is None else (grad_current, weight), None
        d_input = None
        if behind is not None:
            grad, weight = behind
            d_input = cpu.matmul(grad.flatten(0, 1), weight.t()).unflatten(0, grad.shape[:2])
        return d_input, None, None, None, None, None, *found, *[None] * ctx.unused


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
