"""Norse models: LIFBoxCell, IAFCell, IAF and LIBoxCell with the layers of torch, in a SequentialState.

    LIFBox    v' = v + dt tau_mem_inv (I + v_leak - v)     a = dt tau_mem_inv: beta = 1 - a, input times a
    IAF       v' = v + I                                   beta = 1
    LIBox     as LIFBox, never fires

Spikes are v' > v_th. Counted from v_leak (IAF: from v_reset), where v also starts, the threshold is v_th - v_leak and
a reset to that value is a reset to zero; ``reset_subtract`` takes v_th away, at once.

LIF, LIFCell and all others with a synaptic current are refused: the current has a decay of its own, and it reaches the
membrane one step after the spike.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from leanspike.core.errors import MissingTool
from leanspike.lower.importers.assemble import network_of
from leanspike.lower.importers.chain import Neurons, Piece, refuse
from leanspike.lower.importers.layers import common, dtype_of, read_row
from leanspike.nn import Network
from leanspike.nn.readout import ReadoutName


def from_norse(
    model: nn.Module,
    *,
    input_shape: tuple[int, ...],
    readout: ReadoutName = "count",
    example: Tensor | None = None,
) -> Network:
    """A trained Norse model as a network with the same spikes.

    Args:
        model: a ``SequentialState`` or ``Sequential`` (``Lift`` is seen through), or any module with an ``example``.
        input_shape: of one sample in one step, images ``(C, H, W)``.
        readout: how the output layer becomes scores. A membrane readout takes a model that ends in a layer without
            neurons, or in LIBoxCell.
        example: a batch as ``model(example)`` takes it.

    Raises:
        ModelImportError: layers or semantics that cannot be expressed, all of them.
        MissingTool: Norse is not installed.
    """
    norse = _norse()
    from norse.torch.module.snn import SNN, SNNCell, SNNRecurrent, SNNRecurrentCell

    spiking = (SNN, SNNCell, SNNRecurrent, SNNRecurrentCell)

    def read(name: str, module: nn.Module) -> Piece | None:
        if isinstance(module, spiking):
            return _neurons(name, module, norse)
        return common(name, module, {})

    containers = (nn.Sequential, norse.Lift)
    pieces = read_row(model, read, spiking, containers, example)
    return network_of(pieces, input_shape, readout, dtype_of(model))


def _norse() -> Any:
    try:
        import norse.torch
    except ImportError as error:
        remedy = "pip install 'leanspike[interop]'"
        raise MissingTool("Norse is not installed", where="from_norse", remedy=remedy) from error
    return norse.torch


def _neurons(name: str, module: Any, norse: Any) -> Neurons:
    kind, p = type(module), module.p
    one = torch.ones(1, dtype=torch.float64)
    if kind in (norse.IAF, norse.IAFCell):
        return Neurons(name, one, one, _number(p.v_th) - _number(p.v_reset), reset="zero")
    if kind not in (norse.LIFBoxCell, norse.LIBoxCell):
        if "p" in vars(module) and hasattr(p, "tau_syn_inv"):
            what = f"{kind.__name__} has a synaptic current with its own decay, one step late"
        else:
            what = f"{kind.__name__} is a neuron that cannot be expressed"
        raise refuse(name, what, "LIFBoxCell, IAF, IAFCell and LIBoxCell can be")
    rate, rest = _number(module.dt * torch.as_tensor(p.tau_mem_inv)), _number(p.v_leak)
    if kind is norse.LIBoxCell:
        if bool((rest != 0).any()):
            raise refuse(name, f"v_leak = {rest.tolist()} of a readout", "v_leak = 0 can be expressed")
        return Neurons(name, 1 - rate, rate, None)
    threshold = _number(p.v_th) - rest
    if p.reset_method.__name__ == "reset_subtract":
        late = _number(p.v_th) if bool((rest != 0).any()) else None
        return Neurons(name, 1 - rate, rate, threshold, reset="subtract", reset_by=late)
    if p.reset_method.__name__ != "reset_value":
        raise refuse(
            name, f"the reset method {p.reset_method.__name__}", "reset_value and reset_subtract can be expressed"
        )
    if bool((_number(p.v_reset) != rest).any()):
        what = f"resets to {_number(p.v_reset).tolist()} and rests at {rest.tolist()}"
        raise refuse(name, what, "v_reset = v_leak, or reset_subtract, can be expressed")
    return Neurons(name, 1 - rate, rate, threshold, reset="zero")


def _number(value: Any) -> Tensor:
    return torch.as_tensor(value).detach().double()
