"""A network is a list of layers that run over all T steps at once; a layer may be a junction, which holds lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
        neurons = max(1, sum(layer.channels for layer in self.neurons if isinstance(layer, LIF)))
        most = max(1, MICRO_BATCH_BYTES // (4 * timesteps * neurons))
        pieces = -(-batch // most)
        return -(-batch // pieces)

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
        if torch.is_grad_enabled() and self.cuts_batches:
            source: Signal = activity
            for layer in tuple(self.layers)[: self._first]:
                source = layer(source)
            if run := self._trained_at_once(source):
                found = source.bits if isinstance(source, Spikes) else source
                assert found is not None
                return loss_in_pieces(found, run, self.micro_batch(source.shape[1], source.shape[0]), loss_of)
        return loss_of(self(activity), slice(0, activity.shape[1]))

    @property
    def cuts_batches(self) -> bool:
        """Whether :meth:`loss` cuts a batch by itself: dense layers with neurons alone, potentials kept."""
        layers, first = tuple(self.layers), self._first
        run = sum(1 for _ in _pairs(layers[first:]))
        return cpu.loaded() and not self.recompute and first + 2 * run == len(layers)

    @property
    def _first(self) -> int:
        """The first layer that does more than to flatten."""
        return next(i for i, layer in enumerate(self.layers) if not isinstance(layer, Flatten))

    def _trained_at_once(self, source: Signal) -> list[SpikingLayer]:
        """All layers behind those that flatten, where one call can find their gradients from ``source``; else empty."""
        if isinstance(source, Spikes):
            takes_gradient = source.edge is not None and source.edge.requires_grad
            return [] if takes_gradient else self._spiking_run(source, self._first)
        values = source.values if isinstance(source, Constant) else source
        return [] if values.requires_grad or not cpu.serves(values) else self._run_of(self._first, None)

    def _spiking_run(self, activity: Signal, start: int) -> list[SpikingLayer]:
        """The synapses and neurons from layer ``start`` on that one operation can compute together; none: empty."""
        if not isinstance(activity, Spikes) or activity.bits is None or activity.density > DENSE_ABOVE:
            return []
        return self._run_of(start, activity)

    def _run_of(self, start: int, activity: Spikes | None) -> list[SpikingLayer]:
        run: list[SpikingLayer] = []
        for synapse, neurons in _pairs(tuple(self.layers)[start:]):
            weight = synapse.weight if run or activity is None else synapse.scaled(activity)
            beta, threshold = neurons.parameters_for((synapse.out_features,))
            fires = isinstance(neurons, LIF)
            run.append(SpikingLayer(weight, synapse.bias, beta, threshold, neurons.config, fires))
        return run

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


def _pairs(layers: Sequence[nn.Module]) -> Iterator[tuple[Linear, LIF | LeakyIntegrator]]:
    """Synapses and the neurons behind them from the first layer on, as far as one operation knows them."""
    for i in range(0, len(layers) - 1, 2):
        synapse, neurons = layers[i], layers[i + 1]
        may = LIF | LeakyIntegrator if i + 2 == len(layers) else LIF
        if not isinstance(synapse, Linear) or not isinstance(neurons, may) or not neurons.fused:
            return
        yield synapse, neurons


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
