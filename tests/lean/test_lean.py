"""Whole roads on digits: figures of real programs, one look at the test set, kill -9, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from leanspike import cli, data, ir
from leanspike.data import Dataset, split
from leanspike.measure.program import measure

BUDGET = ["--budget-kb", "3", "--epochs", "2", "--finish-epochs", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    arguments = ["--epochs", "6", "--timesteps", "2", "--set", "model.hidden=[48]"]
    assert cli.main(["train", "digits", "--out", str(folder), *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def walked(run: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("road") / "lean"
    assert cli.main(["lean", str(run), "--out", str(out), "--json", *BUDGET]) == 0
    return json.loads((out / "road.json").read_text()), out


def test_the_figures_of_every_step_are_those_of_its_program(walked: tuple[dict[str, Any], Path]) -> None:
    page, out = walked
    digits = data.load("digits")
    _, validation = split(digits, 0.1, 0)
    assert len(page["steps"]) > 2
    for step in page["steps"]:
        program = ir.load(out / "steps" / f"{step['number']:03d}" / "program.lsp")
        found = measure(program, ir.raw_samples(program, validation.x), validation.y, validation.numbers)
        assert step["figures"]["accuracy"] == found.accuracy
        assert step["figures"]["bytes"] == found.footprint.array_bytes + found.footprint.state_bytes
        assert step["figures"]["operations"] == pytest.approx(found.macs + found.acs)


def test_the_end_meets_the_budget_on_the_test_set(walked: tuple[dict[str, Any], Path]) -> None:
    page, out = walked
    program, test = ir.load(out / "program.lsp"), data.load("digits").test()
    found = measure(program, ir.raw_samples(program, test.x), test.y, test.numbers)
    assert page["met"] is True
    assert page["test"]["bytes"] == found.footprint.array_bytes + found.footprint.state_bytes <= 3 * 1024
    assert page["test"]["accuracy"] == found.accuracy > 0.8
    end = page["steps"][page["end"]]
    assert end["kept"]
    assert end["figures"]["bytes"] < page["steps"][0]["figures"]["bytes"]


def test_a_finished_road_is_told_again_without_another_look(
    walked: tuple[dict[str, Any], Path], run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page, out = walked

    def looked(_: Dataset) -> None:
        raise AssertionError("the test set had its one look")

    monkeypatch.setattr(Dataset, "test", looked)
    assert cli.main(["lean", str(run), "--out", str(out), *BUDGET]) == 0
    told = capsys.readouterr().out
    assert "The budget is met: test accuracy" in told
    assert "of at most 3,072" in told
    assert len(told.splitlines()) == len(page["steps"]) + 4
    assert cli.main(["lean", str(run), "--out", str(out), "--budget-kb", "2"]) == 2
    assert "holds another road" in capsys.readouterr().err


def test_a_budget_that_cannot_be_met_exits_1_with_the_nearest(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--target-accuracy", "99.9", "--budget-kb", "0.01", "--epochs", "1", "--finish-epochs", "1"]
    assert cli.main(["lean", str(run), "--out", str(tmp_path), *asked]) == 1
    assert "The budget is NOT met; the nearest program" in capsys.readouterr().out
    assert ir.load(tmp_path / "program.lsp")


def test_no_budget_is_one_clear_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["lean", str(run), "--out", str(tmp_path)]) == 2
    assert "at least one of --target-accuracy" in capsys.readouterr().err
    assert cli.main(["lean", str(tmp_path / "none"), "--out", str(tmp_path), "--budget-kb", "3"]) == 2


def test_killed_with_9_the_road_ends_at_the_same_program(
    walked: tuple[dict[str, Any], Path], run: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "leanspike", "lean", str(run), "--out", str(tmp_path), *BUDGET]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True)
    for _ in range(2400):
        if (tmp_path / "steps" / "002" / "compress.json").exists():
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    first = (tmp_path / "steps" / "001" / "figures.json").stat().st_mtime_ns
    assert cli.main(["lean", str(run), "--out", str(tmp_path), *BUDGET]) == 0
    assert (tmp_path / "steps" / "001" / "figures.json").stat().st_mtime_ns == first
    page = json.loads((tmp_path / "road.json").read_text())
    assert page["steps"] == walked[0]["steps"]
    assert page["sha256"] == walked[0]["sha256"]
