"""What a network that has learned says: spikes of the frozen network, labels of its neurons, classes of samples.

Frozen means: weights and thresholds stay, and every neuron that crosses its threshold fires (winner = all), as in the
program that is lowered from it.
"""

from __future__ import annotations

from dataclasses import replace

from leanspike.data import Split
from leanspike.plasticity import encoding, kernel
from leanspike.plasticity.config import NeuronConfig, StdpConfig
from leanspike.plasticity.labels import Ints, Labels, assign
from leanspike.plasticity.reference import Learned, Presentation


def frozen(config: StdpConfig) -> NeuronConfig:
    """The neurons of the network that does not learn."""
    return replace(config.neuron, winner="all")


def spikes(config: StdpConfig, learned: Learned, samples: Split, seed: int, threads: int = 1) -> Ints:
    """Spikes ``[N, neurons]`` for samples; ``seed`` is that of the input spikes."""
    shown = Presentation(config.steps, 1, seed, learn=False)
    given = encoding.thresholds(encoding.raw(samples.x), config.rate)
    _, counts = kernel.present(frozen(config), config.rule, shown, learned, given, samples.numbers, threads=threads)
    return counts


def label(config: StdpConfig, learned: Learned, teaching: Split, classes: int, threads: int = 1) -> Labels:
    """Labels of the neurons by the samples that taught."""
    chosen = encoding.order(config.seed, config.passes, len(teaching))[: config.label_samples or len(teaching)]
    some = Split(teaching.x[chosen], teaching.y[chosen], teaching.numbers[chosen])
    return assign(spikes(config, learned, some, encoding.label_seed(config.seed), threads), some.y, classes)
