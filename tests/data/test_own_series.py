"""Series pairs of the real UCR and UEA archives, and pairs that do not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from leanspike.core.errors import DataError
from leanspike.data import Dataset, load

Unpack = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("name", "train", "test", "length", "classes"),
    [("GunPoint", 50, 150, 150, 2), ("ItalyPowerDemand", 67, 1029, 24, 2), ("FaceAll", 560, 1690, 131, 14)],
)
def test_ucr(unpack: Unpack, name: str, train: int, test: int, length: int, classes: int) -> None:
    folder = unpack("ucr", name)
    dataset = load(str(folder))
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((train, 1, length), (test, 1, length))
    assert (dataset.name, dataset.kind, len(dataset.classes)) == (name, "series", classes)
    raw = np.loadtxt(folder / f"{name}_TRAIN.tsv")
    low, high = raw[:, 1:].min(), raw[:, 1:].max()
    np.testing.assert_allclose(dataset.x_train[:, 0] * (high - low) + low, raw[:, 1:], atol=1e-5)
    assert [int(dataset.classes[label]) for label in dataset.y_train] == raw[:, 0].astype(int).tolist()


def test_either_half_names_the_pair(unpack: Unpack) -> None:
    folder = unpack("ucr", "GunPoint")
    whole = load(str(folder))
    for part in ("TRAIN", "TEST"):
        np.testing.assert_array_equal(load(str(folder / f"GunPoint_{part}.tsv")).x_test, whole.x_test)


def rewrite(folder: Path, name: str, separator: str, ending: str) -> Dataset:
    for part in ("TRAIN", "TEST"):
        text = (folder / f"{name}_{part}.tsv").read_text().replace("\t", separator)
        (folder / f"{name}_{part}{ending}").write_text(text)
    return load(str(folder / f"{name}_TRAIN{ending}"))


@pytest.mark.parametrize("separator", ["  ", ","])
def test_txt_with_other_separators(unpack: Unpack, separator: str) -> None:
    folder = unpack("ucr", "Coffee")
    whole = load(str(folder))
    again = rewrite(folder, "Coffee", separator, ".txt")
    np.testing.assert_array_equal(again.x_train, whole.x_train)
    np.testing.assert_array_equal(again.y_test, whole.y_test)


@pytest.mark.parametrize(
    ("name", "train", "test", "shape", "classes"),
    [
        ("BasicMotions", 40, 40, (6, 100), ("Badminton", "Running", "Standing", "Walking")),
        ("NATOPS", 180, 180, (24, 51), ("1", "2", "3", "4", "5", "6")),
    ],
)
def test_uea(
    unpack: Unpack, name: str, train: int, test: int, shape: tuple[int, int], classes: tuple[str, ...]
) -> None:
    folder = unpack("uea", name)
    dataset = load(str(folder / f"{name}_TEST.ts"))
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((train, *shape), (test, *shape))
    assert (dataset.classes, dataset.kind) == (classes, "series")
    lines = (folder / f"{name}_TRAIN.ts").read_text().splitlines()
    *channels, label = next(line for line in lines if line and line[0] not in "@#").split(":")
    raw = np.array([[float(value) for value in channel.split(",")] for channel in channels])
    ranks = raw[2].argsort(kind="stable")
    assert (np.diff(dataset.x_train[0, 2][ranks]) >= 0).all()
    assert dataset.classes[dataset.y_train[0]] in (label, label.removesuffix(".0"))


def test_unequal_lengths(unpack: Unpack) -> None:
    dataset = load(str(unpack("uea", "JapaneseVowels")))
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((270, 12, 29), (370, 12, 29))
    assert "hold their last values up to 29" in dataset.source
    np.testing.assert_array_equal(dataset.x_train[0, :, 20:], np.repeat(dataset.x_train[0, :, 19:20], 9, axis=1))
    assert (np.diff(dataset.x_train[0, :, :20]) != 0).any(1).all()


def test_missing_half(unpack: Unpack) -> None:
    folder = unpack("ucr", "GunPoint")
    (folder / "GunPoint_TEST.tsv").unlink()
    with pytest.raises(DataError, match=r"GunPoint_TEST\.tsv: is missing; put it beside GunPoint_TRAIN\.tsv"):
        load(str(folder))


def test_folder_with_two_pairs(unpack: Unpack) -> None:
    folder = unpack("ucr", "GunPoint")
    for file in unpack("ucr", "Coffee").iterdir():
        file.rename(folder / file.name)
    with pytest.raises(DataError, match=r"holds 2 series pairs; name one: Coffee_TRAIN\.tsv, GunPoint_TRAIN\.tsv"):
        load(str(folder))


HEAD = "@problemName X\n@timeStamps false\n@classLabel true a b\n@data\n"
GOOD_TS = HEAD + "1,2,3:4,5,6:a\n3,4,5:6,7,8:b\n"


@pytest.mark.parametrize(
    ("ending", "train", "message"),
    [
        (".tsv", "", r"X_TRAIN\.tsv: is empty"),
        (".tsv", "1\t0.1\t0.2\n2\t0.1\n", r"row 2 has 1 values, row 1 has 2"),
        (".tsv", "1\n2\n", "row 1 has 0 values"),
        (".tsv", "1\t0.1\t0.2\n2\tx\t0.3\n", r"does not parse \(could not convert string 'x'"),
        (".tsv", "1\t0.1\tNaN\n2\t0.3\t0.4\n", r"X: x_train holds 1 NaN .* at index \[0, 0, 1\]"),
        (".ts", "1,2:a\n", "has no @data line"),
        (".ts", HEAD, "holds no series"),
        (".ts", HEAD + "1,2,3:4,5:a\n", "series 1 has channels of 2 and 3 values"),
        (".ts", HEAD + "a\n", "series 1 has channels of no values"),
        (".ts", HEAD + "1,2,z:4,5,6:a\n", r"series 1 does not parse"),
        (".ts", HEAD + "1,2,?:4,5,6:a\n1,2,3:4,5,6:b\n", r"x_train holds 1 NaN .* at index \[0, 0, 2\]"),
        (".ts", HEAD.replace("Stamps false", "Stamps true") + "(0,1):a\n", "has time stamps"),
        (".ts", HEAD.replace("classLabel true a b", "classLabel false"), "has no class labels"),
        (".ts", HEAD + "1,2,3:4,5,6:a\n1,2,3:a\n", r"series 2 is 1 x 3, series 1 is 2 x 3"),
    ],
)
def test_what_does_not_fit_is_said(tmp_path: Path, ending: str, train: str, message: str) -> None:
    (tmp_path / f"X_TRAIN{ending}").write_text(train)
    (tmp_path / f"X_TEST{ending}").write_text(GOOD_TS if ending == ".ts" else "1\t0.5\t0.2\n2\t0.1\t0.2\n")
    with pytest.raises(DataError, match=message):
        load(str(tmp_path))


def test_the_good_ts_is_good(tmp_path: Path) -> None:
    for part in ("TRAIN", "TEST"):
        (tmp_path / f"X_{part}.ts").write_text(GOOD_TS)
    dataset = load(str(tmp_path))
    assert dataset.x_train.tolist() == [[[0, 0.25, 0.5]] * 2, [[0.5, 0.75, 1]] * 2]


def test_binary_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "X_TRAIN.tsv").write_bytes(b"\xff\xfe\x00\x81")
    (tmp_path / "X_TEST.tsv").write_text("1\t2\n")
    with pytest.raises(DataError, match="is not text"):
        load(str(tmp_path))
