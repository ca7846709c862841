"""``leanspike data``: list, show and fetch, for people and for machines."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from event_writers import evt2, recording

from leanspike.cli import data
from leanspike.core.errors import DataError


def call(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    data.register(parser.add_subparsers(required=True))
    args = parser.parse_args(["data", *argv])
    code: int = args.run(args)
    return code


def test_list_where_everything_is(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list", "--json") == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(rows)[:5] == ["digits", "mnist", "fashion-mnist", "cifar10", "n-mnist-small"]
    assert {"n-mnist", "dvs128-gesture", "cifar10-dvs", "n-caltech101", "n-cars", "shd", "ssc", "fsdd"} <= set(rows)
    assert rows["ecg200"]["location"] == str(real_data / "ucr")
    assert rows["ecg200"]["checksum"] == "verified (1 files)"
    assert rows["japanesevowels"]["shape"] == [12, 29]
    assert rows["mnist"]["location"] == str(real_data / "mnist")
    assert rows["mnist"]["checksum"] == "verified (4 files)"
    assert (rows["cifar10"]["train"], rows["cifar10"]["shape"]) == (10000, [3, 32, 32])
    assert "batch 1 only" in rows["cifar10"]["note"]
    assert call("list") == 0
    text = capsys.readouterr().out
    assert "60,000 / 10,000" in text
    assert "licence: MIT (Zalando SE)" in text


@pytest.mark.usefixtures("nothing_here")
def test_list_where_nothing_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list") == 0
    text = capsys.readouterr().out
    assert "not here; leanspike data fetch mnist" in text
    assert "inside scikit-learn" in text


def test_list_says_which_file_is_damaged(
    real_data: Path, nothing_here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(real_data / "mnist", nothing_here / "mnist")
    path = nothing_here / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.chmod(0o644)
    path.write_bytes(bytes(4542))
    assert call("list") == 0
    assert f"checksum: WRONG: {path}: is damaged" in capsys.readouterr().out


def test_show_own_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.npz"
    x, y = np.arange(12.0).reshape(6, 2), np.array(["up", "down"] * 3)
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    assert call("show", str(path), "--json") == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["shape"], row["range"], row["classes"], row["test_counts"]) == ([2], [0, 1], ["down", "up"], [3, 3])
    assert call("show", str(path)) == 0
    assert "mine: vector samples of shape 2, float32" in capsys.readouterr().out


def test_fetch(real_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("fetch", "mnist") == 0
    assert str(real_data / "mnist" / "train-images-idx3-ubyte.gz") in capsys.readouterr().out
    assert call("fetch", "digits") == 0
    assert "nothing to fetch" in capsys.readouterr().out
    with pytest.raises(DataError, match="unknown data set"):
        call("fetch", "imagenet")


def test_a_recording_and_the_good_part_of_a_damaged_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "camera.raw"
    content = evt2(recording(200))
    path.write_bytes(content)
    assert call("events", str(path), "--json") == 0
    assert json.loads(capsys.readouterr().out)["events"] == 200
    path.write_bytes(content[:-2])
    with pytest.raises(DataError, match="damaged at byte"):
        call("events", str(path))
    assert call("events", str(path), "--partial") == 0
    told = capsys.readouterr().out
    assert "199 events of 32 x 24" in told
    assert "warning: damaged at byte" in told
