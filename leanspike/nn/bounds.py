"""What holds whatever an optimizer does: pruned weights are 0, learned leaks and thresholds keep to their bounds."""

from __future__ import annotations

from torch import nn

from leanspike.nn.cells import Neurons
from leanspike.nn.synapses import Synapses


def hold(network: nn.Module) -> None:
    """Bring the parameters of all layers of ``network`` back to where they may be; call it after every step."""
    for layer in network.modules():
        if isinstance(layer, Synapses | Neurons):
            layer.hold()
