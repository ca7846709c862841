"""Accuracy and its intervals, against SciPy's distributions and values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from leanspike.core.errors import DataError
from leanspike.measure import quality


@given(total=st.integers(1, 100_000), share=st.floats(0, 1), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipy(total: int, share: float, confidence: float) -> None:
    right = round(total * share)
    expected = stats.binomtest(right, total).proportion_ci(confidence, method="wilson")
    assert quality.wilson(right, total, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_wilson_by_hand() -> None:
    lo, hi = quality.wilson(9850, 10000)
    assert (round(lo, 5), round(hi, 5)) == (0.98242, 0.98720)
    assert quality.wilson(0, 10)[0] == 0
    assert quality.wilson(10, 10)[1] == 1


@given(freedom=st.integers(1, 400), confidence=st.floats(0.5, 0.999))
def test_student_t_equals_scipy(freedom: int, confidence: float) -> None:
    assert quality.student_t(freedom, confidence) == pytest.approx(stats.t.ppf(0.5 + confidence / 2, freedom), rel=1e-7)


def test_mean_interval_of_three_seeds() -> None:
    mean = quality.mean_interval([0.984, 0.985, 0.986])
    assert mean.n == 3
    assert mean.mean == pytest.approx(0.985)
    assert mean.hi == pytest.approx(0.985 + 4.302652729911275 * 0.001 / math.sqrt(3))
    assert mean.lo == pytest.approx(0.985 - 4.302652729911275 * 0.001 / math.sqrt(3))


def test_one_seed_has_no_interval() -> None:
    assert quality.mean_interval([0.5]) == quality.Mean(0.5, None, None, 1)
    assert quality.difference_interval([0.5], [0.4, 0.6]).lo is None


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_difference_is_at_least_as_wide_as_welch(first: list[float], second: list[float]) -> None:
    parts = [np.var(values, ddof=1) / len(values) for values in (first, second)]
    assume(sum(parts) > 1e-12)
    freedom = sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (first, second), strict=True))
    welch = stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    whole = stats.t.ppf(0.975, max(1, math.floor(freedom + 1e-9))) * math.sqrt(sum(parts))
    ours = quality.difference_interval(first, second)
    assert ours.mean == pytest.approx(np.mean(first) - np.mean(second))
    assert ours.lo is not None
    assert ours.hi is not None
    assert (ours.hi - ours.lo) / 2 >= welch * (1 - 1e-6)
    assert (ours.hi - ours.lo) / 2 == pytest.approx(whole, rel=1e-6)


def test_equal_runs_differ_by_nothing() -> None:
    assert quality.difference_interval([0.5, 0.5], [0.25, 0.25]) == quality.Mean(0.25, 0.25, 0.25, 2)


@given(st.integers(2, 6), st.integers(1, 200), st.integers(0, 2**31))
def test_confusion_holds_every_sample_once(classes: int, samples: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, predictions = random.integers(0, classes, (2, samples))
    table = quality.confusion(predictions, labels, classes)
    assert table.sum() == samples
    assert (table.sum(axis=1) == np.bincount(labels, minlength=classes)).all()
    assert np.trace(table) / samples == quality.accuracy(predictions, labels)


def test_confusion_rows_are_the_truth() -> None:
    assert quality.confusion(np.array([1, 1, 0]), np.array([0, 1, 0]), 2).tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize("predictions", [np.array([], dtype=np.int64), np.array([1, 2]), np.array([[1], [2], [0]])])
def test_lists_that_do_not_fit_are_refused(predictions: np.ndarray) -> None:
    with pytest.raises(DataError, match="equally long"):
        quality.accuracy(predictions, np.array([1, 2, 0])[: len(predictions) and 3])


def test_a_class_out_of_range_is_refused() -> None:
    with pytest.raises(DataError, match="0 to 1"):
        quality.confusion(np.array([2]), np.array([0]), 2)
    with pytest.raises(DataError, match="right <= total"):
        quality.wilson(3, 2)
