"""results.json: there and back, and one clear line for every way it can be wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanspike.core.errors import LeanspikeError, OutputError, StudyError
from leanspike.measure.exits import Anytime, ExitCurve
from leanspike.measure.latency import Latency
from leanspike.measure.records import FILE, Study, TrialRecord, document, load, parse, save

TRIAL = TrialRecord(
    "digits",
    "mlp 64-100-10",
    "direct",
    5,
    seed=1,
    accuracy=0.95,
    accuracy_ci95=(0.93, 0.97),
    latency_us=Latency(12.5, 30.0),
    firing_rate={"hidden 1": 0.1},
    anytime=Anytime((1, 2), (0.5, 0.9)),
    exit_curve=ExitCurve((0.5,), (1.5,), (0.9,)),
    confusion=((3, 1), (0, 4)),
    versions={"torch": "2.13.0"},
    parameters={"timesteps": 5, "model.hidden": [100]},
    details="details/a.npz",
)
STUDY = Study(
    "digits",
    (TRIAL, TrialRecord("digits", "ann 64-100-10", "none", 0, 0)),
    {"train": {"epochs": 3}},
    "0123456789abcdef",
    "leanspike study digits",
    "test: 360 samples",
    {"cores": 2},
    "2026-11-21T07:00:00Z",
    "0.1.0",
    planned=12,
)


def test_there_and_back(tmp_path: Path) -> None:
    assert save(STUDY, tmp_path) == tmp_path / FILE
    assert load(tmp_path) == STUDY
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_the_document_is_the_published_schema() -> None:
    content = document(STUDY)
    assert list(content) == ["schema", "leanspike", "created", "study", "trials"]
    assert content["trials"][1]["accuracy"] is None
    assert content["trials"][0]["latency_us"] == {"p50": 12.5, "p99": 30.0}
    wanted = """dataset model encoder timesteps seed accuracy accuracy_ci95 latency_us spikes_per_sample firing_rate
        sparsity params synapses macs acs memory_bytes energy_nj train_seconds config_hash versions"""
    assert set(wanted.split()) <= set(content["trials"][0])


def broken(path: str, value: Any) -> dict[str, Any]:
    content: Any = json.loads(json.dumps(document(STUDY)))
    *parents, leaf = path.split(".")
    table = content
    for key in parents:
        table = table[int(key)] if isinstance(table, list) else table[key]
    table[leaf] = value
    return content  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("schema", 99, "schema 99"),
        ("trials", {}, "expected a list"),
        ("study", None, "study: expected a table"),
        ("trials.0.accuracy", 98.4, "accuracy"),
        ("trials.0.accuracy", "high", "expected float"),
        ("trials.0.timesteps", -1, "timesteps"),
        ("trials.0.firing_rate", [0.1], "firing_rate: expected a table"),
        ("trials.0.firing_rate", {"hidden": 1.5}, "firing_rate.hidden"),
        ("trials.0.firing_rate", {"hidden": "x"}, "firing_rate.hidden"),
        ("trials.0.accuracy_ci95", [0.9], "accuracy_ci95"),
        ("trials.0.confusion", [[1, 2], [3]], "confusion"),
        ("trials.0.anytime", {"t": [1], "accuracy": []}, "one length"),
        ("trials.0.latency_us", {"p50": 3.0}, "p99"),
        ("trials.0.details", "../outside.npz", "inside the study's folder"),
        ("trials.0.acuracy", 0.9, "did you mean"),
        ("trials.1", "trial", "trials\\[1\\]"),
    ],
)
def test_a_wrong_field_is_named(path: str, value: Any, words: str) -> None:
    content = broken(path, value) if path != "trials.1" else broken("trials", [document(STUDY)["trials"][0], value])
    with pytest.raises(StudyError, match=words) as caught:
        parse(content)
    assert "\n" not in caught.value.line()


@pytest.mark.parametrize("content", ["", "{", '{"schema": 1', "[]", '{"a": 1}', '{"schema": NaN}', "\x00\xff"])
def test_a_damaged_or_foreign_file_is_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE).write_bytes(content.encode("latin-1"))
    with pytest.raises(LeanspikeError, match=r"results\.json: "):
        load(tmp_path)


def test_a_missing_field_is_named() -> None:
    content = document(STUDY)
    del content["trials"][0]["model"]
    with pytest.raises(StudyError, match=r"trials\[0\]: lacks model"):
        parse(content)


def test_a_missing_folder_says_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="leanspike study"):
        load(tmp_path / "nowhere")
    with pytest.raises(OutputError):
        save(STUDY, tmp_path / "nowhere")
