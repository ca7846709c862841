"""A comparison on two small sets that the test writes: plan, size, figures, resumption, the page, and the command."""

from __future__ import annotations

import dataclasses
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from leanspike import cli, data, ir
from leanspike.core.errors import ConfigError, MissingTool
from leanspike.measure.records import load
from leanspike.report.comparison import ranked, sentence, survey, text
from leanspike.study import comparison
from leanspike.study.comparison import MODELS, ComparisonConfig, neighbour, networks
from leanspike.study.comparison.job import ComparisonJob
from leanspike.train.batches import shifted


@pytest.fixture
def sets(tmp_path: Path) -> tuple[str, str]:
    """Two sets of waves, as .tsv pairs."""
    names = []
    for name, length in (("Waves", 30), ("Beats", 20)):
        random = np.random.default_rng(length)
        for part, count in (("TRAIN", 16), ("TEST", 20)):
            label = np.arange(count) % 2
            t = np.arange(length) / length
            rows = np.sin(2 * np.pi * (2 + 3 * label[:, None]) * t + random.uniform(0, 6, (count, 1)))
            table = np.column_stack([label, rows + random.normal(0, 0.1, rows.shape)])
            np.savetxt(tmp_path / f"{name}_{part}.tsv", table, delimiter="\t")
        names.append(str(tmp_path / f"{name}_TRAIN.tsv"))
    return names[0], names[1]


def small(sets: tuple[str, ...], **changes: Any) -> ComparisonConfig:
    config = ComparisonConfig(
        datasets=sets, models=("lif", "gru", "1nn-dtw"), size=300, steps=15, seeds=2, trials=2, updates=6
    )
    return dataclasses.replace(config, **changes)


@pytest.mark.parametrize("model", [m for m in MODELS if m != "1nn-dtw"])
@pytest.mark.parametrize("size", [300, 2000])
def test_every_network_has_the_same_size(sets: tuple[str, str], model: str, size: int) -> None:
    config, known = small(sets), data.load(sets[0])
    for setting in config.settings(model):
        point = {"dataset": sets[0], "model": model, "seed": 1, **setting}
        run = config.run_at(point, samples=16, steps=15, tuning=False)
        _, network = networks.build(run, model, size, known.training_only())
        assert abs(networks.parameters(network) / size - 1) < (0.15 if size == 300 else 0.05)


def test_the_same_budget_for_all(sets: tuple[str, str]) -> None:
    config = small(sets, models=MODELS, trials=6)
    points = config.tuning_points()
    for model in MODELS:
        own = [p for p in points if p["model"] == model and p["dataset"] == sets[0]]
        assert len(own) == (0 if model == "1nn-dtw" else 6)
        for point in own:
            tuning = config.run_at(point, samples=1000, steps=15, tuning=True)
            final = config.run_at(point, samples=1000, steps=15, tuning=False)
            assert tuning.train.epochs * -(-750 // 32) == pytest.approx(6 * 0.5, abs=24)
            assert (tuning.train.validation, final.train.validation) == (0.25, 0.0)


def cheapest(a: np.ndarray, b: np.ndarray, window: int) -> float:
    """DTW by its recursion."""
    steps = a.shape[1]
    table = np.full((steps + 1, steps + 1), np.inf)
    table[0, 0] = 0
    for i in range(steps):
        for j in range(max(0, i - window), min(steps, i + window + 1)):
            before = min(table[i, j + 1], table[i + 1, j], table[i, j])
            table[i + 1, j + 1] = ((a[:, i] - b[:, j]) ** 2).sum() + before
    return float(table[steps, steps])


@pytest.mark.parametrize("window", [0, 2, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_dtw_is_its_recursion(window: int, channels: int) -> None:
    random = np.random.default_rng(0)
    a, b = random.random((3, channels, 10)), random.random((4, channels, 10))
    expected = np.array([[cheapest(x, y, window) for y in b] for x in a])
    np.testing.assert_allclose(neighbour._between(a, b, window) ** 2, expected, rtol=1e-9)
    filled = sum(abs(i - j) <= window for i in range(10) for j in range(10))
    assert neighbour.cells(10, window) == filled


def test_the_window_is_learnt_on_the_training_set() -> None:
    """A bump anywhere against two bumps: only warping tells them apart."""
    rows, labels = [], []
    for place in range(3, 30, 3):
        for label in (0, 1):
            row = np.zeros(40)
            row[place] = 1
            row[place + 6 * label] = 1
            rows.append(row)
            labels.append(label)
    x, y = np.array(rows)[:, None], np.array(labels)
    assert neighbour.tuned(x, y).window >= 3
    assert neighbour.tuned(x, y).validation_accuracy == 1.0


def test_without_the_library_it_says_so(monkeypatch: pytest.MonkeyPatch, sets: tuple[str, str], tmp_path: Path) -> None:
    def missing(_: str) -> Any:
        raise ImportError

    monkeypatch.setattr(neighbour.importlib, "import_module", missing)
    with pytest.raises(MissingTool, match=r"leanspike\[series\]"):
        comparison.run(small(sets), tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


def test_from_plan_to_page(sets: tuple[str, str], tmp_path: Path) -> None:
    config, out = small(sets), tmp_path / "out"
    study = comparison.run(config, out, workers=0, command="leanspike study ...")
    figures = [trial for trial in study.trials if trial.accuracy is not None]
    assert len(figures) == 2 * (2 + 2 + 1)
    assert len(study.trials) == study.planned == 10 + 2 * 2 * 2
    lif = next(trial for trial in figures if trial.model == "lif")
    assert lif.measured_on == "program"
    program = ir.load(out / "trials" / f"{lif.number:03d}" / "program.lsp")
    known = data.load(lif.parameters["dataset"])
    found = ir.run_fast(program, ir.raw_samples(program, known.x_test))
    assert lif.accuracy == pytest.approx((found.predictions == known.y_test).mean())
    gru = next(trial for trial in figures if trial.model == "gru")
    assert gru.macs is not None
    assert gru.macs > 15 * 3 * 64
    assert gru.energy_nj is not None
    assert {trial.latency_us is not None for trial in figures if trial.seed == 0} == {True}
    order = ranked(survey(study))
    assert order is not None
    assert order.sets == 2
    page = html.unescape((out / "report.html").read_text()).replace("\N{NO-BREAK SPACE}", " ")
    assert sentence(order) in page
    assert "1-NN DTW" in text(study)
    before = (out / "results.json").read_text()
    again = comparison.run(config, out, workers=0, command="leanspike study ...")
    assert [t.accuracy for t in again.trials] == [t.accuracy for t in study.trials]
    assert (out / "results.json").read_text() == before, "nothing was done twice"


def test_a_kill_in_between_changes_no_figure(
    sets: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small(sets, models=("lif",), datasets=sets[:1])
    whole = comparison.run(config, tmp_path / "whole", workers=0)
    done, train = [0], ComparisonJob.train

    def dies(self: ComparisonJob, frozen: Any, pulse: Any) -> Any:
        done[0] += 1
        if done[0] == 3:
            raise KeyboardInterrupt
        return train(self, frozen, pulse)

    monkeypatch.setattr(ComparisonJob, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        comparison.run(config, tmp_path / "cut", workers=0)
    resumed = comparison.run(config, tmp_path / "cut", workers=0)
    assert [t.accuracy for t in resumed.trials] == [t.accuracy for t in whole.trials]
    assert [t.energy_nj for t in resumed.trials] == [t.energy_nj for t in whole.trials]


def test_the_command(sets: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    options = ["--models", "lif,gru", "--size", "300", "--updates", "3", "--seeds", "1", "--trials", "1"]
    options += ["--timesteps", "10", "--workers", "0", "--out", out]
    assert cli.main(["study", ",".join(sets), *options]) == 0
    shown = capsys.readouterr().out
    assert "GRU" in shown
    assert "mean of 2" in shown
    assert "--models lif,gru --size 300 --updates 3" in load(tmp_path / "out").command
    assert cli.main(["report", out, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["finding"].startswith("Mean ranks over 2 sets")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits", "--models", "lif"], "digits: holds samples of kind image, not series"),
        (["ecg200", "--models", "lif,lstn"], "--models: 'lstn' is not a possible value"),
        (["ecg200", "--models", "lif", "--grid", "neuron.beta=0.8"], "--grid: does not go with --models"),
        (["ecg200", "--models", "lif", "--trials", "7"], "--trials: 7"),
        (["ecg200", "--models", "lif", "--size", "5"], "--size: 5"),
        (["ecg200", "--models", "lif", "--timesteps", "5,10"], "--timesteps: a comparison has one"),
        (["ecg200", "--size", "500"], "--size: belongs to a comparison"),
    ],
)
def test_what_does_not_fit(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["study", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err


def test_models_that_have_no_such_name() -> None:
    with pytest.raises(ConfigError, match="models"):
        ComparisonConfig(models=("lif", "lif"))


def test_shifted_series_hold_their_ends() -> None:
    x = torch.arange(12.0).reshape(1, 2, 6).repeat(3, 1, 1)
    moved = shifted(x, torch.tensor([0, 2, -1]), None)
    assert torch.equal(moved[0], x[0])
    assert moved[1, 0].tolist() == [0, 0, 0, 1, 2, 3]
    assert moved[2, 1].tolist() == [7, 8, 9, 10, 11, 11]
    up = shifted(x, None, torch.tensor([0, 1, -1]))
    assert up[1, 0].tolist() == up[1, 1].tolist() == [0, 1, 2, 3, 4, 5]
    assert up[2, 0].tolist() == [6, 7, 8, 9, 10, 11]
