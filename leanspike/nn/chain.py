"""Linear + LIF layers in a row on packed spikes, as one operation.

    I[r, :]  = bias + sum of weight[k, :] over the active inputs k of row r          (gather)
    dW[k, :] = sum of dI[r, :] over the rows r in which input k is active            (gather, by the transposed bits)
    ds[r, k] = <weight[k, :], dI[r, :]>                                              (dense product)

A row r is one step of one sample. Where more than ``DENSE_ABOVE`` of the inputs are active, counted on the very
batch, the dense product is faster and serves. Backward keeps the packed inputs and the potentials ``[T, B, out]``,
or (``recompute``) the packed inputs alone: then the potentials are computed again a few samples at a time. Between two
layers ds is made tile by tile inside the scan that consumes it and never stands in memory.

Where a loss is the sum of the losses of samples, :mod:`leanspike.nn.pieces` needs less memory and time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.nn.kernels import cpu, packing
from leanspike.nn.kernels.product import matmul
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes

DENSE_ABOVE = 0.4


@dataclass(frozen=True)
class SpikingLayer:
    """Synapses and the neurons behind them.

    Attributes:
        weight, bias: ``[in, out]``, ``[out]`` or None.
        beta, threshold: ``[out]``, or ``[1]`` of all neurons where it is not learned.
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
    kinds, tensors = apart(layers)
    *edges, potential, words = _Layers.on(x.edge, x.bits, kinds, output, recompute, *tensors)
    shapes = [(*x.shape[:2], layer.weight.shape[1]) for layer in layers]
    done = [
        Activity(Spikes.packed(bits, shape, edge), None)
        for bits, shape, edge in zip(words, shapes, edges, strict=False)
    ]
    if potential is None:
        return done
    return [*done, Activity(Spikes.of(edges[-1]) if layers[-1].fires else None, potential)]


Kinds = tuple[tuple[NeuronConfig, bool], ...]


def apart(layers: Sequence[SpikingLayer]) -> tuple[Kinds, list[Tensor | None]]:
    """What autograd need not see of the layers, and the four tensors of each."""
    kinds = tuple((layer.config, layer.fires) for layer in layers)
    return kinds, [tensor for layer in layers for tensor in (layer.weight, layer.bias, layer.beta, layer.threshold)]


@dataclass(frozen=True)
class _Ran:
    """A layer after its forward pass: what it read, what backward wants, and what it gave (output or hidden)."""

    bits: Tensor
    kept: Tensor | None
    spikes: Tensor | None = None
    potential: Tensor | None = None
    words: Tensor | None = None


def _run(bits: Tensor, kind: tuple[NeuronConfig, bool], tensors: Sequence[Tensor], shown: bool, keep: bool) -> _Ran:
    weight, bias, beta, threshold = tensors
    config, fires = kind
    shape = (*bits.shape[:2], weight.shape[1])
    kept = cpu.room_for_potentials(*shape) if keep else None
    if shown:
        ran = _Ran(bits, kept, torch.empty(shape) if fires else None, torch.empty(shape))
    else:
        words = torch.empty((*shape[:2], packing.words_of(shape[2])), dtype=torch.int32)
        ran = _Ran(bits, kept, words=words)
    cpu.gather_lif_forward(bits, weight, bias, beta, threshold, config, kept, ran.potential, ran.spikes, ran.words)
    return ran


class _Layers(Operation):
    """Hidden edges (and the output's spikes), the output's potential, and the hidden layers' words."""

    @staticmethod
    def forward(ctx, edge, bits, kinds, output, recompute, *tensors):  # type: ignore[no-untyped-def]
        keep = any(ctx.needs_input_grad) and not recompute
        saved, edges, words, potential = [], [], [], None
        for i, kind in enumerate(kinds):
            own = tensors[4 * i : 4 * i + 4]
            ran = _run(bits, kind, own, output and i == len(kinds) - 1, keep)
            saved += [bits, ran.kept, *own]
            potential = ran.potential
            if ran.words is None:
                edges.append(ran.spikes)
                continue
            shape = (*bits.shape[:2], own[0].shape[1])
            edges.append(torch.zeros(1).expand(shape))
            words.append(ran.words)
            bits = ran.words
            if packing.ones(bits) > DENSE_ABOVE * math.prod(shape):
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
            bits, kept, weight, bias, beta, threshold = saved[6 * i : 6 * i + 6]
            sums = room_for_gradients((weight, bias, beta, threshold), ctx.needs_input_grad[5 + 4 * i : 9 + 4 * i])
            current = torch.empty((*bits.shape[:2], weight.shape[1])) if i or ctx.needs_input_grad[0] else None
            cpu.gather_lif_backward(
                bits, weight, bias, beta, threshold, ctx.kinds[i][0],
                kept, grads[i], grad_potential, behind, current, sums,
            )  # fmt: skip
            found[:0] = sums
            behind, grad_potential = None if current is None else (current, weight), None
        d_input = None
        if behind is not None:
            grad, weight = behind
            d_input = matmul(grad.flatten(0, 1), weight.t()).unflatten(0, grad.shape[:2])
        return d_input, None, None, None, None, *found, *[None] * ctx.unused


def room_for_gradients(tensors: Sequence[Tensor | None], learned: Sequence[bool]) -> list[Tensor | None]:
    """Room for the gradients of (weight, bias, beta, threshold)s; the kernel always finds those of synapses.

    Those of beta and threshold are added to, and are 0.
    """
    found: list[Tensor | None] = []
    for i in range(0, len(tensors), 4):
        weight, bias, beta, threshold = tensors[i : i + 4]
        learn = learned[i + 2] or learned[i + 3]
        found += [None if tensor is None else torch.empty(tensor.shape) for tensor in (weight, bias)]
        found += [torch.zeros(tensor.shape) if learn and tensor is not None else None for tensor in (beta, threshold)]
    return found
