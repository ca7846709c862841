"""Frames of events as steps: in training and in a program the same spikes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from leanspike import data, ir, lower, train
from leanspike.core.errors import ConfigError, EncodingError
from leanspike.encode import EncoderConfig, decode, encode, encoded_shape
from leanspike.models import ModelConfig

FRAMES = EncoderConfig(kind="frames")


def events(count: int, seed: int = 0) -> data.Dataset:
    """Classes that differ in where and when their events fall: 12 frames of 2 x 4 x 5."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, 2 * count)
    rate = np.full((3, 12, 2, 4, 5), 0.05)
    for label in range(3):
        rate[label, 4 * label : 4 * label + 6, label % 2, label, :] = 0.8
    x = (random.random((2 * count, 12, 2, 4, 5)) < rate[y]).astype(np.uint8) * np.uint8(255)
    parts = x[:count], y[:count], x[count:], y[count:]
    return data.Dataset("blinks", *parts, ("a", "b", "c"), "events", "made here", "made here")


@pytest.mark.parametrize("steps", [1, 5, 7, 12])
def test_a_step_is_the_maximum_of_its_frames(steps: int) -> None:
    x = events(20).x_train
    found = encode(torch.from_numpy(x), torch.arange(20), FRAMES, steps, 0)
    assert encoded_shape(x.shape[1:], FRAMES, steps) == tuple(found.shape[2:]) == (2, 4, 5)
    for t in range(steps):
        part = x[:, t * 12 // steps : (t + 1) * 12 // steps]
        np.testing.assert_array_equal(found[t].numpy(), part.max(axis=1) > 0)
    scaled = encode(torch.from_numpy(x / np.float32(255)), torch.arange(20), FRAMES, steps, 0)
    assert torch.equal(scaled, found)
    assert torch.equal(decode(found, FRAMES), found.movedim(0, 1))


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_a_program_takes_the_spikes_that_training_saw(steps: int) -> None:
    x = np.random.default_rng(1).integers(0, 256, (9, 12, 2, 4, 5)).astype(np.uint8)
    encoded = lower.Encoded(FRAMES, (12, 2, 4, 5), steps)
    network = train.build_network(_config(steps), (12, 2, 4, 5), 3)
    program = lower.lower(network, encoded).program
    spikes = encode(torch.from_numpy(x), torch.arange(9), FRAMES, steps, 0).permute(0, 1, 3, 4, 2)
    np.testing.assert_array_equal(ir.encodings.encode(program, ir.raw_samples(program, x)), spikes.numpy())
    floats = x / np.float32(255)
    np.testing.assert_array_equal(ir.raw_samples(program, floats), ir.raw_samples(program, x))


def _config(steps: int) -> train.RunConfig:
    tuning = train.TrainConfig(epochs=15, batch_size=32, learning_rate=5e-3, augment_shift=1)
    return train.RunConfig("blinks", steps, encoder=FRAMES, model=ModelConfig(hidden=(16,)), train=tuning)


def test_a_network_learns_when_events_fall() -> None:
    found = train.fit(_config(6), events(300).training_only())
    assert train.evaluate(found.network, events(300).test(), _config(6)).accuracy > 0.9


@pytest.mark.parametrize(
    ("shape", "config", "steps", "told"),
    [
        ((12, 2, 4, 5), FRAMES, 13, "12 frames cannot fill 13 time steps"),
        ((1, 28, 28), FRAMES, 4, "no frames of events"),
        ((12, 2, 4, 5), EncoderConfig(), 4, "encoder.kind=frames"),
    ],
)
def test_what_does_not_suit_is_told(shape: tuple[int, ...], config: EncoderConfig, steps: int, told: str) -> None:
    with pytest.raises(EncodingError, match=told):
        encoded_shape(shape, config, steps)


def test_frames_have_no_gain() -> None:
    with pytest.raises(ConfigError, match=r"encoder\.gain"):
        EncoderConfig(kind="frames", gain=2.0)
