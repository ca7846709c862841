"""Whole studies of real digits in this process: records, resuming, searches, failures, and who sees the test set."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from optuna.trial import TrialState
from studies import study_config, weights
from torch import nn

from leanspike import data, models, study
from leanspike.core.errors import ConfigError, StudyError
from leanspike.data import Dataset, Split, TrainingData
from leanspike.measure.quality import wilson
from leanspike.measure.records import load
from leanspike.study.run import run
from leanspike.study.storage import open_store, sqlite_url
from leanspike.train import RunConfig

LOOKS: list[str] = []


class Watched(Dataset):
    """Digits that note every look at the test set."""

    def test(self) -> Split:
        LOOKS.append(self.name)
        return super().test()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    LOOKS.clear()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    whole = data.load("digits")
    return Watched(**{field.name: getattr(whole, field.name) for field in dataclasses.fields(whole)})


def test_a_grid_measures_everything_and_looks_at_the_test_set_once_a_trial(digits: Dataset, tmp_path: Path) -> None:
    config = study_config(timesteps=[1, 4], ann=True, run={"train": {"epochs": 3}})
    found = run(config, tmp_path, data=digits)
    assert len(LOOKS) == len(found.trials) == found.planned == 6
    assert found == load(tmp_path)
    assert [(trial.timesteps, trial.seed) for trial in found.trials] == [(1, 0), (1, 1), (4, 0), (4, 1), (0, 0), (0, 1)]
    for trial in found.trials:
        assert trial.accuracy is not None
        assert trial.accuracy_ci95 == wilson(round(trial.accuracy * 359), 359)
        assert trial.latency_us is not None
        assert 0 < trial.latency_us.p50 <= trial.latency_us.p99
        assert trial.params == 64 * 24 + 24 + 24 * 10 + 10
        assert trial.synapses == 64 * 24 + 24 * 10
        assert trial.confusion is not None
        assert sum(map(sum, trial.confusion)) == 359
        assert sum(row[i] for i, row in enumerate(trial.confusion)) == round(trial.accuracy * 359)
        assert trial.epochs == 3
    spiking = found.trials[3]
    assert spiking.model == "mlp 64-24-10"
    assert spiking.anytime is not None
    assert spiking.anytime.t == (1, 2, 3, 4)
    assert spiking.anytime.accuracy[-1] == spiking.accuracy
    assert spiking.firing_rate is not None
    assert spiking.spikes_per_sample == pytest.approx(
        4 * (24 * spiking.firing_rate["hidden 1"] + 10 * spiking.firing_rate["output"])
    )
    assert spiking.sparsity == pytest.approx(1 - spiking.spikes_per_sample / (4 * 34))
    assert spiking.acs == pytest.approx(4 * 24 * spiking.firing_rate["hidden 1"] * 10, rel=1e-6)
    ann = found.trials[-1]
    assert ann.model == "ann 64-24-10"
    assert ann.macs == ann.synapses
    assert ann.spikes_per_sample is None
    assert "<svg" in (tmp_path / "report.html").read_text()


def test_details_hold_rasters_and_traces_of_real_samples(digits: Dataset, tmp_path: Path) -> None:
    found = run(study_config(timesteps=[3], seeds=1), tmp_path, data=digits)
    details = found.trials[0].details
    assert details is not None
    with np.load(tmp_path / details, allow_pickle=False) as arrays:
        count = len(arrays["labels"])
        assert set(arrays["labels"]) == set(range(10))
        assert list(arrays["layer_names"]) == ["hidden 1", "output"]
        assert arrays["spikes_0"].shape == (3, count, 24)
        assert arrays["potential_1"].shape == (3, count, 10)
        counts = arrays["spikes_1"].sum(0)
        assert (counts.argmax(-1) == arrays["predictions"]).all()
        first = int(np.flatnonzero(digits.y_test == 0)[0])
        np.testing.assert_allclose(arrays["images"][0], data.as_unit(digits.x_test[first]))


def test_a_second_start_trains_nothing_and_ends_in_the_same_bytes(digits: Dataset, tmp_path: Path) -> None:
    run(study_config(), tmp_path, data=digits)
    before, results, looks = weights(tmp_path), (tmp_path / "results.json").read_bytes(), len(LOOKS)
    page = (tmp_path / "report.html").read_bytes()
    stamps = [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("trials/*/*"))]
    run(study_config(), tmp_path, data=digits)
    assert stamps == [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("trials/*/*"))]
    assert weights(tmp_path) == before
    assert (tmp_path / "results.json").read_bytes() == results
    assert (tmp_path / "report.html").read_bytes() == page
    assert len(LOOKS) == looks


def test_another_study_in_the_folder_is_refused(digits: Dataset, tmp_path: Path) -> None:
    run(study_config(timesteps=[1], seeds=1), tmp_path, data=digits)
    before = (tmp_path / "results.json").read_bytes()
    with pytest.raises(StudyError, match=r"holds another study \(seeds is 1 there and 5 now\)"):
        run(study_config(timesteps=[1], seeds=5), tmp_path, data=digits)
    assert (tmp_path / "results.json").read_bytes() == before
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(StudyError, match="damaged"):
        run(study_config(timesteps=[1], seeds=1), tmp_path, data=digits)


SEARCH = [{"key": "train.learning_rate", "low": 1e-4, "high": 3e-2, "log": True}]


def test_a_search_chooses_without_the_test_set(digits: Dataset, tmp_path: Path) -> None:
    config = study_config(timesteps=[1, 2], search=SEARCH, trials=4, seeds=2, ann=True)
    found = run(config, tmp_path / "a", data=digits)
    reported = [trial for trial in found.trials if trial.accuracy is not None]
    searched = [trial for trial in found.trials if trial.accuracy is None]
    assert (len(searched), len(reported), len(LOOKS)) == (4, 4, 4)  # two seeds of the winner, and their ANNs
    assert len({trial.parameters["train.learning_rate"] for trial in searched}) == 4
    best = max(searched, key=lambda trial: trial.validation_accuracy or 0)
    for trial in reported:
        assert trial.parameters["train.learning_rate"] == best.parameters["train.learning_rate"]
    shuffled = np.random.default_rng(0).permutation(digits.y_test)
    other = run(config, tmp_path / "b", data=dataclasses.replace(digits, y_test=shuffled))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert [trial.parameters for trial in other.trials] == [trial.parameters for trial in found.trials]
    assert [trial.accuracy for trial in other.trials] != [trial.accuracy for trial in found.trials]


def test_a_search_for_few_spikes_reports_its_front(digits: Dataset, tmp_path: Path) -> None:
    config = study_config(timesteps=[1, 4], search=SEARCH, trials=4, seeds=1, goals="accuracy,spikes")
    found = run(config, tmp_path, data=digits)
    store = open_store(sqlite_url(tmp_path), config)
    points = {t.number: t.values for t in store.trials([TrialState.COMPLETE]) if t.user_attrs["kind"] == "search"}
    beaten = {n for n, (a, s) in points.items() for b, r in points.values() if b >= a and r <= s and (b, r) != (a, s)}
    assert sum(trial.accuracy is not None for trial in found.trials) == len(points) - len(beaten)


def test_a_point_that_cannot_be_trained_is_said_and_the_others_are_kept(digits: Dataset, tmp_path: Path) -> None:
    grid = [{"key": "train.learning_rate", "values": ["1e-3", "1e38"]}]
    config = study_config(timesteps=[1], seeds=1, grid=grid, run={"train": {"optimizer": "sgd", "loss": "membrane"}})
    with pytest.raises(StudyError, match=r"1 trials? failed.*1e\+38.*loss is"):
        run(config, tmp_path, data=digits)
    content = json.loads((tmp_path / "results.json").read_text())
    assert len(content["trials"]) == 1
    assert content["study"]["planned"] == 2


def test_a_network_of_your_own(digits: Dataset, tmp_path: Path) -> None:
    def narrow(config: RunConfig, training: TrainingData) -> nn.Module:
        model = dataclasses.replace(config.model, hidden=(12,))
        return models.build(model, config.neuron, training.shape, len(training.classes), config.timesteps)

    config = study_config(timesteps=[2], seeds=1, network="narrow")
    found = study.run(config, tmp_path, data=digits, build=narrow)
    assert found.trials[0].model == "narrow"
    assert found.trials[0].params == 64 * 12 + 12 + 12 * 10 + 10
    with pytest.raises(ConfigError, match="build"):
        study.run(study_config(network="narrow"), tmp_path / "other", data=digits)
    assert not (tmp_path / "other").exists()
