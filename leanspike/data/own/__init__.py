"""A user's own data by path: what it is decides who reads it.

FILE.npz                          x_train, y_train, x_test, y_test             -> npz
NAME_TRAIN.tsv|.txt|.ts           beside NAME_TEST of the same ending          -> series
a folder with one such pair       (or with the one pair that the path names)   -> series
a folder with four idx files      named as MNIST's, gzipped or plain           -> idx
a folder of class-named folders   of images, below train/ and test/ or at once -> folders
the same                          of .wav files                                -> sounds
the same                          of event files                               -> leanspike.data.recordings
"""

from __future__ import annotations

from pathlib import Path

from leanspike.core.errors import DataError
from leanspike.data import idx
from leanspike.data.base import Dataset
from leanspike.data.own import folders, npz, series, sounds
from leanspike.data.own.arrays import from_arrays

EXPECTED = (
    "expected an .npz with x_train, y_train, x_test, y_test, a NAME_TRAIN/NAME_TEST pair of .tsv, .txt or .ts files, "
    "a folder with such a pair or with MNIST-like idx files, or a folder of class-named folders of images, "
    ".wav files or event files"
)


def load_path(path: Path) -> Dataset:
    """Load what lies at ``path``.

    Raises:
        DataError: nothing is there, or it is none of the forms above, or it does not hold what that form should.
    """
    if path.is_dir():
        return _load_folder(path)
    if not path.is_file():
        raise DataError("no such file or folder", where=path, remedy="check the path")
    if path.suffix == ".npz":
        return npz.load(path)
    if series.is_half_of_pair(path):
        return series.load(path)
    raise DataError("is not a kind of file that can be read", where=path, remedy=EXPECTED)


def _load_folder(path: Path) -> Dataset:
    if pairs := series.pairs_in(path):
        if len(pairs) > 1:
            names = ", ".join(pair.name for pair in pairs[:5])
            raise DataError(f"holds {len(pairs)} series pairs", where=path, remedy=f"name one: {names}")
        return series.load(pairs[0])
    files = [_idx_file(path, name) for name in idx.NAMES]
    if any(files):
        return _load_idx(path, files)
    if folders.classes_in(path):
        return folders.load(path)
    if sounds.classes_in(path):
        return sounds.load(path)
    found = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
    raise DataError(f"holds {found}", where=path, remedy=EXPECTED)


def _load_idx(path: Path, files: list[Path | None]) -> Dataset:
    missing = [name for name, file in zip(idx.NAMES, files, strict=True) if file is None]
    present = [file for file in files if file is not None]
    if missing:
        raise DataError(f"{missing[0]} (or .gz) is missing beside {present[0].name}", where=path, remedy="add it")
    x_train, y_train = idx.read_pair(present[0], present[1])
    x_test, y_test = idx.read_pair(present[2], present[3])
    return from_arrays(x_train, y_train, x_test, y_test, name=path.name, where=path, source=f"idx files in {path.name}")


def _idx_file(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / name, folder / f"{name}.gz") if file.is_file()), None)
