"""Scenes: drawn from the seed alone, boxes where the events are, nothing of one part in another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_scenes import SCENES, digit, recordings, write

from leanspike.core.errors import ConfigError, OutputError
from leanspike.detect import prophesee
from leanspike.detect.boxes import overlap
from leanspike.detect.digits import digits, write_scenes
from leanspike.detect.scenes import SceneConfig, compose

DIGITS = [digit(i % 2, i) for i in range(8)]


def test_a_scene_is_a_function_of_seed_part_and_number() -> None:
    one, again = (compose(DIGITS, SCENES, "train", 3) for _ in range(2))
    assert one.boxes.equals(again.boxes)
    np.testing.assert_array_equal(one.events.t, again.events.t)
    for other in (compose(DIGITS, SCENES, "train", 4), compose(DIGITS, SCENES, "val", 3)):
        assert not one.boxes.equals(other.boxes)
    assert not one.boxes.equals(compose(DIGITS, replace(SCENES, seed=1), "train", 3).boxes)


def test_a_digit_at_rest_has_its_events_in_its_box() -> None:
    still = replace(SCENES, speed=0.0, noise_hz=0.0, fewest=1, most=1)
    for number in range(20):
        scene = compose(DIGITS, still, "train", number)
        x0, y0, x1, y1 = scene.boxes.corners[0]
        inside = (scene.events.x >= x0) & (scene.events.x < x1) & (scene.events.y >= y0) & (scene.events.y < y1)
        assert inside.mean() > 0.9
        assert scene.events.x[inside].min() == x0
        assert scene.events.y[inside].max() == y1 - 1


def test_a_moving_digit_ends_in_its_box() -> None:
    fast = replace(SCENES, speed=150.0, noise_hz=0.0, fewest=1, most=1)
    moved = 0.0
    for number in range(20):
        scene = compose(DIGITS, fast, "train", number)
        last = scene.events.between(90_000, 100_000)
        centre = np.array([(last.x.min() + last.x.max() + 1) / 2, (last.y.min() + last.y.max() + 1) / 2])
        box = scene.boxes.corners[0]
        assert np.abs(centre - (box[:2] + box[2:]) / 2).max() < 3
        first = scene.events.between(0, 10_000)
        if len(first):
            moved = max(moved, abs(float(first.x.mean() - last.x.mean())))
    assert moved > 8


def test_only_training_digits_are_warped_and_thinned() -> None:
    plain, strong = replace(SCENES, warp=0.0, drop=0.0, noise_hz=0.0), replace(SCENES, warp=0.4, drop=0.6, noise_hz=0.0)
    for part, alike in (("train", False), ("val", True), ("test", True)):
        one, other = (compose(DIGITS, config, part, 0) for config in (plain, strong))
        assert one.boxes.equals(other.boxes) == alike
        assert (len(one.events) == len(other.events)) == alike


def test_boxes_lie_in_the_field_and_hardly_overlap() -> None:
    config = replace(SCENES, most=4, fewest=4, side=64, overlap=0.05)
    for number in range(30):
        corners = compose(DIGITS, config, "test", number).boxes.corners
        assert corners.min() >= 0
        assert corners.max() <= 64
        shared = overlap(corners, corners) - np.eye(len(corners))
        assert shared.max(initial=0) <= 0.05


def test_noise_falls_at_the_asked_rate() -> None:
    loud = replace(SCENES, noise_hz=20.0, side=64, fewest=1, most=1)
    quiet = replace(loud, noise_hz=0.0)
    pairs = [[compose(DIGITS, config, "train", i).events for config in (loud, quiet)] for i in range(10)]
    counts = [len(a) - len(b) for a, b in pairs]
    assert 0.8 < np.mean(counts) / (20 * 64 * 64 * 0.1) < 1.2


def test_a_written_set_reads_back_scene_by_scene(tmp_path: Path) -> None:
    folder = write(tmp_path / "scenes")
    ((events_path, boxes_path),) = prophesee.recordings(folder / "val")
    marks, own = prophesee.read_boxes(boxes_path), recordings()["val"]
    for number in range(SCENES.val):
        expected = compose(own, SCENES, "val", number).boxes
        found = marks.at((number + 1) * SCENES.window_us)
        np.testing.assert_array_equal(found.corners, expected.corners)
        np.testing.assert_array_equal(found.labels, expected.labels)
    assert events_path.stat().st_size > 1000


def test_scenes_are_not_written_over(tmp_path: Path) -> None:
    write(tmp_path / "scenes")
    with pytest.raises(OutputError, match="is no empty folder; choose another --out"):
        write(tmp_path / "scenes")


def test_scenes_that_were_cut_off_leave_nothing_and_are_composed_anew(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(SCENES, recordings(), tmp_path / "scenes", stop)
    assert not (tmp_path / "scenes").exists()
    write(tmp_path / "scenes")
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ConfigError, match=r"scenes.fewest/most: \[4, 2\]"):
        SceneConfig(fewest=4, most=2)
    with pytest.raises(ConfigError, match=r"scenes.side: 20"):
        SceneConfig(side=20)


def test_no_recording_is_in_two_parts(real_data: Path) -> None:
    if not (real_data / "n-mnist-small").is_dir():
        pytest.skip("needs n-mnist-small")
    parts = digits(seed=0, validation=0.1)
    assert {part: len(found) for part, found in parts.items()} == {"val": 101, "train": 899, "test": 100}
    known = [{found.events.t.tobytes() + found.events.x.tobytes() for found in parts[part]} for part in parts]
    assert sum(map(len, known)) == len(set.union(*known)) == 1100
