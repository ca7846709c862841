"""Reward decides which neuron answers to which pattern: the same inputs, opposite rewards, opposite answers."""

from __future__ import annotations

import numpy as np
import pytest

from leanspike.plasticity import Learned, NeuronConfig, Presentation, RuleConfig, reward
from leanspike.plasticity.reward import RewardConfig

NEURON = NeuronConfig(threshold=4.0, tau=20.0, refractory=2, theta_plus=0.0, inhibition=4.0)
RULE = RuleConfig(rate_pre=0.0, rate_post=0.02, tau_pre=10.0, tau_post=10.0, mean_weight=0.0)
SAMPLES = 250


def learn(wanted: tuple[int, int] | None, seed: int, mean: float = 0.0) -> reward.Rewarded:
    """Two patterns of ten inputs each and two neurons; a reward of 1 where neuron ``wanted[pattern]`` fires more."""
    draw = np.random.default_rng(seed)
    patterns = draw.integers(0, 2, SAMPLES)
    rates = np.where((np.arange(20) < 10) == (patterns[:, None] == 0), 0.25, 0.03)
    weights = np.full((20, 2), 0.5, dtype=np.float32) + draw.uniform(-0.05, 0.05, (20, 2)).astype(np.float32)

    def judge(n: int, spikes: np.ndarray) -> float:
        if wanted is None:
            return 1.0
        right = wanted[patterns[n]]
        return float(np.sign(spikes[right] - spikes[1 - right]))

    thresholds = np.floor(65535 * rates).astype(np.uint16)
    learned = Learned(weights, np.zeros(2, dtype=np.float32))
    config = RewardConfig(rate=1.0, tau=50.0)
    numbers = np.arange(SAMPLES)
    return reward.present(NEURON, RULE, config, Presentation(60), learned, thresholds, numbers, judge, mean)


@pytest.mark.parametrize("wanted", [(0, 1), (1, 0)])
def test_what_is_rewarded_is_what_is_learned(wanted: tuple[int, int]) -> None:
    found = learn(wanted, 0)
    means = found.learned.weights.reshape(2, 10, 2).mean(axis=1)
    assert (found.rewards[-60:] > 0).mean() >= 0.75
    assert tuple(means.argmax(axis=1)) == wanted


def test_an_expected_reward_teaches_nothing() -> None:
    surprised, expected = learn(None, 0), learn(None, 0, mean=1.0)
    assert surprised.mean == pytest.approx(1.0, abs=1e-3)
    assert not np.array_equal(surprised.learned.weights, expected.learned.weights)
    assert len(np.unique(expected.learned.weights)) == 40, "as drawn: 40 different weights"
    assert abs(expected.learned.weights - 0.5).max() <= 0.05
