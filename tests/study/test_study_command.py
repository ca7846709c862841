"""``leanspike study`` as a user sees it: the table, the machine-readable form, and bad input in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from leanspike.cli import main

SMALL = ["--timesteps", "1,2", "--seeds", "1", "--set", "model.hidden=[16]", "--set", "train.epochs=1"]


def test_the_table_and_then_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["study", "digits", *SMALL, "--workers", "1", "--out", str(tmp_path / "study")]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "Accuracy" in said.out
    assert "report.html" in said.out
    assert "[3/3]" in said.err
    assert main([*words, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == json.loads((tmp_path / "study" / "results.json").read_text())
    assert "3 of 3 trials are finished already" in said.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["digits", "--timesteps", "0"], "timesteps"),
        (["digits", "--timesteps", "five"], "whole numbers, as in 5,10,25"),
        (["digits", "--seeds", "0"], "seeds"),
        (["digits", "--workers", "0"], "--workers"),
        (["nosuchset"], "nosuchset"),
        (["digits", "--set", "neuron.bta=0.9"], "neuron.bta"),
        (["digits", "--set", "neuron.threshold=-1"], "threshold"),
        (["digits", "--grid", "neuron.bta=0.9,1.0"], "neuron.bta"),
        (["digits", "--search", "neuron.beta=0.9"], "KEY=LOW:HIGH"),
        (["digits", "--goals", "speed"], "goals"),
        (["digits", "--set", "encoder.kind=delta"], "delta"),
        (["digits", "--config", "nosuchfile.toml"], "nosuchfile.toml"),
        (["digits", "--storage", "postgresql://me:secret@127.0.0.1:1/nothing"], "storage cannot be used"),
        (["digits", "--storage", "no address"], "is not an address"),
        (["digits", "--storage", "mysql://host/base"], "neither PostgreSQL nor SQLite"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", *words]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith("leanspike: error: ")
    assert told in said.err
    assert "secret" not in said.err
    assert list(tmp_path.iterdir()) == []


def test_an_output_folder_that_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["study", "digits", *SMALL, "--out", str(tmp_path / "file")]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_the_password_stays_out_of_the_results(
    postgresql: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgresql.replace("leanspike@", "leanspike:secret@")
    words = ["study", "digits", *SMALL, "--no-ann", "--out", str(tmp_path), "--storage", url]
    assert main(words) == 0
    written = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(b"secret" in content for content in written)
    assert "secret" not in "".join(capsys.readouterr())
