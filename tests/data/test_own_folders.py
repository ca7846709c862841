"""Folders of class-named image folders, written from real digits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leanspike.core.errors import DataError
from leanspike.data import Dataset, load

DIGITS = load("digits")


def write(folder: Path, x: np.ndarray, y: np.ndarray, mode: str = "L") -> None:
    for number, (image, label) in enumerate(zip(x, y, strict=True)):
        (folder / f"digit {label}").mkdir(parents=True, exist_ok=True)
        pixels = np.round(image[0] * 255).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"digit {label}" / f"{number:04}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """train/ with 60 and test/ with 30 real digits as grey PNG."""
    write(tmp_path / "train", DIGITS.x_train[:60], DIGITS.y_train[:60])
    write(tmp_path / "test", DIGITS.x_test[:30], DIGITS.y_test[:30])
    return tmp_path


def test_train_and_test_folders(folder: Path) -> None:
    (folder / "train" / "digit 3" / ".hidden.png").write_text("passed over")
    (folder / "train" / "digit 3" / "notes.txt").write_text("passed over")
    dataset = load(str(folder))
    assert dataset.classes == tuple(f"digit {label}" for label in range(10))
    assert (dataset.shape, dataset.x_train.dtype, dataset.kind) == ((1, 8, 8), np.uint8, "image")
    assert "train/ and test/" in dataset.source
    for x, y, original, labels in (
        (dataset.x_train, dataset.y_train, DIGITS.x_train[:60], DIGITS.y_train[:60]),
        (dataset.x_test, dataset.y_test, DIGITS.x_test[:30], DIGITS.y_test[:30]),
    ):
        order = np.argsort(labels, kind="stable")
        np.testing.assert_array_equal(x, np.round(original[order] * 255))
        np.testing.assert_array_equal(y, labels[order])


def seen(dataset: Dataset) -> set[bytes]:
    return {image.tobytes() for image in np.concatenate([dataset.x_train, dataset.x_test])}


def test_class_folders_alone_are_split_the_same_way_every_time(tmp_path: Path) -> None:
    write(tmp_path / "all", DIGITS.x_train[:200], DIGITS.y_train[:200])
    dataset, again = load(str(tmp_path / "all")), load(str(tmp_path / "all"))
    np.testing.assert_array_equal(dataset.x_test, again.x_test)
    assert "a stratified fifth, seed 0" in dataset.source
    assert len(dataset.y_train) + len(dataset.y_test) == 200
    assert len(seen(dataset)) == 200
    counts = np.bincount(DIGITS.y_train[:200])
    assert (np.abs(np.bincount(dataset.y_test) - counts / 5) <= 0.5).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour(tmp_path: Path, mode: str) -> None:
    write(tmp_path / "all", DIGITS.x_train[:40], DIGITS.y_train[:40], mode)
    dataset = load(str(tmp_path / "all"))
    assert dataset.shape == (3, 8, 8)
    np.testing.assert_array_equal(dataset.x_train[:, 0], dataset.x_train[:, 2])


def odd_size(folder: Path) -> str:
    Image.new("L", (9, 8)).save(folder / "train" / "digit 4" / "0999.png")
    return r"digit 4/0999\.png: is 9x8 grey, but digit 0/\d+\.png is 8x8 grey; bring all images to one size"


def odd_colour(folder: Path) -> str:
    Image.new("RGB", (8, 8)).save(folder / "test" / "digit 4" / "0999.png")
    return r"digit 4/0999\.png: is 8x8 RGB, but digit 0/\d+\.png is 8x8 grey"


def deep_pixels(folder: Path) -> str:
    Image.fromarray(np.zeros((8, 8), np.uint16)).save(folder / "train" / "digit 4" / "0999.png")
    return r"digit 4/0999\.png: has I;16 pixels; convert it to 8 bits"


def not_an_image(folder: Path) -> str:
    (folder / "train" / "digit 4" / "0999.png").write_text("no picture")
    return r"digit 4/0999\.png: is not a readable image .*; replace or remove it"


def cut_short(folder: Path) -> str:
    path = next((folder / "train" / "digit 4").iterdir())
    path.write_bytes(path.read_bytes()[:60])
    return r"digit 4/\d+\.png: is not a readable image"


def empty_class(folder: Path) -> str:
    (folder / "train" / "digit x").mkdir()
    return "digit x: holds no images; add some"


def new_class_in_test(folder: Path) -> str:
    (folder / "test" / "digit 4").rename(folder / "test" / "digit z")
    return r"test label digit z \(sample \d+\) does not occur in training; training has digit 0, "


def no_test(folder: Path) -> str:
    (folder / "test").rename(folder / "tests")
    return "has train/ but no test/"


@pytest.mark.parametrize(
    "spoil",
    [odd_size, odd_colour, deep_pixels, not_an_image, cut_short, empty_class, new_class_in_test, no_test],
)
def test_what_does_not_fit_is_said(folder: Path, spoil: Callable[[Path], str]) -> None:
    message = spoil(folder)
    with pytest.raises(DataError, match=message):
        load(str(folder))


def test_test_images_of_another_size(folder: Path) -> None:
    for path in (folder / "test").rglob("*.png"):
        Image.new("L", (4, 4)).save(path)
    with pytest.raises(DataError, match=r"a sample of x_train is \(1, 8, 8\), one of x_test \(1, 4, 4\)"):
        load(str(folder))


def test_folder_that_holds_nothing_known(tmp_path: Path) -> None:
    (tmp_path / "readme.md").write_text("")
    with pytest.raises(DataError, match=r"holds readme\.md; expected an \.npz with x_train"):
        load(str(tmp_path))
