"""Integer encodings against what they mean, by hand, and against the encoders that networks are trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leanspike import ir
from leanspike.core import rng
from leanspike.core.errors import ConfigError, EncodingError
from leanspike.encode import EncoderConfig
from leanspike.encode import encode as trained
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.lower import Encoded
from leanspike.lower.source import Source, source

NUMBERS = np.array([3, 0, 2**31 - 1, 2**32 - 1, 10**12])


def shell(found: Source, steps: int) -> Program:
    """A program as far as its encoding goes."""
    return Program("shell", steps, found.input, (), (), ir.Readout("count", "x"), found.arrays)


def both(kind: str, x: npt.NDArray[Any], steps: int, **config: float) -> tuple[Ints, npt.NDArray[np.float32], Source]:
    """The program's values and the trained network's, ``[T, B, ...]`` with images channels last."""
    encoder = EncoderConfig(kind=kind, **config)
    found = source(Encoded(encoder, x.shape[1:], steps, 11, x.dtype == np.uint8), 8)
    program = shell(found, steps)
    integers = ir.encode(program, ir.raw_samples(program, x), NUMBERS)
    floats = torch.from_numpy(x).float().div(255) if x.dtype == np.uint8 else torch.from_numpy(x)
    expected = trained(floats, torch.from_numpy(NUMBERS), encoder, steps, 11)
    return integers, (expected.permute(0, 1, 3, 4, 2) if expected.dim() == 5 else expected).numpy(), found


def every_byte(shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    random = np.random.default_rng(0)
    values = random.integers(0, 256, (len(NUMBERS), *shape), dtype=np.uint8)
    values.reshape(len(NUMBERS), -1)[:, :2] = 0, 255
    return values


@pytest.mark.parametrize("shape", [(300,), (1, 7, 5), (3, 6, 9), (2, 31)], ids=str)
@pytest.mark.parametrize("gain", [1.0, 0.3, 2.5])
@pytest.mark.parametrize(("kind", "config"), [("rate", {}), ("latency", {}), ("latency", {"threshold": 0.5})])
def test_bytes_become_the_spikes_of_training(
    kind: str, config: dict[str, float], gain: float, shape: tuple[int, ...]
) -> None:
    found, expected, _ = both(kind, every_byte(shape), 9, gain=gain, **config)
    assert found.any() or gain < config.get("threshold", 0)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("shape", [(300,), (3, 6, 9)], ids=str)
@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_direct_values_are_the_floats_of_training(gain: float, shape: tuple[int, ...]) -> None:
    x = every_byte(shape)
    found, expected, made = both("direct", x, 4, gain=gain)
    assert np.array_equal(found[0], np.moveaxis(x, 1, -1) if x.ndim == 4 else x)
    assert found.strides[0] == 0
    assert np.abs(found * made.unit - expected).max() < 1e-6


@settings(max_examples=60, deadline=None, derandomize=True)
@given(theta=st.integers(200, 16_000), seed=st.integers(0, 2**32 - 1))
def test_delta_on_the_grid_of_its_integers_is_that_of_training(theta: int, seed: int) -> None:
    """Where series and threshold are whole multiples of 1/32767 there is nothing to round, in float64."""
    levels = 32_767
    random = np.random.default_rng(seed)
    series = random.integers(0, levels + 1, (4, 3, 25))
    encoder = EncoderConfig(kind="delta", threshold=theta / levels)
    made = source(Encoded(encoder, (3, 25), 25, exact_bytes=False), 8)
    assert made.input.encoding == ir.Delta(theta, 16_384)
    raw = Value("raw", (3, 25), made.input.raw.type)
    program = shell(made, 25)
    assert program.input.raw == raw
    # 16384 / 32767 is where the program starts; training starts at 1/2, half a level below.
    track, expected = np.full((4, 3), 16_384), []
    for value in np.moveaxis(series, 2, 0):
        on, off = value - track >= theta, track - value >= theta
        track = track + theta * (on.astype(int) - off)
        expected.append(np.concatenate([on, off], 1))
    assert np.array_equal(ir.encode(program, series), np.array(expected))


@pytest.mark.parametrize("kind", ["floats", "bytes"])
@pytest.mark.parametrize(("theta", "gain"), [(0.1, 1.0), (0.03, 0.7), (0.25, 2.0)])
def test_delta_differs_from_training_only_where_a_change_is_within_a_level_of_the_threshold(
    kind: str, theta: float, gain: float
) -> None:
    random = np.random.default_rng(4)
    walk = np.cumsum(random.normal(0, 0.08, (len(NUMBERS), 3, 40)), axis=2) + 0.5
    x: npt.NDArray[Any] = walk.clip(0, 1).astype(np.float32)
    if kind == "bytes":
        x = (x * 255).round().astype(np.uint8)
    found, expected, made = both("delta", x, 40, threshold=theta, gain=gain)
    assert found.shape == (40, len(NUMBERS), 6)
    levels = made.input.levels
    values = x / (255 if kind == "bytes" else 1) * gain
    # A channel agrees until a change comes this close to the threshold; T thresholds of half a level's error add up.
    close = 40 * gain / levels
    agreed = 0
    for b in range(len(NUMBERS)):
        for c in range(3):
            track = 0.5
            for t in range(40):
                change = values[b, c, t] - track
                if abs(abs(change) - theta) <= close:
                    break
                spikes = [int(change >= theta), int(-change >= theta)]
                assert found[t, b, [c, 3 + c]].tolist() == spikes == expected[t, b, [c, 3 + c]].tolist()
                track += theta * (spikes[0] - spikes[1])
                agreed += 1
    assert agreed > 300


def test_delta_takes_bytes_as_whole_multiples_of_its_levels() -> None:
    made = source(Encoded(EncoderConfig(kind="delta", threshold=0.1), (2, 5), 5), 8)
    assert (made.input.levels, made.input.raw.type.bits) == (255 * 128, 15)
    assert made.input.encoding == ir.Delta(3264, 16_320)
    x = np.arange(10, dtype=np.uint8).reshape(1, 2, 5)
    assert np.array_equal(ir.raw_samples(shell(made, 5), x), 128 * x.astype(int))


def test_delta_that_cannot_be_said_in_integers_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"encoder\.gain: 0\.4 is not a possible value; 0\.5 or more"):
        source(Encoded(EncoderConfig(kind="delta", gain=0.4), (2, 5), 5), 8)
    with pytest.raises(ConfigError, match=r"encoder\.threshold: 3\.0"):
        source(Encoded(EncoderConfig(kind="delta", threshold=3.0, gain=2.0), (2, 5), 5), 8)
    with pytest.raises(EncodingError, match="take 5 or fewer"):
        source(Encoded(EncoderConfig(kind="delta"), (2, 5), 6), 8)


@pytest.mark.parametrize("bits", [1, 4, 8, 12])
def test_floats_are_rounded_to_the_levels_of_the_input(bits: int) -> None:
    made = source(Encoded(EncoderConfig(), (50,), 3, exact_bytes=False), bits)
    x = np.random.default_rng(0).random((4, 50)).astype(np.float32)
    raw = ir.raw_samples(shell(made, 3), x)
    assert made.input.levels == 2**bits - 1
    assert np.abs(raw * made.unit - x).max() <= 0.5 / made.input.levels + 1e-7


def by_hand(encoding: ir.Encoding, raw: Value, result: Value, **arrays: Array) -> Program:
    start = ir.Input(result, raw, raw.type.highest, encoding)
    return Program("hand", 4, start, (), (), ir.Readout("count", "x"), arrays)


U2 = IntType(2, False)


def test_latency_by_hand() -> None:
    table = Array(IntType(3, False), [9 - 4, 3, 1, 0])
    program = by_hand(ir.Latency("t"), Value("raw", (4,), U2), Value("x", (4,), SPIKE), t=table)
    spikes = ir.encode(program, np.array([[0, 1, 2, 3]]))
    assert spikes[:, 0].tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]]


def test_delta_by_hand() -> None:
    program = by_hand(ir.Delta(3, 5), Value("raw", (2, 4), IntType(4, False)), Value("x", (4,), SPIKE))
    spikes = ir.encode(program, np.array([[[8, 12, 12, 8], [5, 2, 2, 2]]]))
    # channel 0: 5 -> 8 on, 12-8 on -> 11, 12-11 no, 11-8 off -> 8; channel 1: 0, 5-2 off -> 2, 0, 0.
    assert spikes[:, 0].tolist() == [[1, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_sequence_by_hand() -> None:
    program = by_hand(ir.Sequence(), Value("raw", (4, 2), U2), Value("x", (2,), U2))
    raw = np.arange(16).reshape(2, 4, 2) % 4
    assert np.array_equal(ir.encode(program, raw), raw.transpose(1, 0, 2))


def test_rate_draws_depend_on_number_step_and_place_alone() -> None:
    table = Array(IntType(16, False), [0, 20_000, 40_000, 65_535])
    program = by_hand(ir.Rate(9, "t"), Value("raw", (5,), U2), Value("x", (5,), SPIKE), t=table)
    raw = np.array([[0, 1, 2, 3, 2], [3, 3, 1, 0, 1], [2, 2, 2, 2, 2]])
    numbers = np.array([7, 2**32 - 1, 4])
    found = ir.encode(program, raw, numbers)
    draws = rng.draws16(rng.key(9, numbers, np.arange(4)), 5)
    assert np.array_equal(found, draws < table.values[raw])
    assert np.array_equal(ir.encode(program, raw[1:2], numbers[1:2])[:, 0], found[:, 1])
    assert np.array_equal(ir.encode(program, raw), ir.encode(program, raw, np.arange(3)))
