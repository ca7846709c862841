"""``leanspike report DIR`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import example_study
import pytest

from leanspike.cli import main


def test_it_builds_the_page_and_prints_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example_study.make(tmp_path, steps=(5, 10), seeds=2, planned=12)
    assert main(["report", str(tmp_path)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[:2] == ["T", "Seeds"]
    assert any(line.startswith("Not finished: 6 of 12") for line in out)
    assert out[-1] == f"report: {tmp_path / 'report.html'}"
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


def test_json_is_json_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example_study.make(tmp_path, steps=(5,), seeds=1)
    assert main(["report", str(tmp_path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["report"] == str(tmp_path / "report.html")
    assert facts["trials"] == facts["planned"] == 2
    assert facts["finding"].startswith("T = 5 reaches")


def test_a_folder_without_a_study_is_one_line_and_exit_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("leanspike: error: ")
    assert "leanspike study DATASET" in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
