"""Encoders whose time is the series' own: current and population coding, and bringing a series to fewer steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import ConfigError, EncodingError
from leanspike.encode import EncoderConfig, decode, encode, encoded_shape, population
from leanspike.encode.resample import resampled
from leanspike.ir import samples

KINDS = ("current", "delta", "population")


def values(batch: int, channels: int, length: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, channels, length, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("timesteps", [3, 7, 10])
def test_shape_and_time(kind: Any, timesteps: int) -> None:
    config, x = EncoderConfig(kind, fields=5), values(4, 3, 10)
    encoded = encode(x, torch.arange(4), config, timesteps, seed=0)
    assert encoded.dtype == torch.float32
    assert encoded.shape == (timesteps, 4, *encoded_shape((3, 10), config, timesteps))
    assert encoded.shape[2] == 3 * {"current": 1, "delta": 2, "population": 5}[kind]
    assert decode(encoded, config).shape == (4, 3, timesteps)
    later = x.clone()
    later[:, :, -1] = 1 - later[:, :, -1]
    again = encode(later, torch.arange(4), config, timesteps, seed=0)
    assert torch.equal(encoded[:-1], again[:-1]), "a step never sees a later value"


def test_current_is_the_value_of_the_step() -> None:
    x = values(2, 3, 5)
    encoded = encode(x, torch.arange(2), EncoderConfig("current", gain=2.0), 5, seed=0)
    assert torch.equal(encoded[3, 1], 2 * x[1, :, 3])
    assert torch.equal(decode(encode(x, torch.arange(2), EncoderConfig("current"), 5, 0), EncoderConfig("current")), x)


@given(st.integers(0, 255), st.integers(3, 20), st.floats(0.02, 0.9))
def test_a_field_fires_where_its_gaussian_reaches_the_threshold(raw: int, fields: int, threshold: float) -> None:
    config = EncoderConfig("population", threshold=threshold, fields=fields)
    x = torch.full((1, 1, 1), raw / 255)
    spikes = encode(x, torch.arange(1), config, 1, seed=0)[0, 0]
    centres = (np.arange(1, fields + 1) - 1.5) / (fields - 2)
    width = 1 / (1.5 * (fields - 2))
    answers = np.exp(-((raw / 255 - centres) ** 2) / (2 * width**2))
    clear = np.abs(answers - threshold) > 1e-6
    assert (spikes.numpy()[clear] == (answers >= threshold)[clear]).all()


def test_population_says_the_value_to_half_a_spacing() -> None:
    x = torch.linspace(0, 1, 101)[None, None]
    config = EncoderConfig("population", fields=12)
    spikes = encode(x, torch.arange(1), config, 101, seed=0)
    assert set(spikes.sum(2).flatten().tolist()) <= {2.0, 3.0}
    assert (decode(spikes, config) - x).abs().max() <= 0.5 / 10 + 1e-6
    assert population.centres(12)[1] == pytest.approx(0.05)


def test_fields_of_two_channels_stand_one_after_the_other() -> None:
    config = EncoderConfig("population", fields=4)
    x = torch.tensor([[[0.0], [1.0]]])
    both = encode(x, torch.arange(1), config, 1, seed=0)[0, 0]
    for channel in (0, 1):
        alone = encode(x[:, channel : channel + 1], torch.arange(1), config, 1, seed=0)[0, 0]
        assert torch.equal(both[4 * channel : 4 * channel + 4], alone)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_resampling_is_the_mean_of_each_share_here_and_in_programs(length: int, steps: int, seed: int) -> None:
    steps = min(steps, length)
    x = values(2, 3, length, seed)
    expected = torch.stack(
        [x[..., t * length // steps : -(-(t + 1) * length // steps)].double().mean(-1) for t in range(steps)], -1
    )
    assert (resampled(x, steps) - expected).abs().max() < 1e-6
    assert np.abs(samples.resampled(x.numpy(), steps) - expected.numpy()).max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_what_has_no_time_or_too_little_is_refused(kind: Any) -> None:
    with pytest.raises(EncodingError, match="no time of their own; direct, rate and latency suit"):
        encoded_shape((1, 8, 8), EncoderConfig(kind), 5)
    with pytest.raises(EncodingError, match="10 values cannot fill 11 time steps"):
        encoded_shape((1, 10), EncoderConfig(kind), 11)


def test_settings_of_fields() -> None:
    with pytest.raises(ConfigError, match=r"encoder\.fields"):
        EncoderConfig("population", fields=2)
    with pytest.raises(ConfigError, match=r"encoder\.threshold"):
        EncoderConfig("population", threshold=1.0)
