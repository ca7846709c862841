"""The page's text: the same for the same results, whole for any study, and safe against what names may hold."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import example_study
import matplotlib as mpl
import pytest

from leanspike.core.errors import OutputError, StudyError
from leanspike.measure.records import FILE, Study, TrialRecord, load, save
from leanspike.report import build, tables
from leanspike.report.html import page
from leanspike.report.overview import survey


def test_the_same_results_give_the_same_bytes(studies: dict[str, Path]) -> None:
    before = (studies["partial"] / "report.html").read_bytes()
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.hashsalt": None}):
        assert build(studies["partial"]).read_bytes() == before


def test_nothing_outside_is_named(studies: dict[str, Path]) -> None:
    text = (studies["whole"] / "report.html").read_text()
    assert re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*", text) == []
    assert "://" not in re.sub(r"xmlns(:\w+)?=\"[^\"]*\"", "", text)
    assert "<script" not in text
    assert "font-family: '" not in text


def test_names_cannot_become_markup(tmp_path: Path) -> None:
    nasty = "<script>alert(1)</script>"
    trials = tuple(
        TrialRecord(nasty, f"mlp {nasty}", nasty, t, 0, 0.9, firing_rate={nasty: 0.5}, spikes_per_sample=3.0)
        for t in (2, 4)
    )
    text = page(Study(nasty, trials, command=nasty, split=nasty, machine={nasty: nasty}), tmp_path)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_partial_study_says_what_is_missing(studies: dict[str, Path]) -> None:
    text = (studies["partial"] / "report.html").read_text()
    assert "Not finished: 2 of 15 trials are in." in text
    assert "memory, energy" in text


def test_holes_among_finished_trials_are_named() -> None:
    trials = tuple(TrialRecord("d", "mlp 1", "direct", t, seed) for t, seed in [(5, 0), (5, 1), (10, 0)])
    assert survey(Study("d", trials, planned=4)).missing == (
        "Not finished: 3 of 4 trials are in. Missing beside finished ones: T = 10: seed 1."
    )
    assert survey(Study("d", trials, planned=3)).missing is None


def test_no_trial_no_figure(studies: dict[str, Path]) -> None:
    text = (studies["empty"] / "report.html").read_text()
    assert "No trial has finished yet." in text
    assert "<svg" not in text
    assert "Rasters and membrane traces: not recorded." in text


def test_nothing_measured_is_not_zero(tmp_path: Path) -> None:
    text = page(
        Study("d", (TrialRecord("d", "mlp 1", "direct", 5, 0), TrialRecord("d", "mlp 1", "direct", 9, 0))), tmp_path
    )
    assert "Confusion matrix: not measured." in text
    assert "Firing rates: not measured." in text
    assert "accuracy, floats, against ann, latency p50" in text
    assert not re.search(r"<td[^>]*>0", text)


@pytest.mark.parametrize("damage", ["missing", "truncated", "flipped", "foreign", "pickle"])
def test_damaged_samples_leave_the_rest_of_the_page(tmp_path: Path, damage: str) -> None:
    import numpy as np

    study = example_study.make(tmp_path, steps=(5,), seeds=1)
    details = tmp_path / str(study.trials[0].details)
    if damage == "missing":
        details.unlink()
    elif damage == "truncated":
        details.write_bytes(details.read_bytes()[:500])
    elif damage == "flipped":
        content = bytearray(details.read_bytes())
        content[200:260] = bytes(byte ^ 0x5A for byte in content[200:260])
        details.write_bytes(content)
    elif damage == "foreign":
        np.savez(details, other=np.zeros(3))
    else:
        np.savez(details, labels=np.array([object()]), predictions=np.zeros(1))
    text = page(study, tmp_path)
    assert f"No samples from {details.name}: the file is {'missing' if damage == 'missing' else 'damaged'}" in text
    assert "Confusion matrix" in text


def test_series_and_vectors_have_rasters_without_a_picture(tmp_path: Path) -> None:
    import numpy as np

    study = example_study.make(tmp_path, steps=(5,), seeds=1)
    details = tmp_path / str(study.trials[0].details)
    with np.load(details) as file:
        arrays = dict(file)
    for shape in ((5, 1, 140), (5, 30)):
        np.savez(details, **{**arrays, "images": np.random.default_rng(0).random(shape)})
        text = page(study, tmp_path)
        assert "<img" not in text
        assert text.count("hidden 1: spikes") == 2


def test_class_names_are_used_throughout(tmp_path: Path) -> None:
    study = example_study.make(tmp_path, steps=(5,), seeds=1)
    names = tuple(f"garment {i}" for i in range(10))
    text = page(dataclasses.replace(study, classes=names), tmp_path)
    assert '<th scope="row">garment 3</th>' in text
    assert "Label garment" in text


def test_small_settings_keep_their_digits(studies: dict[str, Path]) -> None:
    text = (studies["search"] / "report.html").read_text()
    assert re.search(r">0\.000[25]</text>|>0\.001</text>", text)
    assert ">0.00</text>" not in text


def test_a_damaged_study_writes_no_page(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"schema": 1')
    with pytest.raises(StudyError, match="is damaged"):
        build(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_line(tmp_path: Path) -> None:
    save(Study("d"), tmp_path)
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match=r"report\.html: cannot be written"):
        build(tmp_path)


def test_tables_agree_with_the_records(studies: dict[str, Path]) -> None:
    study = load(studies["whole"])
    lines = tables.text(study).splitlines()
    assert len(lines) == 1 + 4 + 1
    assert lines[0].split()[:3] == ["T", "Seeds", "Accuracy"]
    assert lines[-1].split()[0] == "ANN"
    markdown = tables.markdown(study).splitlines()
    assert len({line.count("|") for line in markdown}) == 1
    accuracies = [trial.accuracy for trial in study.trials if trial.timesteps == 5]
    assert f"{100 * sum(a for a in accuracies if a) / 3:.2f} ±" in markdown[2]


def test_markdown_cells_cannot_break_the_table() -> None:
    trials = tuple(TrialRecord("d", f"mlp a|{i}", "direct", 5, 0, 0.5) for i in range(2))
    assert r"mlp a\|1" in tables.markdown(Study("d", trials))


def test_a_tune_without_a_trial_says_so(studies: dict[str, Path]) -> None:
    text = (studies["no-tune"] / "report.html").read_text()
    assert "None of 0 trials finished." in text
    assert "<svg" not in text
    assert "Not finished: 0 of 3" in text


def test_a_tune_tells_its_front_in_words_and_in_the_terminal(studies: dict[str, Path]) -> None:
    from leanspike.report import tuned

    study = load(studies["tune"])
    found = tuned.survey(study)
    assert len(found.stopped) == 8
    for trial in found.finished:
        costs = [(-tuned.goal(t, "accuracy"), tuned.goal(t, "energy"), tuned.goal(t, "bytes")) for t in found.finished]
        own = costs[found.finished.index(trial)]
        beaten = any(all(a <= b for a, b in zip(other, own, strict=True)) and other != own for other in costs)
        assert (trial in found.front) != beaten
    told = tuned.text(found)
    assert f"*{study.chosen}" in told
    assert "on the test set it reads 96.11 %" in told
    assert len(told.splitlines()) == len(found.front) + 3
