"""The pass that turns a trained network into one of integers.

    fold norms  ->  synapses with integer weights, scales by least squares  ->  neurons of integers, codecs calibrated

Every hidden layer's potentials take the codec; what a membrane readout reads keeps its width: there are as many of
those as classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from leanspike.compress.adaptation import decay_of, fraction_of
from leanspike.compress.config import CompressConfig
from leanspike.compress.fold import fold_norms
from leanspike.compress.membrane import RANGES, MembraneBits, best_shift
from leanspike.compress.neurons import QuantisedIntegrator, QuantisedLIF
from leanspike.compress.synapses import LEAK_BITS, STATE, QuantisedSynapse, quantised_synapse
from leanspike.core.errors import ConfigError
from leanspike.core.rng import derive
from leanspike.data import Split, TrainingData, split
from leanspike.ir import Codec
from leanspike.nn import LIF, AvgPool2d, Conv2d, DelayedLinear, Junction, LeakyIntegrator, Linear, Network, RecurrentLIF
from leanspike.nn.kernels.adaptive import thresholds
from leanspike.train import RunConfig
from leanspike.train.batches import Draw, Samples
from leanspike.train.coding import coded

LEVELS = 255
"""The raw integer that stands for 1.0 where a sample's values enter as they are."""
CALIBRATION_SAMPLES = 128
_VALUES = 1 << 18


def quantise(network: Network, config: CompressConfig, run: RunConfig, data: TrainingData | None) -> Network:
    """The network in integers where the configuration asks for it; see :data:`leanspike.compress.run.Pass`.

    Raises:
        ConfigError: a norm that cannot be folded, or a layer that integers do not express.
    """
    if not config.quantises:
        return network
    for place, layer in enumerate(network.layers):
        if isinstance(layer, Junction | RecurrentLIF):
            what = f"a {type(layer).__name__} holds synapses of its own, which are not quantised"
            raise ConfigError(what, where=f"layer {place}", remedy="prune it, and lower it with lower.weight_bits")
        if isinstance(layer, DelayedLinear):
            remedy = "lower the run as it is: lower.weight_bits quantises it after training"
            raise ConfigError("its synapses have delays, which is not quantised", where=f"layer {place}", remedy=remedy)
    folded = fold_norms(network)
    carried = _carried(folded, run, data) if data is not None and config.membrane.bits else {}
    layers: list[nn.Module] = list(folded.layers)
    unit_in = run.encoder.gain / LEVELS if run.encoder.kind in ("direct", "current") else 1.0
    start = 0
    for at, end in stage_places(folded):
        synapse, neurons = folded.layers[at], folded.layers[end]
        for pool in (layer for layer in layers[start:at] if isinstance(layer, AvgPool2d)):
            unit_in /= pool.size**2
        assert isinstance(synapse, Linear | Conv2d)
        common = end == len(layers) - 1 and isinstance(neurons, LeakyIntegrator)
        if config.weights.bits or not isinstance(synapse, QuantisedSynapse):
            largest = _largest(synapse, neurons)
            synapse = layers[at] = quantised_synapse(synapse, config.weights, unit_in, common, largest)
        if isinstance(neurons, LeakyIntegrator):
            layers[end] = QuantisedIntegrator(neurons)
        elif isinstance(neurons, LIF) and (config.membrane.bits or not isinstance(neurons, QuantisedLIF)):
            assert isinstance(synapse, QuantisedSynapse)
            layers[end] = _neurons(neurons, synapse, config.membrane, carried.get(end))
        start, unit_in = end, 1.0
    return Network(layers, folded.readout, folded.recompute)


def stage_places(network: Network) -> Iterator[tuple[int, int]]:
    """Places of every synapse and of the neurons behind it."""
    at = None
    for place, layer in enumerate(network.layers):
        if isinstance(layer, Linear | Conv2d):
            at = place
        elif isinstance(layer, LIF | LeakyIntegrator):
            if at is None:
                raise ConfigError("neurons need a synapse before them", where=f"layer {place}")
            yield at, place
            at = None


def _largest(synapse: Linear | Conv2d, neurons: nn.Module) -> float:
    """The largest bias, threshold or reset of a stage."""
    values: list[Tensor] = [torch.zeros(1)] if synapse.bias is None else [synapse.bias]
    if isinstance(neurons, LIF):
        values.append(neurons.parameters_for((neurons.channels,))[1])
        values += [] if neurons.reset_by is None else [neurons.reset_by]
    return max(float(value.detach().abs().max()) for value in values)


def _neurons(neurons: LIF, synapse: QuantisedSynapse, config: MembraneBits, carried: Tensor | None) -> QuantisedLIF:
    fraction = _fraction(neurons, synapse)
    if not config.bits:
        return QuantisedLIF(neurons, None, config.gradient, fraction)
    lowest, highest = RANGES[config.bits]
    most = STATE.bits - 1 - (-lowest).bit_length()
    shift = 0
    if carried is not None:
        with torch.no_grad():
            unit = synapse.integers()[1].double()
            threshold = neurons.parameters_for((neurons.channels,))[1].double()
        theta = (threshold / unit).round().clamp(min=1).long()
        shift = best_shift((carried / unit).round().long(), theta, lowest, highest, most)
    return QuantisedLIF(neurons, Codec(lowest, highest, shift), config.gradient, fraction)


@torch.no_grad()
def _fraction(neurons: LIF, synapse: QuantisedSynapse) -> int:
    """Bits behind the point of an adaptation, where thresholds adapt."""
    if not neurons.config.adapts:
        return 0
    rise = neurons.config.adapt_strength / synapse.integers()[1].double()
    decay = decay_of(neurons.config.adapt_decay, LEAK_BITS)
    return fraction_of(float(rise.min()), float(rise.max()), decay, LEAK_BITS)


@torch.no_grad()
def _carried(network: Network, run: RunConfig, data: TrainingData) -> dict[int, Tensor]:
    """Float potentials ``[N, C]`` that the hidden layers carry on, by place, on a few training samples."""
    training, _ = split(data, run.train.validation, run.seed)
    few = slice(0, CALIBRATION_SAMPLES)
    chosen = Samples.of(Split(training.x[few], training.y[few], training.numbers[few]), _device(network))
    mode = network.training
    network.eval()
    x = coded(chosen.x, chosen.numbers, network, run, derive(run.seed, Draw.ENCODE_EVALUATION))
    traced = network.trace(x)
    network.train(mode)
    found = {}
    for (_, end), (spikes, potential) in zip(stage_places(network), traced, strict=True):
        neurons = network.layers[end]
        if isinstance(neurons, LIF):
            found[end] = _after_reset(neurons, spikes.double(), potential.double())
    return found


def _after_reset(neurons: LIF, spikes: Tensor, potential: Tensor) -> Tensor:
    if neurons.config.adapts and neurons.config.reset == "subtract" and neurons.reset_by is None:
        across = neurons.parameters_for((neurons.channels,))[1].double().view(-1, *[1] * (spikes.dim() - 3))
        potential = potential - spikes * (
            thresholds(spikes, torch.zeros_like(spikes[0]), across, neurons.config) - across
        )
    last = potential.movedim(2, -1).flatten(0, -2)
    fired = spikes.movedim(2, -1).flatten(0, -2)
    thinned = slice(None, None, max(1, last.numel() // _VALUES))
    last, fired = last[thinned], fired[thinned]
    if neurons.config.reset == "zero":
        return last * (1 - fired)
    amount = neurons.parameters_for((neurons.channels,))[1] if neurons.reset_by is None else neurons.reset_by
    return last - fired * amount.double()


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
