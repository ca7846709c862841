"""``leanspike detect`` as a user types it, and the page it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_scenes

from leanspike.cli import main
from leanspike.detect import digits as digits_module

SMALL = [
    "--epochs", "1", "--timesteps", "3", "--set", "model.channels=[6,8]", "--set", "model.deep=[8]",
    "--set", "train.batch_size=8", "--set", "lean.train.batch_size=8",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, coco: None) -> Path:  # noqa: ARG001
    base = tmp_path_factory.mktemp("detect")
    tiny_scenes.write(base / "scenes")
    assert main(["detect", "train", str(base / "scenes"), "--out", str(base / "run"), *SMALL]) == 0
    return base / "run"


def test_scenes_are_composed_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits_module, "digits", lambda *_: tiny_scenes.recordings())
    settings = ["--set", "train=6", "--set", "val=3", "--set", "test=4", "--seed", "2"]
    assert main(["detect", "scenes", "--out", str(tmp_path / "s"), *settings, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert {part: row["scenes"] for part, row in facts["counts"].items()} == {"train": 6, "val": 3, "test": 4}
    assert facts["config"]["seed"] == 2
    assert json.loads((tmp_path / "s" / "scenes.json").read_text()) == facts


def test_the_table_names_every_measure(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "report", str(run)]) == 0
    out = capsys.readouterr().out
    assert "mAP over IoU 0.50:0.95, AP50 at IoU 0.50" in out
    assert "equal the quantised network's in 10 of 10 windows" in out


def test_leanspike_report_knows_such_a_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "report.html").read_text()
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out == f"report: {run / 'report.html'}\n"
    assert (run / "report.html").read_text() == before


def test_a_finished_run_is_not_trained_again(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "train", str(run.parent / "scenes"), "--out", str(run), *SMALL, "--json"]) == 0
    told = capsys.readouterr()
    assert "nothing was trained" in told.err
    assert json.loads(told.out)["kind"] == "detection"


def test_the_page_stands_alone_and_shows_the_windows(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert page.count("data:image/png;base64,") >= 6
    assert "mAP (IoU 0.50:0.95)" in page
    assert "AP50" in page
    for outside in ("http://", "https://", "<script"):
        assert outside not in page.replace("http://www.w3.org", "")


@pytest.mark.parametrize(("words", "told"), [
    (["train", "nowhere", "--out", "r"], "holds no recording"),
    (["train", "nowhere", "--out", "r", "--set", "model.channel=[1]"], "did you mean model.channels?"),
    (["scenes", "--out", "s", "--set", "side=3"], "scenes.side: 3"),
    (["report", "nowhere"], "leanspike detect train DIR --out RUN makes it"),
])  # fmt: skip
def test_bad_input_is_one_line_and_exit_2(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["detect", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_damaged_results_are_told(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads((run / "detection.json").read_text())
    for content in ("{", json.dumps({**found, "schema": 9}), json.dumps({**found, "quality": {}})):
        (tmp_path / "detection.json").write_text(content)
        (tmp_path / "pictures.npz").write_bytes((run / "pictures.npz").read_bytes())
        assert main(["detect", "report", str(tmp_path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "report.html").exists()
