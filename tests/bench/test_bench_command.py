"""``leanspike bench`` as a user sees it: that everything runs and agrees; what it measures is never asserted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from leanspike.bench import memory
from leanspike.bench.candidates import CANDIDATES, OURS
from leanspike.bench.run import failures
from leanspike.bench.tables import PACKING, RECOMPUTE
from leanspike.bench.workloads import Workload
from leanspike.cli import main

QUICK = ["bench", "--quick", "--rounds", "1", "--threads", "1"]


def test_quick_tables_and_their_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--only", "mlp-9-T25,kernels", "--json", "--out", str(tmp_path)]) == 0
    results = json.loads(capsys.readouterr().out)
    assert results["quick"]
    assert [table["name"] for table in results["tables"]] == ["mlp-9-T25", "kernels"]
    rows = {row["candidate"]: row for row in results["tables"][0]["rows"]}
    assert set(rows) == {one.name for one in (*CANDIDATES, RECOMPUTE, PACKING)}
    for name, row in rows.items():
        assert (row["median"] is None) == (row["reason"] is not None), name
    for ours in (OURS.name, RECOMPUTE.name):
        assert rows[ours]["agreement"].startswith("same loss")
    assert rows["torch + compile"]["reason"] == "left out by --quick"
    assert json.loads((tmp_path / "benchmarks.json").read_text()) == results
    page = (tmp_path / "benchmarks.md").read_text()
    assert all(name in page for name in rows)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the high-water mark is read from /proc")
def test_memory_of_a_step() -> None:
    needed = memory.measure(OURS, Workload("memory", 3, 8, sizes=(784, 40, 10)), 1, "giving back")
    assert 0 <= needed < 50


def test_unequal_work_is_named() -> None:
    row = {"candidate": "torch", "agreement": "DIFFERS: first loss by 1.0e-01"}
    assert failures({"tables": [{"name": "mlp-9-T25", "rows": [row]}]}) == [
        "mlp-9-T25: torch: DIFFERS: first loss by 1.0e-01"
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--only", "nosuchtable"], "nosuchtable"),
        (["--rounds", "0"], "--rounds"),
        (["--threads", "0"], "--threads"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *words]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert told in said[0]


def test_quick_inference_agrees_and_names_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*QUICK, "--only", "inference-rate-B1,inference-direct-B256", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [table["name"] for table in tables] == ["inference-rate-B1", "inference-direct-B256"]
    for table in tables:
        rows = {row["candidate"]: row for row in table["rows"]}
        assert rows["leanspike engine"]["agreement"].startswith("same")
        assert rows["leanspike engine"]["ratio_to_ours"] == 1
        for name, row in rows.items():
            assert (row["median"] is None) == (row["reason"] is not None), name
            assert not row["agreement"].startswith("DIFFERS"), name
