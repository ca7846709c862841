"""Encoders of series in programs: the integers that every target sees are those of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from leanspike import ir, models
from leanspike.core.errors import LoweringError
from leanspike.encode import EncoderConfig, encode, encoded_shape, population
from leanspike.lower import lower
from leanspike.lower.fields import bands, encoded_spikes
from leanspike.lower.source import Encoded
from leanspike.nn import Network, NeuronConfig, readout
from leanspike.targets import emit, run

CHANNELS, LENGTH, STEPS = 2, 23, 9


def network(encoder: EncoderConfig) -> Network:
    torch.manual_seed(3)
    shape = encoded_shape((CHANNELS, LENGTH), encoder, STEPS)
    model = models.ModelConfig(hidden=(12,), norm="batch")
    return models.build(model, NeuronConfig(threshold=0.4), shape, 3, STEPS).eval()


def program(encoder: EncoderConfig, built: Network, exact_bytes: bool) -> ir.Program:
    return lower(built, Encoded(encoder, (CHANNELS, LENGTH), STEPS, exact_bytes=exact_bytes)).program


@pytest.mark.parametrize("bytes_", [False, True])
@pytest.mark.parametrize("kind", ["current", "delta", "population"])
def test_a_program_of_a_longer_series_decides_as_the_network(kind: Any, bytes_: bool) -> None:
    encoder = EncoderConfig(kind, fields=5)
    built = network(encoder)
    lowered = program(encoder, built, bytes_)
    values = np.random.default_rng(0).random((64, CHANNELS, LENGTH)).cumsum(2) / LENGTH
    x = (values * 255).astype(np.uint8) if bytes_ else values.astype(np.float32)
    raw = ir.raw_samples(lowered, x)
    assert raw.shape == (64, CHANNELS, STEPS) if kind == "delta" else (64, STEPS, CHANNELS)
    unit = torch.from_numpy(x).float() / (255 if bytes_ else 1)
    scores = readout(built(encode(unit, torch.arange(64), encoder, STEPS, 0)), built.readout).detach().numpy()
    decided = ir.run_fast(lowered, raw).predictions
    margins = np.sort(scores, 1)
    clear = margins[:, -1] - margins[:, -2] > 0.02 * np.abs(scores).max()
    assert clear.sum() > 20
    assert (decided == scores.argmax(1))[clear].mean() > 0.95


def test_fields_are_neurons_that_fire_as_the_encoder() -> None:
    encoder = EncoderConfig("population", fields=6, threshold=0.3)
    lowered = program(encoder, network(encoder), exact_bytes=False)
    assert [op.result.name for op in lowered.spiking][:2] == ["enc.s1", "x"]
    raw = np.random.default_rng(1).integers(0, 256, (8, STEPS, CHANNELS))
    series = torch.from_numpy(raw).permute(0, 2, 1) / 255
    spikes = population.encode(series, 1.0, 0.3, 6).permute(1, 0, 2).numpy()
    assert np.array_equal(encoded_spikes(raw, bands(encoder, 255)), spikes)
    assert np.array_equal(ir.run_fast(lowered, raw).spikes["x"], spikes.sum((1, 2)))


@pytest.mark.parametrize("kind", ["current", "delta", "population"])
def test_on_the_engine_and_in_tflite(kind: Any, tmp_path: Any) -> None:
    encoder = EncoderConfig(kind, fields=4)
    lowered = program(encoder, network(encoder), exact_bytes=False)
    values = np.random.default_rng(0).random((5, CHANNELS, LENGTH)).astype(np.float32)
    raw, expected = ir.raw_samples(lowered, values), None
    for name in ("engine", "tflite"):
        if name == "tflite":
            pytest.importorskip("ai_edge_litert")
        found = run(emit(name, lowered, tmp_path), raw, np.arange(5))
        expected = ir.run_fast(lowered, raw, np.arange(5))
        assert np.array_equal(found.scores, expected.scores)


def test_fields_too_narrow_for_the_input_are_refused() -> None:
    with pytest.raises(LoweringError, match="a field fires at no level"):
        bands(EncoderConfig("population", fields=60, threshold=0.99), 15)
