"""Neurons, synapses and networks that run over all T steps at once."""

from leanspike.nn.cells import LIF, LeakyIntegrator
from leanspike.nn.delays import DelayedLinear
from leanspike.nn.functional import LIFState, lif, lif_step
from leanspike.nn.junction import Junction, Residual, SpikingSelfAttention
from leanspike.nn.loss import CountCrossEntropy
from leanspike.nn.network import Network, Operations
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.norm import BatchNorm, BatchNormThroughTime, Dropout
from leanspike.nn.readout import Output, readout, readout_at_every_step
from leanspike.nn.recurrent import RecurrentLIF
from leanspike.nn.scan import lif_scan
from leanspike.nn.spikes import Spikes, rate_spikes
from leanspike.nn.synapses import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, SumPool2d

__all__ = [
    "LIF",
    "AvgPool2d",
    "BatchNorm",
    "BatchNormThroughTime",
    "Conv2d",
    "CountCrossEntropy",
    "DelayedLinear",
    "Dropout",
    "Flatten",
    "Junction",
    "LIFState",
    "LeakyIntegrator",
    "Linear",
    "MaxPool2d",
    "Network",
    "NeuronConfig",
    "Operations",
    "Output",
    "RecurrentLIF",
    "Residual",
    "Spikes",
    "SpikingSelfAttention",
    "SumPool2d",
    "lif",
    "lif_scan",
    "lif_step",
    "rate_spikes",
    "readout",
    "readout_at_every_step",
]
