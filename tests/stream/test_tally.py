"""Percentiles of a histogram that does not grow."""

from __future__ import annotations

import numpy as np
import pytest

from leanspike.stream.tally import Latencies, Tally


def test_percentiles_are_at_most_two_percent_too_high() -> None:
    seconds = np.random.default_rng(0).lognormal(-8, 2, 5_000)
    found = Latencies()
    for one in seconds:
        found.add(float(one))
    for share in (0.5, 0.99):
        exact = float(np.quantile(seconds, share, method="inverted_cdf"))
        assert exact * 0.999 <= (found.percentile(share) or 0) <= exact * 1.021
    assert found.told()["max"] == pytest.approx(1e6 * seconds.max(), abs=0.01)


def test_extremes_and_nothing() -> None:
    assert Latencies().told() == {"p50": None, "p99": None, "max": None}
    found = Latencies()
    for seconds in (0.0, -1.0, 1e12):
        found.add(seconds)
    assert found.percentile(0.5) == pytest.approx(1e-7 * 1.02)
    assert found.count == 3


def test_only_what_was_dropped_is_told() -> None:
    tally = Tally()
    tally.dropped["late"] += 2
    assert tally.nonzero() == {"late": 2}
