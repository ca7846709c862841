"""The C kernel against the definition, on every instruction set of this processor: equal to the last bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from networks import random_case

from leanspike.core.errors import ConfigError
from leanspike.plasticity import kernel, library, reference


@pytest.mark.parametrize("level", library.levels())
def test_the_kernel_equals_the_reference_to_the_last_bit(level: str) -> None:
    fired = learned_something = 0
    for seed in range(40):
        neuron, rule, shown, learned, thresholds, numbers = random_case(seed)
        case = neuron, rule, shown, learned, thresholds, numbers
        expected, expected_counts = reference.present(*case)
        found, counts = kernel.present(*case, level=level)
        assert np.array_equal(counts, expected_counts), seed
        assert np.array_equal(found.weights, expected.weights), seed
        assert np.array_equal(found.theta, expected.theta), seed
        fired += counts.sum() > 0
        learned_something += not np.array_equal(found.weights, learned.weights)
    assert fired > 30
    assert learned_something > 30


def test_without_learning_nothing_changes_and_threads_do_not_matter() -> None:
    for seed in range(10):
        neuron, rule, shown, learned, thresholds, numbers = random_case(seed)
        case = neuron, rule, replace(shown, learn=False), learned, thresholds, numbers
        _, expected = reference.present(*case)
        for threads in (1, 3, 16):
            found, counts = kernel.present(*case, threads=threads)
            assert found is learned
            assert np.array_equal(counts, expected)


def test_a_call_cut_at_a_batch_continues_to_the_same_bits() -> None:
    for seed in range(10):
        neuron, rule, shown, learned, thresholds, numbers = random_case(seed)
        whole, _ = kernel.present(neuron, rule, shown, learned, thresholds, numbers)
        part, _ = kernel.present(neuron, rule, shown, learned, thresholds[: shown.batch], numbers[: shown.batch])
        part, _ = kernel.present(neuron, rule, shown, part, thresholds[shown.batch :], numbers[shown.batch :])
        assert np.array_equal(whole.weights, part.weights)
        assert np.array_equal(whole.theta, part.theta)


def test_the_given_network_is_left_as_it_was() -> None:
    neuron, rule, shown, learned, thresholds, numbers = random_case(3)
    before = learned.weights.copy()
    kernel.present(neuron, rule, shown, learned, thresholds, numbers)
    assert np.array_equal(learned.weights, before)


def test_no_samples_give_no_spikes() -> None:
    neuron, rule, shown, learned, thresholds, numbers = random_case(4)
    found, counts = kernel.present(neuron, rule, shown, learned, thresholds[:0], numbers[:0])
    assert counts.shape == (0, len(learned.theta))
    assert np.array_equal(found.weights, learned.weights)


def test_a_level_that_is_not_there_and_a_wrong_number_of_threads_are_told() -> None:
    case = random_case(0)
    with pytest.raises(ConfigError, match="this processor runs"):
        kernel.present(*case, level="neon")
    with pytest.raises(ConfigError, match="1 to 256"):
        kernel.present(*case, threads=0)
