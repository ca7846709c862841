"""Prophesee's format, written here and read by both spellings, and windows of it as samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_scenes import SCENES, write

from leanspike.core.errors import DataError
from leanspike.data.events import Events, frames, read
from leanspike.detect import prophesee
from leanspike.detect.boxes import Boxes
from leanspike.detect.windows import GEN1_CLASSES, WindowConfig, classes_of, load

GEN1 = np.dtype([
    ("ts", "<u8"), ("x", "<f4"), ("y", "<f4"), ("w", "<f4"), ("h", "<f4"),
    ("class_id", "u1"), ("confidence", "<f4"), ("track_id", "<u4"),
])  # fmt: skip
NEWER = np.dtype([
    ("t", "<i8"), ("x", "<f4"), ("y", "<f4"), ("w", "<f4"), ("h", "<f4"),
    ("class_id", "<u4"), ("track_id", "<u4"), ("class_confidence", "<f4"),
])  # fmt: skip
ROWS = [
    (600_000, 10, 20, 50, 30, 0),
    (600_000, 200, 100, 40, 40, 1),
    (100_000, 5, 5, 60, 60, 1),
    (700_000, 1, 1, 8, 50, 0),
]


def boxes_file(path: Path, kind: np.dtype[Any]) -> Path:
    records = np.zeros(len(ROWS), dtype=kind)
    for name, column in zip((kind.names[0], "x", "y", "w", "h", "class_id"), zip(*ROWS, strict=True), strict=True):
        records[name] = column
    np.save(path, records)
    return path


def events(seed: int = 0, count: int = 20_000) -> Events:
    random = np.random.default_rng(seed)
    t = np.sort(random.integers(800_000, size=count))
    return Events(
        t, random.integers(304, size=count), random.integers(240, size=count), random.random(count) < 0.5, 304, 240
    )


def gen1(folder: Path, kind: np.dtype[Any] = GEN1) -> Path:
    folder.mkdir(parents=True)
    prophesee.write_recording(folder, "17-04-06_1", events(), [])
    boxes_file(folder / "17-04-06_1_bbox.npy", kind)
    return folder


@pytest.mark.parametrize("kind", [GEN1, NEWER], ids=["ts, confidence", "t, class_confidence"])
def test_both_spellings_of_the_records_are_read(tmp_path: Path, kind: np.dtype[Any]) -> None:
    marks = prophesee.read_boxes(boxes_file(tmp_path / "a_bbox.npy", kind))
    assert marks.times.tolist() == [100_000, 600_000, 600_000, 700_000]
    np.testing.assert_array_equal(marks.at(600_000).corners, [[10, 20, 60, 50], [200, 100, 240, 140]])
    assert marks.at(600_000).labels.tolist() == [0, 1]


def test_a_recording_comes_back_as_it_was_written(tmp_path: Path) -> None:
    mine, boxes = events(), Boxes.true([[1, 2, 11, 22], [100, 50, 120, 90]], [1, 0])
    prophesee.write_recording(tmp_path, "one", mine, [(300_000, boxes), (500_000, boxes[:1])])
    again, marks = read(tmp_path / "one_td.dat"), prophesee.read_boxes(tmp_path / "one_bbox.npy")
    for name in ("t", "x", "y", "p"):
        np.testing.assert_array_equal(getattr(again, name), getattr(mine, name))
    assert (again.width, again.height) == (304, 240)
    assert marks.at(300_000).equals(boxes)
    assert len(marks.at(500_000)) == 1


def test_a_window_holds_the_events_before_its_boxes(tmp_path: Path) -> None:
    samples = load(gen1(tmp_path / "train"), WindowConfig(timesteps=4, window_ms=100), 2)
    assert samples.shape == (4, 2, 240, 304)
    assert [len(boxes) for boxes in samples.boxes] == [1, 2, 1]
    expected = frames.by_time(events(), 4, 25_000, start=500_000) > 0
    np.testing.assert_array_equal(samples.frames()[1], expected)
    np.testing.assert_array_equal(samples.raw()[1], np.moveaxis(expected, 1, -1))


def test_the_rules_of_gen1_leave_early_and_small_boxes_out(tmp_path: Path) -> None:
    config = WindowConfig(timesteps=2, skip_ms=500, least_side=10, least_diagonal=58)
    samples = load(gen1(tmp_path / "test"), config, 2)
    assert [boxes.labels.tolist() for boxes in samples.boxes] == [[0], []]


def test_boxes_are_cut_to_the_field(tmp_path: Path) -> None:
    boxes = Boxes.true([[-5, 230, 20, 250], [310, 10, 330, 30]], [0, 1])
    prophesee.write_recording(tmp_path, "edge", events(), [(400_000, boxes)])
    (kept,) = load(tmp_path, WindowConfig(), 2).boxes
    np.testing.assert_array_equal(kept.corners, [[0, 230, 20, 240]])


def test_composed_scenes_are_read_by_the_same_way(tmp_path: Path) -> None:
    folder = write(tmp_path / "scenes")
    assert classes_of(folder)[:3] == ("0", "1", "2")
    assert classes_of(tmp_path) == GEN1_CLASSES
    samples = load(folder / "test", WindowConfig(timesteps=5), 10)
    assert len(samples) == SCENES.test
    assert samples.shape == (5, 2, 48, 48)
    assert 0.005 < samples.frames().mean() < 0.3


def broken(folder: Path, name: str) -> None:
    if name == "boxes":
        (folder / "17-04-06_1_bbox.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00{'descr'")
    elif name == "fields":
        np.save(folder / "17-04-06_1_bbox.npy", np.zeros(3, dtype=[("ts", "<u8"), ("x", "<f4")]))
    elif name == "flat":
        records = np.zeros(1, dtype=GEN1)
        records["ts"], records["w"] = 600_000, 5
        np.save(folder / "17-04-06_1_bbox.npy", records)
    elif name == "gone":
        (folder / "17-04-06_1_bbox.npy").unlink()
    elif name == "events":
        path = folder / "17-04-06_1_td.dat"
        path.write_bytes(path.read_bytes()[:-3])
    else:
        (folder / "17-04-06_1_td.dat").unlink()


@pytest.mark.parametrize(("name", "told"), [
    ("boxes", "is no NumPy file of plain records"),
    ("fields", r"has the fields ts, x; wanted: ts \(or t\), x, y, w, h, class_id"),
    ("flat", "box 0 is 5 x 0 pixels"),
    ("gone", "has no 17-04-06_1_bbox.npy beside it"),
    ("events", "is damaged at byte"),
    ("recording", r"holds no recording \*_td.dat"),
])  # fmt: skip
def test_damage_is_one_clear_error(tmp_path: Path, name: str, told: str) -> None:
    folder = gen1(tmp_path / "train")
    broken(folder, name)
    with pytest.raises(DataError, match=told):
        load(folder, WindowConfig(), 2)


def test_a_class_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has class 1 of 1"):
        load(gen1(tmp_path / "train"), WindowConfig(), 1)


def test_a_damaged_page_of_classes_is_told(tmp_path: Path) -> None:
    (tmp_path / "scenes.json").write_text(json.dumps({"classes": []}))
    with pytest.raises(DataError, match="names no classes"):
        classes_of(tmp_path)
