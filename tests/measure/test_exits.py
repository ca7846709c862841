"""Anytime accuracy and the confidence exit, by hand and by their limits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import DataError
from leanspike.measure.exits import anytime, confidence, exit_curve, exit_steps

LOGITS = np.log(
    np.array(
        [
            [[0.60, 0.30, 0.10], [0.40, 0.35, 0.25]],
            [[0.20, 0.75, 0.05], [0.10, 0.85, 0.05]],
            [[0.05, 0.94, 0.01], [0.02, 0.97, 0.01]],
        ]
    )
)
LABELS = np.array([1, 1])


def test_by_hand() -> None:
    assert anytime(LOGITS, LABELS).accuracy == (0.0, 1.0, 1.0)
    curve = exit_curve(LOGITS, LABELS, [0.5, 0.8, 1.0])
    assert curve.mean_steps == (1.5, 2.5, 3.0)
    assert curve.accuracy == (0.5, 1.0, 1.0)
    margin = exit_curve(LOGITS, LABELS, [0.25, 0.6], kind="margin")
    assert margin.mean_steps == (1.5, 2.5)
    assert margin.accuracy == (0.5, 1.0)


logits = st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed).normal(0, 3, (6, 20, 4)))


@given(logits)
def test_the_limits_are_the_first_and_the_last_step(values: np.ndarray) -> None:
    labels = np.arange(20) % 4
    stopped = anytime(values, labels)
    curve = exit_curve(values, labels, [0.0, 1.1])
    assert curve.mean_steps == (1.0, 6.0)
    assert curve.accuracy == (stopped.accuracy[0], stopped.accuracy[-1])


@given(logits, st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_stops_earlier(values: np.ndarray, one: float, two: float) -> None:
    sure = confidence(values)
    low, high = sorted((one, two))
    assert (exit_steps(sure.copy(), low) <= exit_steps(sure.copy(), high)).all()


@given(logits)
def test_confidence_is_a_probability_and_ignores_a_shift(values: np.ndarray) -> None:
    sure = confidence(values)
    assert ((sure >= 0.25) & (sure <= 1)).all()
    assert np.allclose(sure, confidence(values + 1000.0))
    assert (confidence(values, "margin") <= sure).all()


def test_exit_steps_leaves_its_argument_alone() -> None:
    sure = np.zeros((3, 2))
    assert exit_steps(sure, 0.5).tolist() == [3, 3]
    assert not sure.any()


def test_unfit_logits_are_refused() -> None:
    with pytest.raises(DataError, match=r"logits \[T, N, K"):
        anytime(LOGITS[0], LABELS)
    with pytest.raises(DataError, match="finite"):
        anytime(np.full((2, 2, 2), np.nan), LABELS)
