"""Sources: what arrives from lines, raw steps, arrays and recordings, and what is counted instead."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import numpy as np
import pytest
from eventful import columns, events, series

from leanspike.data.events import Events
from leanspike.stream import sources
from leanspike.stream.tally import Tally


class Pieces(io.RawIOBase):
    """A file whose reads give ``size`` bytes."""

    def __init__(self, data: bytes, size: int) -> None:
        self.data, self.size = data, size

    def read(self, _: int = -1) -> bytes:
        head, self.data = self.data[: self.size], self.data[self.size :]
        return head


def taken(source: sources.Source) -> np.ndarray:
    return np.concatenate([arrival.events for arrival in source if arrival.events is not None])


def steps(source: sources.Source) -> np.ndarray:
    return np.concatenate([arrival.values for arrival in source if arrival.values is not None])


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_lines_of_events(size: int) -> None:
    sent, tally = events(200, 10**6), Tally()
    text = "".join(f"{t} {x},{y} {p}\n" for t, x, y, p in zip(*columns(sent).values(), strict=True))
    text = text.replace("\n", "\n\n nonsense\n1 2 3\n1 2 3 4 5\n", 1) + "7 -1 70000 -3"
    found = taken(sources.event_lines(Pieces(text.encode(), size), tally))
    assert np.array_equal(found[:-1], sent)
    assert found[-1].tolist() == (7, 65_535, 65_535, 0)
    assert tally.nonzero() == {"bad_lines": 3}


@pytest.mark.parametrize("size", [1, 100, 5_000])
def test_a_line_without_an_end_takes_no_memory_and_is_one_bad_line(size: int) -> None:
    tally = Tally()
    lines = sources.event_lines(Pieces(b"1 2 3 1\n" + b"9" * 20_000 + b"\n2 2 3 1\n3 2 3 1\n", size), tally)
    assert taken(lines)["t"].tolist() == [1, 2, 3]
    assert tally.nonzero() == {"bad_lines": 1}


def test_numbers_beyond_all_sense_are_bad_lines() -> None:
    tally = Tally()
    found = list(sources.event_lines(Pieces(b"99999999999999999999 1 1 1\n\xff\xfe 1 1 1\n", 99), tally))
    assert found == []
    assert tally.nonzero() == {"bad_lines": 2}


def test_lines_of_values_become_raw_ones() -> None:
    tally, opener = Tally(), sources.raw_steps(series(), (1,))
    found = steps(sources.Lines(Pieces(b"0\n1\n0.5\n1.01\n-0.2\nnan\ninf\n", 9), tally, 1, float, opener))
    assert found[:, 0].tolist() == [0, 255, 128, 258, -51]
    assert tally.nonzero() == {"bad_lines": 2}


@pytest.mark.parametrize("size", [1, 5, 1_000])
def test_raw_steps_and_a_rest(size: int) -> None:
    tally, values = Tally(), np.arange(40, dtype="<u2").reshape(10, 2, 2)
    found = sources.RawSteps(Pieces(values.tobytes() + b"xyz", size), tally, (2, 2), np.dtype(np.uint16))
    assert np.array_equal(steps(found), values)
    assert tally.nonzero() == {"cut_off": 3}


def test_steps_of_arrays_are_scaled_as_samples_are() -> None:
    opener = sources.raw_steps(series(), (1,))
    given = np.arange(256, dtype=np.uint8)[:, None]
    assert np.array_equal(steps(sources.Steps(given, opener)), given)
    assert np.array_equal(steps(sources.Steps(given / 255, opener)), given)


def recording(tick_us: float = 1.0) -> Events:
    found = events(9_000, 200_000)
    return Events(found["t"], found["x"], found["y"], found["on"] == 1, 5, 4, tick_us)


@pytest.mark.parametrize(("tick_us", "factor"), [(1.0, 1), (2.5, 2.5)])
def test_a_recording_is_its_events_in_microseconds(tick_us: float, factor: float) -> None:
    found = taken(sources.Recording(recording(tick_us)))
    assert np.array_equal(found["t"], np.rint(recording().t * factor))
    assert np.array_equal(found["on"], recording().p)


PACED: list[Callable[[], sources.Source]] = [
    lambda: sources.Recording(recording(), 4.0, 5_000),
    lambda: sources.Steps(np.zeros((50, 1)), sources.raw_steps(series(), (1,)), 1.0, 1_000),
]


@pytest.mark.parametrize("make", PACED, ids=["recording", "steps"])
def test_a_speed_is_kept(make: Callable[[], sources.Source]) -> None:
    start, source = time.perf_counter(), make()
    count = sum(1 for _ in source)
    assert time.perf_counter() - start >= 0.0499
    assert 0 < source.waited <= time.perf_counter() - start
    assert count >= 40
