"""A user's own .npz: understood, scaled by the training set, and refused with one clear line where it does not fit."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from leanspike.core.errors import DataError
from leanspike.data import Dataset, from_arrays, load

RNG = np.random.default_rng(0)
GOOD: dict[str, Any] = {
    "x_train": RNG.normal(5, 3, (12, 4)),
    "y_train": np.arange(12) % 3,
    "x_test": RNG.normal(5, 9, (6, 4)),
    "y_test": np.arange(6) % 3,
}


def save(path: Path, **changes: Any) -> Path:
    np.savez(path, **{key: value for key, value in (GOOD | changes).items() if value is not None})
    return path


def loaded(path: Path, **changes: Any) -> Dataset:
    return load(str(save(path / "own.npz", **changes)))


def refused(path: Path, **changes: Any) -> str:
    with pytest.raises(DataError) as caught:
        loaded(path, **changes)
    line = caught.value.line()
    assert line.startswith(str(path / "own.npz"))
    assert "\n" not in line
    return line


def test_vectors_are_scaled_feature_by_feature_with_the_training_range(tmp_path: Path) -> None:
    dataset = loaded(tmp_path)
    assert (dataset.name, dataset.kind, dataset.shape, dataset.classes) == ("own", "vector", (4,), ("0", "1", "2"))
    low, high = GOOD["x_train"].min(0), GOOD["x_train"].max(0)
    np.testing.assert_allclose(dataset.x_train, (GOOD["x_train"] - low) / (high - low), atol=1e-6)
    np.testing.assert_allclose(dataset.x_test, np.clip((GOOD["x_test"] - low) / (high - low), 0, 1), atol=1e-6)
    assert (GOOD["x_test"] > high).any(), "the test set must leave the range for the clip to be seen"


def test_series_are_scaled_channel_by_channel(tmp_path: Path) -> None:
    x = RNG.normal(0, 1, (12, 2, 30)) * np.array([1, 100])[None, :, None]
    dataset = loaded(tmp_path, x_train=x, x_test=x[:6])
    assert (dataset.kind, dataset.shape) == ("series", (2, 30))
    assert dataset.x_train.min(axis=(0, 2)).tolist() == [0, 0]
    assert dataset.x_train.max(axis=(0, 2)).tolist() == [1, 1]


@pytest.mark.parametrize("shape", [(5, 5), (1, 5, 5), (3, 5, 5), (5, 5, 3), (5, 5, 1)])
def test_images_in_every_layout(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = RNG.integers(0, 256, (12, *shape), dtype=np.uint8)
    x.flat[:2] = 0, 255
    dataset = loaded(tmp_path, x_train=x, x_test=x[:6])
    channels = 3 if 3 in shape else 1
    assert (dataset.kind, dataset.shape) == ("image", (channels, 5, 5))
    assert dataset.x_train.dtype == dataset.x_test.dtype == np.uint8, "bytes of full range stay bytes"
    assert dataset.x_train.flags.c_contiguous
    expected = x.transpose(0, 3, 1, 2) if shape[-1] in (1, 3) else x.reshape(12, channels, 5, 5)
    np.testing.assert_array_equal(dataset.x_train, expected)


def test_bytes_of_part_range_are_stretched(tmp_path: Path) -> None:
    x = RNG.integers(0, 17, (12, 8, 8), dtype=np.uint8)
    x.flat[:2] = 0, 16
    dataset = loaded(tmp_path, x_train=x, x_test=x[:6])
    np.testing.assert_array_equal(dataset.x_train[:, 0], (x / 16).astype(np.float32))


def test_constant_features_become_zero(tmp_path: Path) -> None:
    x = np.full((12, 2), 7.0)
    assert not loaded(tmp_path, x_train=x, x_test=x[:6] + 1).x_test.any()


@pytest.mark.parametrize(
    ("train", "test", "classes"),
    [
        (["cat", "dog", "cat", "ant"] * 3, ["dog", "cat"] * 3, ("ant", "cat", "dog")),
        ([-1, 1] * 6, [1, -1] * 3, ("-1", "1")),
        ([1.0, 2.0] * 6, [1.0, 2.0] * 3, ("1", "2")),
        ([0.5, 2.0] * 6, [0.5, 2.0] * 3, ("0.5", "2")),
        ([True, False] * 6, [True, False] * 3, ("False", "True")),
        (np.array([[7], [9]] * 6), np.array([[9], [7]] * 3), ("7", "9")),
        ([b"no", b"yes"] * 6, [b"yes", b"no"] * 3, ("no", "yes")),
    ],
)
def test_labels_of_any_kind(tmp_path: Path, train: Any, test: Any, classes: tuple[str, ...]) -> None:
    dataset = loaded(tmp_path, y_train=np.asarray(train), y_test=np.asarray(test))
    assert dataset.classes == classes
    names = [str(label.decode() if isinstance(label, bytes) else label) for label in np.asarray(test).ravel()]
    got = [dataset.classes[label] for label in dataset.y_test]
    assert [name.removesuffix(".0") for name in names] == got


def bad(key: str, *index_value: Any) -> np.ndarray:
    array = np.array(GOOD[key], dtype=float)
    for index, value in zip(index_value[::2], index_value[1::2], strict=True):
        array[index] = value
    return array


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"x_train": bad("x_train", (3, 1), np.nan, (5, 0), np.inf)}, ["x_train holds 2 NaN", "(nan) at index [3, 1]"]),
        ({"x_test": bad("x_test", (0, 2), -np.inf)}, ["x_test holds 1 NaN or infinite", "(-inf) at index [0, 2]"]),
        ({"y_train": bad("y_train", 4, np.nan)}, ["y_train holds 1 NaN", "at index 4"]),
        ({"y_test": None}, ["has no array y_test", "it holds x_train, y_train, x_test", "save it with x_train"]),
        ({"x_test": np.zeros((6, 5))}, ["a sample of x_train is (4,), one of x_test (5,)"]),
        ({"y_train": np.arange(11)}, ["y_train has shape (11,) for 12 samples", "expected (12,)"]),
        ({"y_train": np.eye(12)}, ["y_train has shape (12, 12)", "not one-hot"]),
        ({"y_train": np.zeros(12)}, ["one class only (0.0)"]),
        ({"y_test": np.array([0, 1, 2, 3, 0, 1])}, ["test label 3 (sample 3) does not occur", "training has 0, 1, 2"]),
        ({"x_train": np.zeros((12, 4), complex)}, ["complex128, not real numbers"]),
        ({"x_train": np.zeros(12)}, ["x_train has shape (12,)", "expected [N, F]"]),
        ({"x_train": np.zeros((0, 4)), "y_train": np.zeros(0)}, ["x_train has shape (0, 4)"]),
        ({"x_test": np.array(["a"] * 6)}, ["x_test holds <U1"]),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, changes: dict[str, Any], parts: list[str]) -> None:
    line = refused(tmp_path, **changes)
    for part in parts:
        assert part in line


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.path,)


def test_pickled_arrays_are_refused_unopened(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists(), "the bomb must work for the test to mean anything"
    mark.unlink()
    line = refused(tmp_path, x_train=np.array([Bomb(mark)] * 12, dtype=object))
    assert "x_train holds Python objects" in line
    assert not mark.exists()


def test_files_that_are_no_npz(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    for content in (b"", b"nonsense", pickle.dumps([1, 2])):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"is not an \.npz file or is damaged"):
            load(str(path))


def test_damage_anywhere_in_the_file_is_read_right_or_refused(tmp_path: Path) -> None:
    whole = save(tmp_path / "own.npz").read_bytes()
    path = tmp_path / "cut.npz"
    for position in range(0, len(whole), 97):
        for content in (whole[:position], whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :]):
            path.write_bytes(content)
            with contextlib.suppress(DataError):
                assert load(str(path)).shape == (4,)


def test_paths_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder; check the path"):
        load(str(tmp_path / "none.npz"))
    with pytest.raises(DataError, match=r"File name too long.*check the path"):
        load("long" * 100)
    (tmp_path / "data.csv").write_text("1,2,3")
    with pytest.raises(DataError, match=r"not a kind of file that can be read; expected an \.npz with x_train"):
        load(str(tmp_path / "data.csv"))


numbers = arrays.arrays(np.float64, (6, 3), elements=st.floats(-1e100, 1e100))


@given(numbers, numbers)
def test_any_finite_numbers_come_out_in_the_unit_range(train: np.ndarray, test: np.ndarray) -> None:
    dataset = from_arrays(train, np.arange(6) % 2, test, np.arange(6) % 2)
    for part in (dataset.x_train, dataset.x_test):
        assert part.dtype == np.float32
        assert ((part >= 0) & (part <= 1)).all()
    order = np.argsort(train[:, 0], kind="stable")
    assert (np.diff(dataset.x_train[order, 0]) >= 0).all()
