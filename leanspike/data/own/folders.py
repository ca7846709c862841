"""A folder of class-named image folders.

    ROOT/train/<class>/*.png      ROOT/<class>/*.png
    ROOT/test/<class>/*.png       (no test set of its own: a stratified fifth is held out with seed 0)

All images have one size, grey or RGB (a palette or transparency becomes RGB). Hidden files and files without an
image's ending are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data.base import Array, Dataset, held_out
from leanspike.data.own.arrays import from_arrays, number_labels

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}
TEST_FRACTION = 0.2
TEST_SEED = 0


def classes_in(root: Path) -> list[Path]:
    """The class folders below ``root`` (or below its ``train``), sorted by name; empty if there is none with images."""
    base = root / "train" if (root / "train").is_dir() else root
    return [folder for folder in _subfolders(base) if _images(folder)]


def load(root: Path) -> Dataset:
    """Read all images; a class is numbered by its folder's place in the sorted names.

    Raises:
        DataError: a folder without images, an image that is damaged or of another size or colour than the first,
            or a test class that training does not have.
    """
    if (root / "train").is_dir():
        if not (root / "test").is_dir():
            raise DataError(
                "has train/ but no test/", where=root, remedy="add test/, or put class folders in it at once"
            )
        (x_train, y_train), (x_test, y_test) = _read(root / "train"), _read(root / "test")
        source = f"image folders train/ and test/ in {root.name}"
    else:
        x, y = _read(root)
        numbers, _ = number_labels(y, y, root)
        held = held_out(numbers[0], TEST_FRACTION, TEST_SEED)
        x_train, y_train, x_test, y_test = x[~held], y[~held], x[held], y[held]
        source = f"image folders in {root.name}; test set: a stratified fifth, seed {TEST_SEED}"
        if not held.any():
            raise DataError("no class has two images, so none can be held out for testing", where=root)
    return from_arrays(x_train, y_train, x_test, y_test, name=root.resolve().name, where=root, source=source)


def _read(base: Path) -> tuple[Array, Array]:
    """Images ``[N, C, H, W]`` uint8 and the names of their classes ``[N]``."""
    folders = _subfolders(base)
    for folder in folders:
        if not _images(folder):
            raise DataError(
                "holds no images", where=folder, remedy=f"add some ({', '.join(sorted(ENDINGS))}) or remove it"
            )
    if not folders:
        raise DataError("holds no class folders", where=base, remedy="one folder a class, with its images")
    pictures: list[Array] = []
    labels: list[str] = []
    first: Path | None = None
    for path in _tracked([path for folder in folders for path in _images(folder)]):
        picture = _picture(path)
        first = first or path
        if pictures and picture.shape != pictures[0].shape:
            what = f"is {_size(picture)}, but {first.parent.name}/{first.name} is {_size(pictures[0])}"
            raise DataError(what, where=path, remedy="bring all images to one size and colour")
        pictures.append(picture)
        labels.append(path.parent.name)
    return np.stack(pictures), np.array(labels)


def _picture(path: Path) -> Array:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            if picture.mode.startswith(("I", "F")):
                what = f"has {picture.mode} pixels"
                raise DataError(what, where=path, remedy="convert it to 8 bits a channel")
            if picture.mode in ("1", "L"):
                return np.asarray(picture.convert("L"))[None]
            return np.asarray(picture.convert("RGB")).transpose(2, 0, 1)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"is not a readable image ({error})", where=path, remedy="replace or remove it") from error


def _tracked(paths: list[Path]) -> Iterable[Path]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(paths, "reading images", console=console, transient=True, disable=not console.is_terminal)


def _size(picture: Array) -> str:
    channels, height, width = picture.shape
    return f"{width}x{height} {'grey' if channels == 1 else 'RGB'}"


def _subfolders(base: Path) -> list[Path]:
    return sorted(entry for entry in base.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in ENDINGS and not entry.name.startswith(".") and entry.is_file()
    )
