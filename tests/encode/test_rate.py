"""The rate encoder is core.rng's draws against a threshold, to the last bit, and has the right rates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from leanspike.core import rng
from leanspike.encode import EncoderConfig, decode, encode, rate

RATE = EncoderConfig("rate")
seeds = st.integers(-(2**63), 2**63)


def by_core_rng(thresholds: np.ndarray, numbers: np.ndarray, timesteps: int, seed: int) -> np.ndarray:
    keys = rng.key(seed, numbers, np.arange(timesteps))
    return (rng.draws16(keys, thresholds.shape[1]) < thresholds).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(seeds, st.lists(st.integers(0, 2**40), min_size=1, max_size=5), st.integers(1, 9), st.integers(1, 6), seeds)
def test_equals_core_rng(seed: int, numbers: list[int], inputs: int, timesteps: int, contents: int) -> None:
    generator = np.random.default_rng(abs(contents))
    thresholds = generator.integers(0, 65536, (len(numbers), inputs), dtype=np.int32)
    ours = rate.rate_reference(torch.from_numpy(thresholds), torch.tensor(numbers), timesteps, seed)
    np.testing.assert_array_equal(ours.numpy(), by_core_rng(thresholds, np.array(numbers), timesteps, seed))
    assert ours.shape == (timesteps, len(numbers), inputs)


def test_pure_python_replay_of_one_input() -> None:
    """The few lines that a microcontroller runs, without numpy or torch."""
    mask = 0xFFFFFFFF

    def mix(x: int) -> int:
        x = (x ^ (x >> 16)) * 0x21F0AAAD & mask
        x = (x ^ (x >> 15)) * 0xD35A2D97 & mask
        return x ^ (x >> 15)

    seed, number, pixel, position = 5, 1234, 200, 77
    spikes = encode(torch.full((1, 1, 10, 10), pixel / 255), torch.tensor([number]), RATE, 50, seed)
    for step in range(50):
        word = mix(
            mix(mix(mix(seed + 0x9E3779B9 & mask) + number & mask) + step & mask) + (position // 2) * 0x9E3779B9 & mask
        )
        draw = word >> 16 if position % 2 else word & 0xFFFF
        assert spikes[step, 0, 0, position // 10, position % 10] == float(draw < 257 * pixel)


def test_thresholds_of_bytes_are_257_times_the_byte() -> None:
    values = torch.arange(256, dtype=torch.uint8)
    thresholds = rate.thresholds16(values.to(torch.float32) / 255, 1.0)
    assert thresholds.dtype == torch.int32
    assert thresholds.tolist() == [257 * k for k in range(256)]
    assert rate.thresholds16(torch.tensor([0.7, 1e30]), 2.0).tolist() == [65535, 65535]


@given(st.floats(0, 1, width=32), st.floats(0.01, 4))
def test_probability_within_the_stated_error(x: float, gain: float) -> None:
    threshold = rate.thresholds16(torch.tensor([x]), gain).item()
    assert abs(threshold / 65536 - min(gain * x, 1.0)) <= rate.MAX_ERROR


@pytest.mark.parametrize("value", [0.0, 0.01, 0.25, 0.5, 0.9, 1.0])
def test_counts_lie_within_exact_binomial_bounds(value: float) -> None:
    samples, inputs, timesteps = 50, 40, 100
    spikes = encode(torch.full((samples, inputs), value), torch.arange(samples), RATE, timesteps, seed=11)
    total, trials = int(spikes.sum()), spikes.numel()
    probability = rate.thresholds16(torch.tensor([value]), 1.0).item() / 65536
    low, high = binom.interval(1 - 1e-6, trials, probability)
    assert low <= total <= high
    for axis in (1, 2):
        counts = spikes.sum(dim=(0, axis)).numpy()
        low, high = binom.interval(1 - 1e-7, trials // len(counts), probability)
        assert ((low <= counts) & (counts <= high)).all()


def test_neighbouring_inputs_steps_and_samples_are_uncorrelated() -> None:
    spikes = encode(torch.full((40, 60), 0.5), torch.arange(40), RATE, 60, seed=2)
    for axis in range(3):
        ahead, behind = spikes.narrow(axis, 1, spikes.shape[axis] - 1), spikes.narrow(axis, 0, spikes.shape[axis] - 1)
        agreements = int((ahead == behind).sum())
        low, high = binom.interval(1 - 1e-6, ahead.numel(), 0.5)
        assert low <= agreements <= high


@settings(deadline=None, max_examples=25)
@given(st.permutations(range(6)), st.integers(1, 5), seeds)
def test_a_sample_does_not_see_its_batch(order: list[int], cut: int, seed: int) -> None:
    x, numbers = torch.rand(6, 1, 3, 3, generator=torch.Generator().manual_seed(0)), torch.arange(100, 106)
    whole = encode(x, numbers, RATE, 7, seed)
    shuffled = encode(x[order], numbers[order], RATE, 7, seed)
    assert torch.equal(whole[:, order], shuffled)
    parts = [encode(x[:cut], numbers[:cut], RATE, 7, seed), encode(x[cut:], numbers[cut:], RATE, 7, seed)]
    assert torch.equal(whole, torch.cat(parts, dim=1))
    assert torch.equal(whole[:3], encode(x, numbers, RATE, 3, seed)), "fewer steps are the same first steps"


def test_seed_and_number_decide() -> None:
    x = torch.full((2, 200), 0.5)
    first = encode(x, torch.tensor([1, 2]), RATE, 5, seed=0)
    assert torch.equal(first, encode(x, torch.tensor([1, 2]), RATE, 5, seed=0))
    assert not torch.equal(first[:, 0], first[:, 1])
    assert not torch.equal(first, encode(x, torch.tensor([1, 2]), RATE, 5, seed=1))


def test_decoded_mean_is_close() -> None:
    x = torch.linspace(0, 1, 64).expand(1, 64)
    decoded = decode(encode(x, torch.tensor([9]), RATE, 4000, seed=0), RATE)
    deviation = (x * (1 - x) / 4000).sqrt()
    assert ((decoded - x).abs() <= 5 * deviation + rate.MAX_ERROR).all()
