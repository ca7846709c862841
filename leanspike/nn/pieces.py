"""The loss of a batch through dense layers of spiking neurons, where it is the sum of the losses of samples.

Forward and backward of a piece of the batch are done before the next one begins, so that potentials exist for a piece
alone. Between the layers no tensor and no graph exists: the loss sees the output layer, and its gradients go back
through all layers as one call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from leanspike.nn.chain import Kinds, SpikingLayer, apart, room_for_gradients
from leanspike.nn.kernels.cpu_chain import Chain, Layer, Source
from leanspike.nn.loss import CountCrossEntropy
from leanspike.nn.operation import Operation
from leanspike.nn.readout import Output

LossOf = Callable[[Output, slice], Tensor]
"""The loss of an output, which is of these samples of the batch."""


def loss_in_pieces(source: Source, layers: Sequence[SpikingLayer], size: int, loss_of: LossOf) -> Tensor:
    """Sum of ``loss_of(output, samples)`` over pieces of ``size`` samples, each differentiated before the next runs.

    Args:
        source: packed spikes, analogue values (one piece), or those of a step; no gradient is given to them.
        loss_of: sees the output layer alone (``hidden`` is empty).
    """
    kinds, tensors = apart(layers)
    loss: Tensor = _LossInPieces.on(source, kinds, size, loss_of, *tensors)
    return loss


class _LossInPieces(Operation):
    """The gradients are found with the loss; backward hands them over."""

    @staticmethod
    def forward(ctx, source, kinds, size, loss_of, *tensors):  # type: ignore[no-untyped-def]
        ctx.sums = room_for_gradients(tensors, ctx.needs_input_grad[4:])
        return _differentiated(source, kinds, tensors, size, loss_of, ctx.sums)

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        sums, ctx.sums = ctx.sums, None
        scale = float(grad)
        if scale != 1.0:
            sums = [None if one is None else one * scale for one in sums]
        return None, None, None, None, *sums


def _differentiated(
    source: Source, kinds: Kinds, tensors: Sequence[Any], size: int, loss_of: LossOf, sums: Sequence[Tensor | None]
) -> Tensor:
    """The loss of the batch; its gradients are found in ``sums``."""
    layers = []
    for i, (config, _) in enumerate(kinds):
        weight, bias, beta, threshold = tensors[4 * i : 4 * i + 4]
        layers.append(Layer(config, weight, bias, beta, threshold, sums[4 * i : 4 * i + 4]))
    fires = kinds[-1][1]
    if isinstance(loss_of, CountCrossEntropy) and fires:
        chain = Chain(source, layers, size, counts=True)
        loss, right = chain.counted(loss_of.labels, loss_of.smoothing, loss_of.scale)
        loss_of.right += right
    else:
        chain, loss = Chain(source, layers, size, counts=False), torch.zeros(())
        for start in range(0, max(1, chain.batch), max(1, chain.piece)):
            loss = loss + _piece(chain, start, fires, loss_of)
    chain.learn()
    return loss


def _piece(chain: Chain, start: int, fires: bool, loss_of: LossOf) -> Tensor:
    spikes, potential = chain.forward(start, fires)
    leaves = [one.requires_grad_() for one in (potential, spikes) if one is not None]
    with torch.enable_grad():
        loss = loss_of(Output(spikes, potential, ()), slice(start, start + potential.shape[1]))
    by_potential, *by_spikes = torch.autograd.grad(loss, leaves, allow_unused=True)
    chain.backward(by_spikes[0] if by_spikes else None, by_potential)
    return loss.detach()
