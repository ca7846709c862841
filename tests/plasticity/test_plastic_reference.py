"""The definition does what the papers say, on cases that can be worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from leanspike.core.errors import ConfigError
from leanspike.plasticity import Learned, NeuronConfig, Presentation, RuleConfig
from leanspike.plasticity.reference import Step, changed, normalised, present

ALWAYS = 65535
ONE = np.array([0])


def step(inputs: list[int], spikes: list[int], **traces: list[float]) -> Step:
    given = {name: np.array([traces.get(name, [0.0])], dtype=np.float32) for name in ("p", "p_slow", "q", "q_slow")}
    return Step(np.array([inputs], dtype=bool), np.array([spikes], dtype=bool), **given)


@pytest.mark.parametrize("gap", [1, 5, 20])
def test_a_pair_of_spikes_changes_the_weight_by_the_exponential_window(gap: int) -> None:
    rule = RuleConfig(rate_pre=0.1, rate_post=0.2, tau_pre=10.0, tau_post=20.0)
    weights = np.full((1, 1), 0.5, dtype=np.float32)
    potentiated = changed(rule, weights, step([0], [1], p=[math.exp(-gap / 10)]))
    depressed = changed(rule, weights, step([1], [0], q=[math.exp(-gap / 20)]))
    assert potentiated[0, 0] == pytest.approx(0.5 + 0.2 * math.exp(-gap / 10), rel=1e-6)
    assert depressed[0, 0] == pytest.approx(0.5 - 0.1 * math.exp(-gap / 20), rel=1e-6)


def test_multiplicative_bounds_slow_a_weight_that_comes_near_one() -> None:
    rule = RuleConfig(rate_pre=0.1, rate_post=0.1, bounds="multiplicative")
    high = np.full((1, 1), 0.9, dtype=np.float32)
    up = changed(rule, high, step([0], [1], p=[1.0]))[0, 0] - 0.9
    down = 0.9 - changed(rule, high, step([1], [0], q=[1.0]))[0, 0]
    assert up == pytest.approx(0.1 * 0.1, rel=1e-4)
    assert down == pytest.approx(0.1 * 0.9, rel=1e-4)


def test_triplets_need_an_earlier_output_spike_to_potentiate() -> None:
    rule = RuleConfig(kind="triplet", rate_post=0.1, pair_up=0.0, triplet_up=2.0)
    weights = np.full((1, 1), 0.5, dtype=np.float32)
    assert changed(rule, weights, step([0], [1], p=[1.0], q_slow=[0.0]))[0, 0] == 0.5
    second = changed(rule, weights, step([0], [1], p=[1.0], q_slow=[0.25]))[0, 0]
    assert second == pytest.approx(0.5 + 0.1 * 2.0 * 0.25, rel=1e-6)


def test_a_target_weakens_inputs_that_were_silent() -> None:
    rule = RuleConfig(rate_post=0.1, target=0.4)
    weights = np.full((2, 1), 0.5, dtype=np.float32)
    found = changed(rule, weights, step([0, 0], [1], p=[1.0, 0.0], p_slow=[0.0, 0.0]))
    assert found[:, 0] == pytest.approx([0.56, 0.46], rel=1e-5)


def potentials(neuron: NeuronConfig, weight: float, steps: int) -> int:
    """Spikes of one neuron whose input fires in every step."""
    learned = Learned(np.full((1, 1), weight, dtype=np.float32), np.zeros(1, dtype=np.float32))
    rule, given = RuleConfig(mean_weight=0.0), np.array([[ALWAYS]], dtype=np.uint16)
    return int(present(neuron, rule, Presentation(steps, learn=False), learned, given, ONE)[1].sum())


def test_a_driven_neuron_fires_when_the_closed_form_says_and_waits_its_refractory_steps() -> None:
    neuron = NeuronConfig(threshold=3.5, tau=20.0, refractory=3)
    a = math.exp(-1 / 20)
    first = next(n for n in range(1, 99) if (1 - a**n) / (1 - a) >= 3.5)
    assert potentials(neuron, 1.0, first - 1) == 0
    assert potentials(neuron, 1.0, first) == 1
    assert potentials(neuron, 1.0, 2 * first + 2) == 1
    assert potentials(neuron, 1.0, 2 * first + 3) == 2


def test_thresholds_rise_with_every_spike_and_fall_slowly() -> None:
    neuron = NeuronConfig(threshold=0.5, theta_plus=1.0, theta_tau=50.0, refractory=0)
    learned = Learned(np.ones((1, 1), dtype=np.float32), np.zeros(1, dtype=np.float32))
    rule, given = RuleConfig(rate_pre=0.0, rate_post=0.0, mean_weight=0.0), np.array([[ALWAYS]], dtype=np.uint16)
    after, counts = present(neuron, rule, Presentation(1), learned, given, ONE)
    assert counts.sum() == 1
    assert after.theta[0] == 1.0
    silent, _ = present(neuron, rule, Presentation(10), after, np.zeros_like(given), ONE)
    assert silent.theta[0] == pytest.approx(math.exp(-10 / 50), rel=1e-5)


def test_a_spike_inhibits_the_others_in_the_step_after_and_one_winner_is_drawn() -> None:
    learned = Learned(np.ones((1, 5), dtype=np.float32), np.zeros(5, dtype=np.float32))
    rule, given = RuleConfig(mean_weight=0.0), np.full((200, 1), ALWAYS, dtype=np.uint16)
    numbers = np.arange(200)
    alike = NeuronConfig(threshold=0.5, inhibition=100.0, refractory=0)
    _, counts = present(alike, rule, Presentation(2, learn=False), learned, given, numbers)
    assert set(counts.sum(axis=1).tolist()) == {2}, "the winner of the first step fires alone in the second"
    assert set(np.unique(counts)) == {0, 2}
    winners = np.bincount(counts.argmax(axis=1), minlength=5)
    assert winners.min() > 20, "each of five in about 40 of 200 draws"
    everyone = NeuronConfig(threshold=0.5, inhibition=100.0, refractory=0, winner="all")
    _, counts = present(everyone, rule, Presentation(2, learn=False), learned, given, numbers)
    assert (counts == 1).all(), "all fire, and all are inhibited by the four others"


def test_normalisation_keeps_the_mean_of_chosen_neurons_and_zeros() -> None:
    weights = np.array([[0.1, 0.2, 0.0], [0.3, 0.4, 0.0]], dtype=np.float32)
    found = normalised(weights, 0.5, np.array([True, False, True]))
    assert found[:, 0] == pytest.approx([0.25, 0.75])
    assert found[:, 1:].tolist() == weights[:, 1:].tolist()


@pytest.mark.parametrize(
    ("kind", "setting"),
    [
        (NeuronConfig, {"tau": 0.0}),
        (NeuronConfig, {"reset": 13.0}),
        (NeuronConfig, {"refractory": -1}),
        (RuleConfig, {"rate_post": -0.1}),
        (RuleConfig, {"lowest": 1.0}),
    ],
)
def test_settings_out_of_range_are_told_by_their_key(kind: type, setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(setting))):
        kind(**setting)
