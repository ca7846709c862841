"""``leanspike neuron`` as a user sees it."""

from __future__ import annotations

import argparse
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from leanspike.cli import neuron
from leanspike.core.errors import ConfigError, OutputError

FILES = {"traces.svg", "error.svg", "fi.svg", "neuron.json"}


def command(*words: str) -> int:
    parser = argparse.ArgumentParser()
    neuron.register(parser.add_subparsers())
    args = parser.parse_args(["neuron", *words])
    code: int = args.run(args)
    return code


def test_writes_pictures_and_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--out", str(tmp_path / "a" / "b"), "--current", "2.5e-9") == 0
    folder = tmp_path / "a" / "b"
    assert {path.name for path in folder.iterdir()} == FILES
    for path in folder.glob("*.svg"):
        text = path.read_text()
        assert ElementTree.fromstring(text).tag.endswith("svg")
        assert "Date" not in text
    labels = {"traces": "time (ms)", "error": "dt / tau", "fi": "firing rate f (Hz)"}
    assert all(label in (folder / f"{name}.svg").read_text() for name, label in labels.items())
    numbers = json.loads((folder / "neuron.json").read_text())
    assert numbers["parameters"]["current"] == 2.5e-9
    assert {"rheobase", "rate", "spikes", "beta", "membrane_error", "spike_time_error", "fi"} <= set(numbers)
    assert "order 4" in capsys.readouterr().out


def test_pictures_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        command("--out", str(tmp_path / name))
    for file in FILES:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_json_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--json", "--refractory", "0") == 0
    numbers = json.loads(capsys.readouterr().out)
    assert {curve["refractory"] for curve in numbers["fi"]} == {0.0}


def test_bad_value_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        command("--out", str(tmp_path / "new"), "--tau", "-1")
    assert error.value.line() == "tau: -1.0 is not a possible value; a time above 0 s, for example 20e-3"
    assert not (tmp_path / "new").exists()


def test_output_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another --out"):
        command("--out", str(tmp_path / "file"))
