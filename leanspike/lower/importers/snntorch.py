"""snnTorch models: ``snn.Leaky`` with the layers of torch.

A subtract reset one step late (``reset_delay=True``, snnTorch's default) is an immediate one of theta / beta::

    theirs   m[t] = beta m[t-1] + I[t] - theta s[t-1],   s[t] = m[t] > theta
    ours     v[t] = u[t] - s[t] a,   u[t] = beta v[t-1] + I[t],   a = theta / beta
             u[t] = beta (u[t-1] - s[t-1] theta / beta) + I[t] = beta u[t-1] + I[t] - theta s[t-1]

so u = m at every step, from m = v = 0 on, and the spikes are the same; beta = 0 has no such a. A zero reset one step
late clears m before it leaks, which is an immediate one: ``beta (1 - s[t-1]) m[t-1]``. No reset is a = 0.

A subtract reset at once (``reset_delay=False``) in snnTorch looks at the potential once more in the next step: where
it is still above theta after the reset, theta is taken from the sum that decides on the next spike and given back
after it. A neuron here has no such memory, so it is refused.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from leanspike.core.errors import MissingTool
from leanspike.lower.importers.assemble import network_of
from leanspike.lower.importers.chain import Neurons, Piece, refuse
from leanspike.lower.importers.layers import common, comparison, dtype_of, read_row
from leanspike.nn import Network
from leanspike.nn.readout import ReadoutName

_OTHERS = {
    "Synaptic": "a synaptic current with its own decay",
    "RSynaptic": "a synaptic current and recurrent synapses",
    "Alpha": "a synaptic current that rises and falls",
    "RLeaky": "recurrent synapses",
    "Lapicque": "the decay of an RC circuit (use Leaky with beta = exp(-dt / RC))",
    "LeakyParallel": "neurons that do not reset in time",
    "SLSTM": "gates",
    "SConv2dLSTM": "gates",
}


def from_snntorch(
    model: nn.Module,
    *,
    input_shape: tuple[int, ...],
    readout: ReadoutName = "count",
    example: Tensor | None = None,
) -> Network:
    """A trained snnTorch model as a network with the same spikes.

    Args:
        model: a ``Sequential``, or any module together with an ``example``.
        input_shape: of one sample in one step, images ``(C, H, W)``.
        readout: how the output layer becomes scores. A membrane readout takes a model that ends in a layer without
            neurons, or in ``Leaky(reset_mechanism="none")``.
        example: a batch as ``model(example)`` takes it.

    Raises:
        ModelImportError: layers or semantics that cannot be expressed, all of them.
        MissingTool: snnTorch is not installed.
    """
    snn = _snntorch()
    dtype = dtype_of(model)

    def read(name: str, module: nn.Module) -> Piece | None:
        if isinstance(module, snn.SpikingNeuron):
            return _neurons(name, module, readout, dtype)
        return common(name, module, {})

    pieces = read_row(model, read, (snn.SpikingNeuron,), (nn.Sequential,), example)
    return network_of(pieces, input_shape, readout, dtype)


def _snntorch() -> Any:
    try:
        import snntorch
    except ImportError as error:
        remedy = "pip install 'leanspike[interop]'"
        raise MissingTool("snnTorch is not installed", where="from_snntorch", remedy=remedy) from error
    return snntorch


def _neurons(name: str, module: Any, readout: ReadoutName, dtype: torch.dtype) -> Neurons:
    kind = type(module).__name__
    if kind != "Leaky":
        what = _OTHERS.get(kind, "a neuron that is not known here")
        raise refuse(name, f"{kind} has {what}", "snn.Leaky can be expressed")
    if module.inhibition or module.state_quant:
        what = "lateral inhibition" if module.inhibition else "a quantised state"
        raise refuse(name, what, "train without it; states are quantised when the network is lowered")
    if float(torch.as_tensor(module.graded_spikes_factor)) != 1:
        raise refuse(name, "graded spikes", "train with graded_spikes_factor=1: a spike is 0 or 1 here")
    beta, threshold = module.beta.detach().clamp(0, 1), module.threshold.detach()
    one, at_threshold = torch.ones(1), comparison(name, module.spike_grad, dtype)
    if module.reset_mechanism == "zero":
        return Neurons(name, beta, one, threshold, at_threshold, "zero")
    if module.reset_mechanism == "none":
        if readout.startswith("membrane"):
            return Neurons(name, beta, one, None)
        return Neurons(name, beta, one, threshold, at_threshold, reset_by=torch.zeros(1))
    if not module.reset_delay:
        what = "reset_delay=False with a subtract reset: a potential still above threshold lowers the next decision"
        raise refuse(name, what, "take reset_delay=True (snnTorch's default) or reset_mechanism='zero'")
    if float(beta.min()) == 0:
        raise refuse(
            name, "a subtract reset one step late with beta = 0", "take reset_mechanism='zero' or beta above 0"
        )
    return Neurons(name, beta, one, threshold, at_threshold, reset_by=threshold.double() / beta.double())
