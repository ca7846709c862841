"""Configuration, direct coding, and what holds for every encoder."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from leanspike.core.errors import ConfigError, EncodingError
from leanspike.core.records import from_dict
from leanspike.encode import SUITED_READOUTS, EncoderConfig, decode, encode, encoded_shape


def test_direct_is_a_view_of_the_values() -> None:
    x = torch.rand(3, 1, 4, 4)
    current = encode(x, torch.arange(3), EncoderConfig(), 7, seed=0)
    assert current.shape == (7, 3, 1, 4, 4)
    assert current.stride(0) == 0
    assert current.data_ptr() == x.data_ptr()
    assert torch.equal(decode(current, EncoderConfig()), x)
    doubled = encode(x, torch.arange(3), EncoderConfig(gain=2.0), 7, seed=0)
    assert doubled.stride(0) == 0
    assert torch.equal(doubled[6], 2 * x)


@pytest.mark.parametrize("kind", ["direct", "rate", "latency", "current", "delta", "population"])
def test_every_encoder(kind: Any) -> None:
    config, x = EncoderConfig(kind), torch.rand(4, 3, 6, generator=torch.Generator().manual_seed(0))
    encoded = encode(x, torch.arange(4), config, 6, seed=1)
    assert encoded.dtype == torch.float32
    assert encoded.shape == (6, 4, *encoded_shape((3, 6), config, 6))
    assert decode(encoded, config).shape == x.shape
    assert set(SUITED_READOUTS[kind]) <= {"count", "membrane_last", "membrane_max", "membrane_mean", "first_spike"}


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"kind": "poisson"}, "kind"),
        ({"gain": 0.0}, "encoder.gain"),
        ({"gain": float("nan")}, "encoder.gain"),
        ({"gain": float("inf")}, "encoder.gain"),
        ({"threshold": -0.1}, "encoder.threshold"),
        ({"threshold": 1.5}, "encoder.threshold"),
        ({"treshold": 0.1}, "treshold"),
    ],
)
def test_settings_out_of_range(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        from_dict(EncoderConfig, settings)


@pytest.mark.parametrize("timesteps", [0, -3])
def test_no_steps(timesteps: int) -> None:
    with pytest.raises(ConfigError, match="timesteps"):
        encode(torch.zeros(1, 2), torch.arange(1), EncoderConfig(), timesteps, seed=0)


def test_latency_needs_two_steps() -> None:
    with pytest.raises(EncodingError, match="take 2 or more"):
        encode(torch.zeros(1, 2), torch.arange(1), EncoderConfig("latency"), 1, seed=0)
