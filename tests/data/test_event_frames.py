"""Events in frames: every event is counted once, where and when it fell."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from event_writers import HEIGHT, WIDTH, recording

from leanspike import data
from leanspike.core.errors import ConfigError
from leanspike.data.events import Events, frames


def slowly(events: Events, frame: list[int], count: int) -> np.ndarray:
    found = np.zeros((count, 2, HEIGHT, WIDTH), dtype=int)
    for f, x, y, p in zip(frame, events.x, events.y, events.p, strict=True):
        if 0 <= f < count:
            found[f, int(p), y, x] += 1
    return found


@pytest.mark.parametrize("start", [None, 0, 5000])
def test_frames_of_equal_time(start: int | None) -> None:
    events = recording(2000)
    first = int(events.t[0]) if start is None else start
    expected = slowly(events, ((events.t - first) // 700).tolist(), 9)
    np.testing.assert_array_equal(frames.by_time(events, 9, 700, start), expected)


@pytest.mark.parametrize("count", [1, 7, 400, 450])
def test_frames_of_equal_counts(count: int) -> None:
    events = recording(400)
    found = frames.by_count(events, count)
    sizes = found.sum(axis=(1, 2, 3))
    assert sizes.sum() == 400
    assert sizes.max() - sizes.min() <= 1
    edges = [f * 400 // count for f in range(count + 1)]
    expected = np.concatenate([slowly(events[a:b], [0] * (b - a), 1) for a, b in pairwise(edges)])
    np.testing.assert_array_equal(found, expected)


def test_counts_stop_at_255() -> None:
    one = np.zeros(300, dtype=int)
    assert frames.by_time(Events(one, one, one, one > 0, 1, 1), 1, 10).max() == 255


def test_voxels_share_an_event_between_the_frames_around_it() -> None:
    t, none = np.array([0, 25, 100]), np.zeros(3, dtype=int)
    found = frames.voxel(Events(t, none, none, none == 0, 1, 1), 5)[:, 1, 0, 0]
    np.testing.assert_allclose(found, [1, 1, 0, 0, 1])
    assert frames.voxel(recording(500), 6).sum() == pytest.approx(500)


@pytest.mark.parametrize("count", [1, 3])
def test_no_events_are_empty_frames(count: int) -> None:
    none = recording(5)[:0]
    for found in (frames.by_time(none, count, 10), frames.by_count(none, count), frames.voxel(none, count)):
        assert found.shape == (count, 2, HEIGHT, WIDTH)
        assert not found.any()


def test_frames_that_cannot_be_are_told() -> None:
    with pytest.raises(ConfigError, match="frames"):
        frames.by_count(recording(5), 0)
    with pytest.raises(ConfigError, match="duration"):
        frames.by_time(recording(5), 2, 0)


def test_the_first_recordings_of_nmnist() -> None:
    if not (Path(os.environ.get("LEANSPIKE_DATA", "nowhere")) / "n-mnist-small").is_dir():
        pytest.skip("no LEANSPIKE_DATA")
    found = data.load("n-mnist-small")
    assert np.bincount(found.y_train).tolist() == [97, 116, 99, 93, 105, 92, 94, 117, 87, 100]
    assert found.shape == (32, 2, 34, 34)
    assert 0.03 < (found.x_train > 0).mean() < 0.05
