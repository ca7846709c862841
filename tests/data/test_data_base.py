"""Splits are stratified, seeded and disjoint, and training cannot reach the test set."""

from __future__ import annotations

import gc
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanspike.core.errors import ConfigError, DataError
from leanspike.data import Dataset, as_unit, load, split
from leanspike.data.base import held_out


def small(**changes: object) -> Dataset:
    x = np.arange(40, dtype=np.float32).reshape(20, 2) / 40
    y = np.arange(20, dtype=np.int64) % 2
    values: dict[str, object] = {
        "name": "small", "x_train": x, "y_train": y, "x_test": x[:4], "y_test": y[:4],
        "classes": ("a", "b"), "kind": "vector", "licence": "-", "source": "-",
    }  # fmt: skip
    return Dataset(**(values | changes))  # type: ignore[arg-type]


def reachable_arrays(start: object) -> list[np.ndarray]:
    """Every array that some chain of references (attributes, containers, bases of views) leads to."""
    seen: dict[int, object] = {}
    todo = [start]
    while todo:
        item = todo.pop()
        if id(item) in seen or isinstance(item, (type, types.ModuleType, types.FunctionType)):
            continue
        seen[id(item)] = item
        todo += gc.get_referents(item)
        if isinstance(item, np.ndarray) and item.base is not None:
            todo.append(item.base)
    return [item for item in seen.values() if isinstance(item, np.ndarray)]


def test_training_view_cannot_reach_the_test_set() -> None:
    dataset = load("digits")
    tests = (dataset.x_test, dataset.y_test)
    leads = [a for a in reachable_arrays(dataset.training_only()) if any(np.shares_memory(a, t) for t in tests)]
    assert leads == []
    assert [a for a in reachable_arrays(dataset) if a is dataset.x_test], "the walk itself must be able to find it"


def test_training_view_of_slices_of_one_array_owns_its_memory() -> None:
    whole, labels = np.random.default_rng(0).random((20, 3), dtype=np.float32), np.arange(20) % 2
    dataset = small(x_train=whole[:15], y_train=labels[:15], x_test=whole[15:], y_test=labels[15:])
    view = dataset.training_only()
    assert not any(np.shares_memory(array, whole) for array in reachable_arrays(view))
    np.testing.assert_array_equal(view.x, whole[:15])


def test_split_parts_the_training_set_and_numbers_lead_back() -> None:
    dataset = load("digits")
    train, validation = split(dataset, 0.1, seed=3)
    assert len(train) + len(validation) == len(dataset.y_train)
    assert set(train.numbers) | set(validation.numbers) == set(range(len(dataset.y_train)))
    for part in (train, validation):
        np.testing.assert_array_equal(part.x, dataset.x_train[part.numbers])
        np.testing.assert_array_equal(part.y, dataset.y_train[part.numbers])
    again = split(dataset.training_only(), 0.1, seed=3)[1]
    np.testing.assert_array_equal(again.numbers, validation.numbers)
    assert set(split(dataset, 0.1, seed=4)[1].numbers) != set(validation.numbers)


def test_split_is_the_same_on_every_machine() -> None:
    held = held_out(np.arange(40, dtype=np.int64) % 2, 0.2, seed=7)
    assert np.flatnonzero(held).tolist() == [2, 7, 9, 14, 17, 24, 33, 34]


@given(st.lists(st.integers(0, 4), min_size=1, max_size=80), st.floats(0.01, 0.99), st.integers(0, 2**40))
def test_held_out_is_stratified(labels: list[int], fraction: float, seed: int) -> None:
    y = np.array(labels, dtype=np.int64)
    held = held_out(y, fraction, seed)
    for label in set(labels):
        members = y == label
        count, chosen = int(members.sum()), int(held[members].sum())
        assert chosen == 0 if count == 1 else 1 <= chosen < count
        assert abs(chosen - count * fraction) <= 1


def test_no_validation_keeps_everything() -> None:
    train, validation = split(small(), 0.0, seed=0)
    assert (len(train), len(validation)) == (20, 0)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_fraction_out_of_range(fraction: float) -> None:
    with pytest.raises(ConfigError, match=r"train\.validation"):
        split(small(), fraction, seed=0)


def test_one_sample_a_class_cannot_validate() -> None:
    dataset = small(x_train=np.zeros((2, 2), np.float32), y_train=np.array([0, 1]))
    with pytest.raises(DataError, match="two samples"):
        split(dataset, 0.5, seed=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"x_test": np.zeros((4, 3), np.float32)},
        {"x_train": np.zeros((20, 2), np.float64)},
        {"y_test": np.array([0, 1, 2, 0])},
        {"y_test": np.array([0, 1, -1, 0])},
        {"y_test": np.array([0, 1])},
        {"kind": "image"},
    ],
)
def test_arrays_that_do_not_belong_together(changes: dict[str, object]) -> None:
    with pytest.raises(DataError, match="small"):
        small(**changes)


def test_unit_scale() -> None:
    np.testing.assert_array_equal(as_unit(np.array([0, 255], np.uint8)), np.array([0, 1], np.float32))
    assert as_unit(np.array([51], np.uint8)).dtype == np.float32
    assert as_unit(np.array([51], np.uint8))[0] == np.float32(0.2)
