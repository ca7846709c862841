"""A network is a list of layers that run over all T steps at once; a layer may be a junction, which holds lists."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leanspike.nn.cells import LIF, LeakyIntegrator
from leanspike.nn.chain import DENSE_ABOVE, SpikingLayer, spiking_layers
from leanspike.nn.constant import Constant, constant_in_time
from leanspike.nn.convolution import Neurons, conv_lif, gathers, lif_pool
from leanspike.nn.delays import DelayedLinear
from leanspike.nn.junction import Junction, in_a_row
from leanspike.nn.kernels import cpu
from leanspike.nn.kernels.cpu_chain import Source
from leanspike.nn.norm import BatchNorm, BatchNormThroughTime
from leanspike.nn.pieces import LossOf, loss_in_pieces
from leanspike.nn.readout import Output, ReadoutName
from leanspike.nn.recurrent import RecurrentLIF
from leanspike.nn.spikes import Spikes, pack
from leanspike.nn.synapses import Conv2d, Flatten, Linear, MaxPool2d, Signal

MICRO_BATCH_BYTES = 3_000_000


@dataclass(frozen=True)
class Operations:
    """Synaptic operations of one sample, mean over a batch: ``macs`` at analogue input, ``acs`` at spikes."""

    macs: float
    acs: float


class Network(nn.Module):
    """Layers in a row, the last one neurons; ``readout`` says how its output becomes class scores.

    Args:
        layers: synapses, norms, neurons, pools, dropout, junctions, in the order of the data.
        readout: see :mod:`leanspike.nn.readout`.
        recompute: keep only packed spikes for backward where the kernels can, and compute potentials again.
    """

    def __init__(self, layers: Sequence[nn.Module], readout: ReadoutName = "count", recompute: bool = False) -> None:
        super().__init__()
        if not layers or not isinstance(layers[-1], LIF | LeakyIntegrator):
            raise ValueError("the last layer of a network must be LIF or LeakyIntegrator neurons")
        self.layers = nn.ModuleList(layers)
        self.readout: ReadoutName = readout
        self.recompute = recompute

    @property
    def mixes_samples(self) -> bool:
        """Whether a sample's result depends on its batch (batch norm), so that a batch may not be cut."""
        return any(isinstance(layer, BatchNorm | BatchNormThroughTime) for layer in self.modules())

    @property
    def neurons(self) -> tuple[LIF | LeakyIntegrator, ...]:
        """Every layer of neurons, those inside of junctions included, in the order in which they run."""
        return tuple(layer for layer in self.modules() if isinstance(layer, LIF | LeakyIntegrator))

    def micro_batch(self, batch: int, timesteps: int) -> int:
        """Samples a micro-batch may have so that what backward keeps stays under 3 MB whatever T is."""
        neurons = sum(layer.channels for layer in self.neurons if isinstance(layer, LIF))
        return piece_size(batch, timesteps, neurons)

    def forward(self, x: Tensor | Spikes | Constant) -> Output:
        """Run ``[T, B, ...]``: analogue values, spikes as floats, or packed :class:`Spikes`."""
        hidden: list[Spikes] = []
        activity: Signal | None = self._entrance(x)
        potential: Tensor | None = None
        i, count = 0, len(self.layers)

        def seen(_: nn.Module, __: Signal, spikes: Spikes | None, ___: Tensor | None) -> None:
            if spikes is not None:
                hidden.append(spikes)

        while i < count:
            assert activity is not None
            layer, run = self.layers[i], self._spiking_run(activity, i)
            if run:
                assert isinstance(activity, Spikes)
                found = spiking_layers(activity, run, i + 2 * len(run) == count, self.recompute)
                hidden += [one.spikes for one in found if one.spikes]
                activity, potential = found[-1].spikes, found[-1].potential
                i += 2 * len(found) - 1
            elif image := self._image_layers(activity, i):
                spikes, pooled, run_layers = image
                hidden.append(spikes)
                activity = pooled or spikes
                i += run_layers - 1
            elif isinstance(layer, LIF):
                spikes, potential, _ = layer(activity, pack=i < count - 1)
                hidden.append(spikes)
                activity = spikes
            elif isinstance(layer, LeakyIntegrator):
                activity, potential, _ = layer(activity)
            elif isinstance(layer, Junction):
                activity = layer(activity, seen)
            else:
                activity = layer(activity)
            i += 1
        assert potential is not None
        return Output(activity.dense() if isinstance(activity, Spikes) else None, potential, tuple(hidden))

    def loss(self, x: Tensor | Spikes, loss_of: LossOf) -> Tensor:
        """The loss of a batch, with gradients: the sum of ``loss_of(output, samples)`` over pieces of the batch.

        Where the network :attr:`cuts_batches` and ``x`` takes no gradient, one call does all layers, and the output
        has no ``hidden``. Forward and backward of a piece are then done before the next one, and memory does not grow
        with T or the batch, if ``x`` is binary or the same at every step. Else the batch is one piece.
        """
        activity = self._entrance(x)
        if torch.is_grad_enabled() and (pairs := self._dense_layers):
            entering = activity
            for layer in self.layers:
                if not isinstance(layer, Flatten):
                    break
                entering = layer(entering)
            source = _source(entering)
            if source is not None:
                run = _run_of(pairs, entering)
                neurons = sum(layer.weight.shape[1] for layer in run if layer.fires)
                size = piece_size(entering.shape[1], entering.shape[0], neurons)
                return loss_in_pieces(source, run, size, loss_of)
        return loss_of(self(activity), slice(0, activity.shape[1]))

    @property
    def cuts_batches(self) -> bool:
        """Whether :meth:`loss` cuts a batch by itself: dense layers with neurons alone, potentials kept."""
        return bool(self._dense_layers)

    @property
    def _dense_layers(self) -> list[Pair]:
        """All layers behind those that flatten, where kernels run them as one and keep potentials; else empty."""
        if self.recompute or not cpu.loaded():
            return []
        behind = list(itertools.dropwhile(lambda layer: isinstance(layer, Flatten), self.layers))
        pairs = _pairs(behind)
        return pairs if 2 * len(pairs) == len(behind) else []

    def _spiking_run(self, activity: Signal, start: int) -> list[SpikingLayer]:
        """The synapses and neurons from layer ``start`` on that one operation can compute together; none: empty."""
        if not isinstance(activity, Spikes) or not _sparse(activity):
            return []
        return _run_of(_pairs(tuple(self.layers)[start:]), activity)

    def _image_layers(self, activity: Signal, start: int) -> tuple[Spikes, Spikes | None, int] | None:
        """Convolution (of packed spikes), neurons and pool from layer ``start`` on as one operation.

        Returns:
            the spikes, what a pool passes on, and how many layers that were; None where no kernel knows them.
        """
        first = self.layers[start]
        synapse = first if isinstance(first, Conv2d) else None
        at = start if synapse is None else start + 1
        neurons, behind = self.layers[at], self.layers[at + 1] if at + 1 < len(self.layers) else None
        if len(activity.shape) != 5 or not isinstance(neurons, LIF) or not neurons.fused or behind is None:
            return None
        pools = isinstance(behind, MaxPool2d) and behind.size == 2
        beta, threshold = neurons.parameters_for((activity.shape[2] if synapse is None else synapse.out_channels,))
        cells = Neurons(beta, threshold, neurons.config, 2 if pools else 1)
        if synapse is None:
            source = activity.values if isinstance(activity, Constant) else activity
            if not isinstance(source, Tensor) or not cpu.serves(source):
                return None
            assert not isinstance(activity, Spikes)
            fired = lif_pool(activity, cells)
        elif isinstance(activity, Spikes) and gathers(activity, synapse.kernel, synapse.padding, synapse.stride):
            weight = synapse.scaled(activity)
            fired = conv_lif(activity, weight, synapse.bias, synapse.padding, cells, self.recompute)
        else:
            return None
        return fired[0], fired[1], at + 1 - start + pools

    def trace(self, x: Tensor | Spikes) -> list[tuple[Tensor, Tensor]]:
        """Spikes and potentials ``[T, B, ...]`` of every spiking layer, without gradient."""
        found: list[tuple[Tensor, Tensor]] = []

        def seen(_: nn.Module, __: Signal, spikes: Spikes | None, potential: Tensor | None) -> None:
            if potential is not None:
                found.append((torch.zeros_like(potential) if spikes is None else spikes.dense(), potential))

        with torch.no_grad():
            in_a_row(self.layers, self._entrance(x), seen)
        return found

    def operations(self, x: Tensor | Spikes) -> Operations:
        """Count the synaptic operations that ``x`` causes, by running it: one for each active input and connection.

        An analogue input costs a MAC for each nonzero value and synapse, once where it is constant in time;
        a spike costs an AC for each synapse it reaches. Identity shortcuts and the products of attention are counted on
        the program alone.
        """
        activity, counted = self._entrance(x), {True: 0.0, False: 0.0}

        def seen(layer: nn.Module, given: Signal, spikes: Spikes | None, _: Tensor | None) -> None:
            if isinstance(layer, Linear | Conv2d | DelayedLinear):
                counted[isinstance(given, Spikes)] += _reached(given, layer)
            elif isinstance(layer, RecurrentLIF) and spikes is not None:
                counted[True] += _reached(Spikes.of(spikes.dense()[:-1]), layer.feedback)

        with torch.no_grad():
            in_a_row(self.layers, activity, seen)
        batch = activity.shape[1]
        return Operations(counted[False] / batch, counted[True] / batch)

    @staticmethod
    def _entrance(x: Tensor | Spikes | Constant) -> Signal:
        if isinstance(x, Spikes | Constant):
            return x
        if constant_in_time(x):
            return Constant(x[0], x.shape[0])
        if x.requires_grad:
            return x
        packed = pack(x)
        if packed is not None:
            return packed
        if x.is_cuda or cpu.serves(x):
            return x
        return Spikes.of(x) if bool(((x == 0) | (x == 1)).all()) else x


Pair = tuple[Linear, LIF | LeakyIntegrator]


def _pairs(layers: Sequence[nn.Module]) -> list[Pair]:
    """Synapses and the neurons behind them from the first layer on, as far as one operation knows them."""
    found: list[Pair] = []
    for i in range(0, len(layers) - 1, 2):
        synapse, neurons = layers[i], layers[i + 1]
        may = (LIF, LeakyIntegrator) if i + 2 == len(layers) else LIF
        if not isinstance(synapse, Linear) or not isinstance(neurons, may) or not neurons.fused:
            break
        found.append((synapse, neurons))
    return found


def _run_of(pairs: Sequence[Pair], activity: Signal) -> list[SpikingLayer]:
    """The tensors of layers in a row, of which the first one sees ``activity``."""
    run: list[SpikingLayer] = []
    for synapse, neurons in pairs:
        weight = synapse.weight if run or not isinstance(activity, Spikes) else synapse.scaled(activity)
        beta, threshold = neurons.shared_parameters()
        run.append(SpikingLayer(weight, synapse.bias, beta, threshold, neurons.config, isinstance(neurons, LIF)))
    return run


def _sparse(spikes: Spikes) -> bool:
    """Whether it is faster to gather them than to multiply."""
    return spikes.bits is not None and spikes.density <= DENSE_ABOVE


def _source(activity: Signal) -> Source | None:
    """What one call through all layers reads; None where it cannot, or where a gradient must come back."""
    if isinstance(activity, Spikes):
        takes_gradient = activity.edge is not None and activity.edge.requires_grad
        return activity.bits if _sparse(activity) and not takes_gradient else None
    values = activity.values if isinstance(activity, Constant) else activity
    return activity if cpu.serves(values) and not values.requires_grad else None


def piece_size(batch: int, timesteps: int, neurons: int) -> int:
    """Samples of a piece, of about as many as the others, whose potentials stay under MICRO_BATCH_BYTES."""
    most = max(1, MICRO_BATCH_BYTES // (4 * timesteps * max(1, neurons)))
    return -(-batch // max(1, -(-batch // most)))


def _reached(activity: Signal, layer: Linear | Conv2d | DelayedLinear) -> float:
    if isinstance(activity, Constant):
        values = activity.values[None]
    else:
        values = activity.dense() if isinstance(activity, Spikes) else activity
    active = values.ne(0).float()
    connections = layer.connections().to(active.dtype)
    if not isinstance(layer, Conv2d):
        return float(active.flatten(0, -2).sum(0, dtype=torch.float64) @ connections.double())
    taps = connections.permute(2, 0, 1)[None]
    reached = nn.functional.conv2d(active.flatten(0, 1), taps, stride=layer.stride, padding=layer.padding)
    return float(reached.sum(dtype=torch.float64))
