"""What a plastic network is: neurons, rule, presentation; frozen, with the ranges checked.

Potentials are in mV above rest, times in steps (a step is 0.5 ms in Diehl & Cook's network), rates in spikes a step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from leanspike.core.records import require

RuleKind = Literal["pair", "triplet"]
Bounds = Literal["additive", "multiplicative"]
Traces = Literal["nearest", "all"]
Winner = Literal["one", "all"]
Readout = Literal["assigned", "mean", "proportion"]
MOST_STEPS = 65536
_POSITIVE = "a number above 0"
_FROM_ZERO = "a number from 0 up"


@dataclass(frozen=True)
class NeuronConfig:
    """Excitatory neurons with adaptive thresholds and lateral inhibition.

    Attributes:
        threshold: above rest, before adaptation.
        reset: potential right after a spike; a network is lowered with 0 only.
        tau: membrane time constant, steps.
        refractory: steps without integration after a spike.
        theta_plus: what a spike adds to the neuron's own threshold.
        theta_tau: time constant with which that falls, steps of learning.
        inhibition: what a spike takes from every other neuron in the step after.
        winner: ``one``: of the neurons that cross their threshold in one step, one drawn at random sends a spike, and
            all are reset; ``all``: each of them does.
    """

    threshold: float = 13.0
    reset: float = 0.0
    tau: float = 100.0
    refractory: int = 2
    theta_plus: float = 0.2
    theta_tau: float = 5e5
    inhibition: float = 120.0
    winner: Winner = "one"

    def __post_init__(self) -> None:
        for name in ("threshold", "tau", "theta_tau"):
            require(getattr(self, name) > 0, f"neuron.{name}", getattr(self, name), _POSITIVE)
        for name in ("theta_plus", "inhibition"):
            require(getattr(self, name) >= 0, f"neuron.{name}", getattr(self, name), _FROM_ZERO)
        require(self.reset < self.threshold, "neuron.reset", self.reset, "a potential below neuron.threshold")
        require(0 <= self.refractory <= 10_000, "neuron.refractory", self.refractory, "0 to 10000 steps")


@dataclass(frozen=True)
class RuleConfig:
    """The plasticity rule; :mod:`leanspike.plasticity.reference` has the equations.

    Attributes:
        kind: ``pair``: amplitudes (1, 0, 1, 0); ``triplet``: those of the four fields below.
        traces: ``nearest``: a spike sets its trace to 1; ``all``: it adds 1.
        bounds: ``additive``: changes do not depend on the weight; ``multiplicative``: up in proportion to
            ``highest - w``, down to ``w - lowest``. Weights are clipped to [lowest, highest] either way.
        rate_pre, rate_post: learning rates of depression (at input spikes) and potentiation (at output spikes).
        target: what is taken from the input trace at an output spike: inputs silent of late are weakened.
        tau_pre, tau_post, tau_pre_slow, tau_post_slow: time constants of the traces, steps.
        pair_up, triplet_up, pair_down, triplet_down: A2+, A3+, A2-, A3- of Pfister & Gerstner.
        mean_weight: of a neuron's weights, restored after every batch; 0: left alone.
    """

    kind: RuleKind = "pair"
    traces: Traces = "nearest"
    bounds: Bounds = "additive"
    rate_pre: float = 1e-4
    rate_post: float = 2e-2
    target: float = 0.0
    tau_pre: float = 4.0
    tau_post: float = 8.0
    tau_pre_slow: float = 40.0
    tau_post_slow: float = 40.0
    pair_up: float = 0.0
    triplet_up: float = 1.0
    pair_down: float = 1.0
    triplet_down: float = 0.0
    lowest: float = 0.0
    highest: float = 1.0
    mean_weight: float = 0.1

    def __post_init__(self) -> None:
        for name in ("tau_pre", "tau_post", "tau_pre_slow", "tau_post_slow"):
            require(getattr(self, name) > 0, f"rule.{name}", getattr(self, name), _POSITIVE)
        names = ("rate_pre", "rate_post", "target", "pair_up", "triplet_up", "pair_down", "triplet_down", "mean_weight")
        for name in names:
            require(getattr(self, name) >= 0, f"rule.{name}", getattr(self, name), _FROM_ZERO)
        require(0 <= self.lowest < self.highest, "rule.lowest", self.lowest, "0 up to, not including, rule.highest")


@dataclass(frozen=True)
class StdpConfig:
    """An unsupervised run.

    Attributes:
        dataset: a known name or a path of images or vectors.
        neurons: excitatory neurons.
        passes: over the training samples.
        steps: steps of one presentation.
        rate: probability that an input of value 1 fires in a step.
        batch: samples presented together; their weight changes are summed in every step.
        samples: training samples a pass, the first of its order; 0: all.
        cooling: factor on both learning rates after each pass.
        validation: share of the training set that neither teaches nor labels: it chooses settings, the test set never.
        label_samples: training samples whose spikes label the neurons, the first of a further order; 0: all.
        readout: how spikes become a class; see :mod:`leanspike.plasticity.labels`.
        initial: weights start uniform between 0 and this, then normalised.
    """

    dataset: str = "mnist"
    neurons: int = 400
    passes: int = 1
    steps: int = 100
    rate: float = 0.2
    batch: int = 1
    seed: int = 0
    samples: int = 0
    cooling: float = 1.0
    validation: float = 0.0
    label_samples: int = 0
    readout: Readout = "mean"
    initial: float = 0.3
    neuron: NeuronConfig = field(default_factory=NeuronConfig)
    rule: RuleConfig = field(default_factory=RuleConfig)

    def __post_init__(self) -> None:
        require(1 <= self.neurons <= 65536, "neurons", self.neurons, "1 to 65536")
        require(1 <= self.steps <= MOST_STEPS, "steps", self.steps, f"1 to {MOST_STEPS}")
        require(1 <= self.batch <= 4096, "batch", self.batch, "1 to 4096")
        require(0 < self.rate <= 1, "rate", self.rate, "a probability above 0, at most 1")
        require(self.initial > 0, "initial", self.initial, _POSITIVE)
        require(0 < self.cooling <= 1, "cooling", self.cooling, "above 0, at most 1")
        require(0 <= self.validation < 1, "validation", self.validation, "a fraction from 0 up to, not including, 1")
        for name in ("passes", "samples", "label_samples"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "a whole number from 0 up")
