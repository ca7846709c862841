"""Latency coding: at most one spike, in the order of the values, decoded within half a step."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from leanspike.encode import EncoderConfig, decode, encode, latency

values = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20)


def spikes_of(x: torch.Tensor, config: EncoderConfig, timesteps: int) -> torch.Tensor:
    return encode(x, torch.arange(len(x)), config, timesteps, seed=0)


@given(values, st.integers(2, 40), st.floats(0.01, 1))
def test_decodes_within_the_stated_error(numbers: list[float], timesteps: int, threshold: float) -> None:
    config = EncoderConfig("latency", threshold=threshold)
    x = torch.tensor([numbers])
    spikes = spikes_of(x, config, timesteps)
    assert spikes.shape == (timesteps, 1, len(numbers))
    assert ((spikes == 0) | (spikes == 1)).all()
    assert torch.equal(spikes.sum(0), (x >= threshold).float())
    error = (decode(spikes, config) - x).abs().max().item()
    assert error <= latency.max_error(timesteps, threshold) + 1e-6


@given(values, st.integers(2, 40))
def test_a_larger_value_is_never_later(numbers: list[float], timesteps: int) -> None:
    x = torch.tensor([sorted(numbers, reverse=True)])
    spikes = spikes_of(x, EncoderConfig("latency", threshold=1e-6), timesteps)
    fired = spikes.sum(0)[0] > 0
    first = spikes.argmax(0)[0][fired]
    assert (first.diff() >= 0).all()


def test_by_hand() -> None:
    x = torch.tensor([[1.0, 0.75, 0.5, 0.05, 0.0]])
    spikes = spikes_of(x, EncoderConfig("latency"), 5)
    assert spikes[:, 0].argmax(0).tolist() == [0, 1, 2, 0, 0]
    assert spikes[:, 0].sum(0).tolist() == [1, 1, 1, 0, 0]


def test_bytes_never_tie_so_integers_agree() -> None:
    """For x = k/255 the step is round((255 - k)(T - 1) / 255) in integers, whatever the float rounding."""
    k = torch.arange(256)
    for timesteps in (2, 5, 10, 25, 50, 100):
        spikes = spikes_of(k[None].to(torch.float32) / 255, EncoderConfig("latency", threshold=1 / 512), timesteps)
        expected = (2 * (255 - k) * (timesteps - 1) + 255) // 510
        assert torch.equal(spikes[:, 0, 1:].argmax(0), expected[1:])


def test_gain_saturates() -> None:
    spikes = spikes_of(torch.tensor([[0.4, 0.2]]), EncoderConfig("latency", gain=5.0), 3)
    assert spikes[0].tolist() == [[1.0, 1.0]]
