"""SpikingJelly models: IFNode, LIFNode, ParametricLIFNode with the layers of torch and of ``layer``, step mode s or m.

    IFNode                               h = v + x                                beta = 1
    LIFNode, decay_input=True            h = v + (x - (v - v_reset)) / tau        beta = 1 - 1/tau, input times 1/tau
    LIFNode, decay_input=False           h = v - (v - v_reset) / tau + x          beta = 1 - 1/tau
    ParametricLIFNode                    the same with 1/tau = sigmoid(w)

Spikes are h >= v_threshold. ``v_reset=None`` subtracts the threshold at once; a number resets to it. Counted from
v_reset, where v also starts, that is a reset to zero with the threshold v_threshold - v_reset.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from leanspike.core.errors import MissingTool
from leanspike.lower.importers.assemble import network_of
from leanspike.lower.importers.chain import Neurons, Piece, refuse
from leanspike.lower.importers.layers import Module, common, comparison, dtype_of, read_row, runs
from leanspike.nn import Network
from leanspike.nn.readout import ReadoutName


def from_spikingjelly(
    model: nn.Module,
    *,
    input_shape: tuple[int, ...],
    readout: ReadoutName = "count",
    example: Tensor | None = None,
) -> Network:
    """A trained SpikingJelly model as a network with the same spikes.

    Args:
        model: a ``Sequential`` (nested as you like), or any module together with an ``example``.
        input_shape: of one sample in one step, images ``(C, H, W)``.
        readout: how the output layer becomes scores. A membrane readout takes a model that ends in a layer without
            neurons, or in NonSpikingIFNode or NonSpikingLIFNode.
        example: a batch as ``model(example)`` takes it.

    Raises:
        ModelImportError: layers or semantics that cannot be expressed, all of them.
        MissingTool: SpikingJelly is not installed.
    """
    layer, neuron = _spikingjelly()
    dtype = dtype_of(model)
    spiking = (neuron.BaseNode, neuron.NonSpikingBaseNode, neuron.SimpleBaseNode)
    same: dict[Module, tuple[Module, ...]] = {
        kind: (getattr(layer, kind.__name__),)
        for kind in (nn.Linear, nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.Flatten)
    }
    same[nn.BatchNorm1d] = (layer.BatchNorm1d, layer.ThresholdDependentBatchNorm1d)
    same[nn.BatchNorm2d] = (layer.BatchNorm2d, layer.ThresholdDependentBatchNorm2d)
    same[nn.Identity] = (layer.Dropout,)

    def read(name: str, module: nn.Module) -> Piece | None:
        if isinstance(module, spiking):
            return _neurons(name, module, neuron, dtype)
        return common(name, module, same)

    pieces = read_row(model, read, spiking, (nn.Sequential,), example)
    return network_of(pieces, input_shape, readout, dtype)


def _spikingjelly() -> tuple[Any, Any]:
    try:
        from spikingjelly.activation_based import layer, neuron
    except ImportError as error:
        remedy = "pip install 'leanspike[interop]'"
        raise MissingTool("SpikingJelly is not installed", where="from_spikingjelly", remedy=remedy) from error
    return layer, neuron


def _neurons(name: str, module: Any, neuron: Any, dtype: torch.dtype) -> Neurons:
    one = torch.ones(1, dtype=torch.float64)
    if runs(module, neuron.NonSpikingIFNode):
        return Neurons(name, one, one, None)
    if runs(module, neuron.NonSpikingLIFNode):
        rate = one / module.tau
        return Neurons(name, 1 - rate, rate, None)
    if type(module) not in (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode):
        what = f"{type(module).__name__} is a neuron that cannot be expressed"
        raise refuse(name, what, "IFNode, LIFNode and ParametricLIFNode can be")
    rate = 0 * one
    if isinstance(module, neuron.LIFNode):
        rate = one / module.tau
    elif isinstance(module, neuron.ParametricLIFNode):
        rate = module.w.detach().sigmoid().double()
    gain = rate if getattr(module, "decay_input", False) else one
    at_threshold = comparison(name, module.surrogate_function, dtype)
    rest = module.v_reset or 0.0
    threshold = one * (module.v_threshold - rest)
    reset: Any = "subtract" if module.v_reset is None else "zero"
    return Neurons(name, 1 - rate, gain, threshold, at_threshold, reset)
