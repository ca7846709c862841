"""The front by its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leanspike.core.errors import DataError
from leanspike.measure.pareto import Goal, front


def beats(a: np.ndarray, b: np.ndarray, goals: list[Goal]) -> bool:
    better = [x < y if goal == "min" else x > y for x, y, goal in zip(a, b, goals, strict=True)]
    return any(better) and all(is_better or x == y for is_better, x, y in zip(better, a, b, strict=True))


@given(st.data(), st.integers(1, 4), st.integers(1, 12))
def test_members_are_unbeaten_and_all_others_are_beaten_by_a_member(data: st.DataObject, goals: int, n: int) -> None:
    wanted: list[Goal] = data.draw(st.lists(st.sampled_from(["min", "max"]), min_size=goals, max_size=goals))
    points = data.draw(arrays(np.float64, (n, goals), elements=st.integers(0, 4).map(float)))
    on = front(points, wanted)
    assert on.any()
    for i in range(n):
        assert on[i] == (not any(beats(other, points[i], wanted) for other in points))
        assert on[i] or any(beats(member, points[i], wanted) for member in points[on])


def test_a_trade_off_by_hand() -> None:
    accuracy_and_spikes = [[0.98, 100], [0.985, 500], [0.984, 900], [0.98, 100]]
    assert front(accuracy_and_spikes, ["max", "min"]).tolist() == [True, True, False, True]


def test_no_points_no_front() -> None:
    assert front(np.empty((0, 2)), ["min", "max"]).tolist() == []


def test_unmeasured_values_and_unknown_goals_are_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        front([[np.nan, 1.0]], ["min", "max"])
    with pytest.raises(DataError, match="goals"):
        front([[1.0]], ["less"])  # type: ignore[list-item]
