"""Filters, augmentation and preparation of recordings, against slow definitions."""

from __future__ import annotations

import numpy as np
import pytest
from event_writers import HEIGHT, WIDTH, recording

from leanspike.core.errors import ConfigError
from leanspike.data.events import Events, augment, filters, frames, prepare
from leanspike.data.events.augment import Augmentation, augmented
from leanspike.data.events.prepare import Preparation, framed


def slowly(events: Events, dead: int) -> list[int]:
    last: dict[tuple[int, int], int] = {}
    kept = []
    for i, (t, x, y) in enumerate(zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), strict=True)):
        if t - last.get((x, y), -(10**9)) >= dead:
            kept.append(i)
            last[x, y] = t
    return kept


@pytest.mark.parametrize("dead", [0, 1, 500, 20_000, 10**8])
def test_a_refractory_pixel_lets_through_what_comes_late_enough(dead: int) -> None:
    events = recording(3000)
    found = filters.refractory(events, dead)
    np.testing.assert_array_equal(found.t, events.t[slowly(events, dead)])
    np.testing.assert_array_equal(found.x, events.x[slowly(events, dead)])
    assert not len(filters.refractory(events[:0], dead))


def test_hot_pixels_are_those_far_above_the_mean() -> None:
    events = recording(2000)
    x, y = events.x.copy(), events.y.copy()
    x[::4], y[::4] = 5, 7
    events = Events(events.t, x, y, events.p, WIDTH, HEIGHT)
    hot = filters.hot_pixels(events, 10)
    assert np.argwhere(hot).tolist() == [[7, 5]]
    clean = filters.without(events, hot)
    assert not ((clean.x == 5) & (clean.y == 7)).any()
    assert len(clean) == (~((x == 5) & (y == 7))).sum()
    assert not filters.hot_pixels(events[:0], 10).any()


def test_shifts_and_flips_move_every_event() -> None:
    events = recording(500)
    moved = augment.shifted(events, 3, -2)
    inside = (events.x + 3 < WIDTH) & (events.y >= 2)
    np.testing.assert_array_equal(moved.x, events.x[inside] + 3)
    np.testing.assert_array_equal(moved.y, events.y[inside] - 2)
    np.testing.assert_array_equal(augment.flipped(events).x, WIDTH - 1 - events.x)
    np.testing.assert_array_equal(augment.flipped(augment.flipped(events)).x, events.x)


def test_drop_and_jitter_have_the_told_size_and_seed() -> None:
    events = recording(20_000)
    kept = augmented(events, Augmentation(drop=0.3), 1)
    assert len(kept) / len(events) == pytest.approx(0.7, abs=0.02)
    late = augment.jittered(events, 1000.0, np.random.default_rng(0))
    assert (np.diff(late.t) >= 0).all()
    assert np.sort(late.t - events.t).std() < 1000
    assert sorted(zip(late.x.tolist(), late.y.tolist(), strict=True)) == sorted(
        zip(events.x.tolist(), events.y.tolist(), strict=True)
    )
    how = Augmentation(shift=2, flip=True, drop=0.1, jitter_us=50)
    np.testing.assert_array_equal(augmented(events, how, 3).t, augmented(events, how, 3).t)
    assert len(augmented(events, how, 3)) != len(augmented(events, how, 4))
    assert augmented(events, Augmentation(), 0).t is not None
    np.testing.assert_array_equal(augmented(events, Augmentation(), 0).x, events.x)


@pytest.mark.parametrize("wrong", [{"shift": -1}, {"drop": 1.0}, {"jitter_us": -1}])
def test_augmentation_that_cannot_be_is_told(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Augmentation(**wrong)


def test_frames_by_events_hold_so_many_each() -> None:
    events = recording(400)
    found = frames.by_events(events, 5, 90)
    assert found.sum(axis=(1, 2, 3)).tolist() == [90, 90, 90, 90, 40]
    np.testing.assert_array_equal(found[:4], frames.by_count(events[:360], 4))
    assert frames.by_events(events, 6, 90)[5].sum() == 0
    with pytest.raises(ConfigError, match="per_step"):
        frames.by_events(events, 5, 0)


@pytest.mark.parametrize("by", ["time", "count", "voxel", "events"])
def test_a_preparation_is_its_frames_pooled_and_cut_at_least(by: str) -> None:
    events = recording(3000)
    how = Preparation(by=by, frames=6, pool=3, least=2, per_step=400)
    found = framed(events, how)
    assert found.shape == prepare.shape(how, (WIDTH, HEIGHT)) == (6, 2, 8, 11)
    assert set(np.unique(found)) == {0, 255}
    small = Events(events.t, events.x // 3, events.y // 3, events.p, 11, 8)
    span = -(-(int(small.t[-1] - small.t[0]) + 1) // 6)
    expected = {
        "time": frames.by_time(small, 6, span) >= 2,
        "count": frames.by_count(small, 6) >= 2,
        "voxel": frames.voxel(small, 6) >= 1.5,
        "events": frames.by_events(small, 6, 400) >= 2,
    }[by]
    np.testing.assert_array_equal(found > 0, expected)
    one = framed(events, Preparation(by=by, frames=6, polarities=1, per_step=400))
    both = framed(events, Preparation(by=by, frames=6, per_step=400))
    assert one.shape[1] == 1
    if by != "voxel":
        np.testing.assert_array_equal(one[:, 0], both.max(axis=1))


def test_filters_are_settings_of_a_preparation() -> None:
    events = recording(3000)
    clean = filters.refractory(filters.without(events, filters.hot_pixels(events, 3)), 5000)
    assert len(clean) < len(events)
    found = framed(events, Preparation(hot=3.0, refractory_us=5000))
    np.testing.assert_array_equal(
        found, framed(clean, Preparation(frame_us=-(-(int(clean.t[-1] - clean.t[0]) + 1) // 10)))
    )


def test_a_recording_is_cut_or_widened_to_a_sensor() -> None:
    events = recording(500)
    wide = prepare.placed(events, (50, 40))
    assert (wide.width, wide.height, len(wide)) == (50, 40, 500)
    narrow = prepare.placed(events, (10, 8))
    assert len(narrow) == ((events.x < 10) & (events.y < 8)).sum()


@pytest.mark.parametrize("wrong", [{"by": "chance"}, {"frames": 0}, {"polarities": 3}, {"hot": 0.5}, {"frame_us": -1}])
def test_preparations_that_cannot_be_are_told(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Preparation(**wrong)
