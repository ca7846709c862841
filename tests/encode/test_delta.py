"""Delta coding follows a series within its threshold and refuses what has no time."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import EncodingError
from leanspike.data import load
from leanspike.encode import EncoderConfig, decode, delta, encode, encoded_shape


def roundtrip(series: torch.Tensor, config: EncoderConfig) -> tuple[torch.Tensor, torch.Tensor]:
    spikes = encode(series, torch.arange(len(series)), config, series.shape[2], seed=0)
    return spikes, decode(spikes, config)


@given(
    st.floats(0, 1),
    st.lists(st.floats(-1, 1), min_size=1, max_size=60),
    st.floats(0.02, 0.5),
)
def test_follows_a_slow_series_within_the_threshold(start: float, moves: list[float], threshold: float) -> None:
    """With moves of at most theta/2 the gap narrows by theta/2 a step: closed after |gap| / (theta/2) steps."""
    values = [start]
    for move in moves:
        values.append(min(max(values[-1] + 0.5 * threshold * move, 0.0), 1.0))
    series = torch.tensor(values, dtype=torch.float64)[None, None]
    config = EncoderConfig("delta", threshold=threshold)
    spikes, decoded = roundtrip(series, config)
    assert ((spikes == 0) | (spikes == 1)).all()
    assert (spikes.sum(2) <= 1).all(), "never ON and OFF at once"
    caught = math.ceil(2 * abs(start - delta.START) / threshold)
    assert ((decoded - series).abs()[..., caught:] <= threshold + 1e-9).all()


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.floats(0.02, 1))
def test_any_series_never_overshoots(values: list[float], threshold: float) -> None:
    """A spike moves the tracker towards the value by theta, never past it."""
    series = torch.tensor(values, dtype=torch.float64)[None, None]
    _, decoded = roundtrip(series, EncoderConfig("delta", threshold=threshold))
    before = torch.cat([torch.full((1, 1, 1), delta.START, dtype=torch.float64), decoded[..., :-1]], dim=2)
    assert ((series - decoded).abs() <= (series - before).abs() + 1e-9).all()


def test_by_hand() -> None:
    series = torch.tensor([[[0.5, 0.75, 1.0, 1.0, 0.5], [0.5, 0.5, 0.25, 0.25, 0.25]]])
    spikes, decoded = roundtrip(series, EncoderConfig("delta", threshold=0.25))
    assert spikes[:, 0].tolist() == [
        [0, 0, 0, 0],
        [1, 0, 0, 0],
        [1, 0, 0, 1],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
    ]
    assert decoded[0].tolist() == [[0.5, 0.75, 1.0, 1.0, 0.75], [0.5, 0.5, 0.25, 0.25, 0.25]]


def test_real_gestures_survive(real_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(real_data / "uea" / "uea_subset.zip") as archive:
        archive.extractall(tmp_path, ["NATOPS/NATOPS_TRAIN.ts", "NATOPS/NATOPS_TEST.ts"])
    series = torch.from_numpy(load(str(tmp_path / "NATOPS")).x_train[:20])
    config = EncoderConfig("delta", threshold=0.05)
    spikes, decoded = roundtrip(series, config)
    assert spikes.shape == (51, 20, 48)
    assert encoded_shape((24, 51), config, 51) == (48,)
    assert 0.01 < spikes.mean() < 0.5
    assert (decoded - series)[..., 10:].abs().mean() < 0.05


@pytest.mark.parametrize("shape", [(1, 28, 28), (10,)])
def test_refuses_what_has_no_time(shape: tuple[int, ...]) -> None:
    with pytest.raises(EncodingError, match="no time of their own; direct, rate and latency suit"):
        encode(torch.zeros(2, *shape), torch.arange(2), EncoderConfig("delta"), 5, seed=0)


def test_timesteps_are_at_most_the_series_length() -> None:
    with pytest.raises(EncodingError, match=r"timesteps=52: .* take 51 or fewer"):
        encoded_shape((24, 51), EncoderConfig("delta"), 52)
