"""Reward-modulated STDP: the rule's changes wait in eligibility traces until a reward says whether they were good.

In every step of a presentation the rule's change goes to the eligibility e instead of the weight, and at its end the
reward R, less the running mean of rewards, lets it through::

    e[i, j] = e[i, j] exp(-1/tau) + (change of w[i, j] by the rule of leanspike.plasticity.reference)
    w       = clip(w + rate (R - mean) e, lowest, highest);   mean += (R - mean) / memory

e is 0 at a presentation's start. Samples come one at a time. With a constant reward nothing is learned but the mean:
what teaches is the covariance of reward and activity. In NumPy: an option for small tasks.

R-STDP with a reward baseline: Frémaux & Gerstner, Neuromodulated spike-timing-dependent plasticity, and theory of
three-factor learning rules, Front. Neural Circuits 9:85, 2016; Florian, Neural Computation 19:1468, 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from leanspike.core.records import require
from leanspike.plasticity.config import NeuronConfig, RuleConfig
from leanspike.plasticity.reference import U16, Floats, Ints, Learned, Presentation, Step, changed, leak, present_batch

Judge = Callable[[int, Ints], float]
"""The reward of a sample, by its place in the list and the spikes ``[neurons]`` it brought."""


@dataclass(frozen=True)
class RewardConfig:
    """How a reward acts.

    Attributes:
        rate: weight change for a unit of reward above the mean and of eligibility.
        tau: time constant of the eligibility, steps.
        memory: presentations over which the mean reward is taken.
    """

    rate: float = 1.0
    tau: float = 100.0
    memory: float = 20.0

    def __post_init__(self) -> None:
        for name in ("rate", "tau"):
            require(getattr(self, name) > 0, f"reward.{name}", getattr(self, name), "a number above 0")
        require(self.memory >= 1, "reward.memory", self.memory, "a number from 1 up")


@dataclass(frozen=True, eq=False)
class Rewarded:
    """What is learned, the running mean of the rewards, and every sample's reward ``[N]``."""

    learned: Learned
    mean: float
    rewards: npt.NDArray[np.float64]


def present(
    neuron: NeuronConfig,
    rule: RuleConfig,
    reward: RewardConfig,
    shown: Presentation,
    learned: Learned,
    thresholds: U16,
    numbers: Ints,
    judge: Judge,
    mean: float = 0.0,
) -> Rewarded:
    """Show samples one by one, each followed by its reward.

    Args:
        thresholds: ``[N, inputs]`` firing thresholds on 16-bit draws.
        numbers: ``[N]`` the samples' numbers: stream of their random draws.
        judge: the reward of a sample.
        mean: of the rewards so far.
    """
    lowest, highest = np.float32(rule.lowest), np.float32(rule.highest)
    one_by_one, rewards = replace(shown, batch=1, learn=True), np.zeros(len(numbers))
    for n in range(len(numbers)):
        waiting = _Eligibility(rule, leak(reward.tau), np.zeros_like(learned.weights))
        part = slice(n, n + 1)
        after, counts = present_batch(
            neuron, rule, one_by_one, learned, thresholds[part], numbers[part], waiting.update
        )
        rewards[n] = judge(n, counts[0])
        push = np.float32(reward.rate * (rewards[n] - mean))
        mean += (rewards[n] - mean) / reward.memory
        learned = Learned(np.clip(learned.weights + push * waiting.trace, lowest, highest), after.theta)
    return Rewarded(learned, mean, rewards)


@dataclass
class _Eligibility:
    rule: RuleConfig
    leak: np.float32
    trace: Floats

    def update(self, weights: Floats, step: Step) -> Floats:
        """Take the rule's change, and leave the weights."""
        self.trace = self.trace * self.leak + (changed(self.rule, weights, step) - weights)
        return weights
