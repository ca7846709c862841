"""Timing: what is counted, and that slow calls show."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import DataError
from leanspike.measure.latency import percentile, time_calls


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_percentile_is_the_smallest_value_that_covers_the_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9
    assert sum(value < found for value in values) < share * len(values)


def test_slow_calls_show_in_p99_and_not_in_the_median() -> None:
    def call(i: int) -> None:
        if i % 20 == 0:
            time.sleep(0.005)

    latency = time_calls(call, calls=100, warm_up=0)
    assert latency.p50 < 1000
    assert latency.p99 >= 5000


def test_warm_up_is_not_measured() -> None:
    seen: list[int] = []
    time_calls(seen.append, calls=100, warm_up=7)
    assert seen == [*range(7), *range(100)]


def test_too_few_calls_for_a_percentile_are_refused() -> None:
    with pytest.raises(DataError, match="calls >= 100"):
        time_calls(print, calls=10)
