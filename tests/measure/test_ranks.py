"""Ranks, Friedman, Wilcoxon with Holm's correction, and groups that do not differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from leanspike.core.errors import DataError
from leanspike.measure.ranks import holm, ranking


def test_ranks_of_a_small_table_by_hand() -> None:
    found = ranking({"a": [0.9, 0.8, 0.7], "b": [0.8, 0.8, 0.9], "c": [0.1, 0.2, 0.3]})
    assert found.methods == ("a", "b", "c"), "equal ranks keep their order"
    assert found.ranks == pytest.approx(((2 + 1.5 + 1) / 3, (1 + 1.5 + 2) / 3, 3.0))
    first = found.pairs[0]
    assert (first.first, first.second, first.wins, first.draws, first.losses) == ("a", "b", 1, 1, 1)
    assert found.friedman == pytest.approx(
        stats.friedmanchisquare([0.9, 0.8, 0.7], [0.8, 0.8, 0.9], [0.1, 0.2, 0.3])[1]
    )
    assert found.cliques == (("a", "b", "c"),), "three sets tell nothing apart"


def test_what_differs_on_many_sets_is_found() -> None:
    random = np.random.default_rng(0)
    base = random.uniform(0.5, 0.8, 25)
    found = ranking(
        {"low": base, "high": base + 0.1 + random.normal(0, 0.02, 25), "twin": base + random.normal(0, 0.01, 25)}
    )
    assert found.methods[0] == "high"
    assert {frozenset((p.first, p.second)) for p in found.pairs if p.differs} == {
        frozenset(("high", "low")),
        frozenset(("high", "twin")),
    }
    assert len(found.cliques) == 1
    assert set(found.cliques[0]) == {"low", "twin"}
    assert found.friedman is not None
    assert found.friedman < 0.01


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_and_keeps_the_order(p: list[float]) -> None:
    corrected = holm(p)
    assert all(a <= b <= 1 for a, b in zip(p, corrected, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


def test_equal_methods() -> None:
    found = ranking({"a": [0.5, 0.6], "b": [0.5, 0.6]})
    assert found.ranks == (1.5, 1.5)
    assert found.pairs[0].p == 1.0
    assert found.friedman is None


@pytest.mark.parametrize("table", [{"a": [0.1]}, {"a": [], "b": []}, {"a": [0.1], "b": [0.1, 0.2]}])
def test_what_cannot_be_ranked(table: dict[str, list[float]]) -> None:
    with pytest.raises(DataError, match="ranks need two methods"):
        ranking(table)
