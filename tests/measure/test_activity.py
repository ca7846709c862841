"""Spike counts, rates and operations, against counting one spike and one synapse at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import DataError
from leanspike.measure import activity


@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.integers(0, 2**31))
def test_counts_equal_a_walk_over_every_synapse(steps: int, samples: int, hidden: int, out: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    first = random.integers(0, 2, (steps, samples, hidden), dtype=np.uint8)
    second = random.integers(0, 2, (steps, samples, out), dtype=np.uint8)
    layers = [
        activity.layer_activity("hidden", first, fan_out=out),
        activity.layer_activity("output", second),
    ]
    operations = spikes = silent = 0
    for t in range(steps):
        for sample in range(samples):
            for neuron in range(hidden):
                for _ in range(out):
                    operations += int(first[t, sample, neuron])
            both = (*first[t, sample], *second[t, sample])
            spikes += sum(map(int, both))
            silent += sum(value == 0 for value in both)
    assert activity.synaptic_operations(layers) == pytest.approx(operations / samples)
    assert activity.spikes_per_sample(layers) == pytest.approx(spikes / samples)
    assert activity.sparsity(layers) == pytest.approx(silent / (steps * samples * (hidden + out)))
    assert activity.firing_rates(layers)["hidden"] == pytest.approx(first.mean())


def test_image_layers_count_every_neuron() -> None:
    layer = activity.layer_activity("conv", np.ones((3, 2, 4, 5, 5), np.uint8), fan_out=9)
    assert (layer.neurons, layer.timesteps, layer.spikes) == (100, 3, 300)
    assert activity.synaptic_operations([layer]) == 2700


def test_impossible_activity_is_refused() -> None:
    with pytest.raises(DataError, match="layer a"):
        activity.LayerActivity("a", neurons=10, timesteps=2, spikes=21)
    with pytest.raises(DataError, match="at least one"):
        activity.sparsity([])
    with pytest.raises(DataError, match=r"\[T, N"):
        activity.layer_activity("a", np.ones((3, 2)))
