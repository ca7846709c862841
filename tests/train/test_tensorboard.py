from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from leanspike import train
from leanspike.core.errors import MissingTool
from leanspike.data import TrainingData
from leanspike.train import RunConfig


def test_curves_and_histograms_are_logged_once_an_epoch(
    config: RunConfig, training: TrainingData, tmp_path: Path
) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = train.fit(config, training, tmp_path, tensorboard=True)
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    for name, values in (
        ("loss/training", [record.loss for record in result.history]),
        ("accuracy/validation", [record.validation_accuracy for record in result.history]),
        ("rate/layer0", [record.rates[0] for record in result.history]),
    ):
        logged = events.Scalars(name)
        assert [event.step for event in logged] == [1, 2, 3]
        assert [event.value for event in logged] == pytest.approx(values, rel=1e-6)
    histograms = events.Tags()["histograms"]
    weights = {f"weight/{name}" for name, _ in result.network.named_parameters()}
    assert weights | {"potential/layer0", "potential/layer1"} == set(histograms)
    count = events.Histograms("potential/layer0")[-1].histogram_value.num
    assert count == 4 * 64 * 32  # T, samples, neurons


def test_logging_does_not_change_the_run(config: RunConfig, training: TrainingData, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    train.fit(config, training, tmp_path / "with", tensorboard=True)
    train.fit(config, training, tmp_path / "without")
    name = "network.safetensors"
    assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()


def test_a_missing_tensorboard_is_said(
    config: RunConfig, training: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingTool, match=r"not installed; pip install 'leanspike\[tensorboard\]'"):
        train.fit(config, training, tmp_path, tensorboard=True)
