"""A folder of class-named folders of .wav files, as log-mel bytes ``[bands, frames]``; :mod:`leanspike.data.logmel`.

    ROOT/train/<class>/*.wav      ROOT/<class>/*.wav
    ROOT/test/<class>/*.wav       (no test set of its own: a stratified fifth is held out with seed 0)

All recordings have one sampling rate. They are cut, or filled with silence, at the length of the longest one of the
training set, at most :data:`MOST_SECONDS`; the frames are so far apart that there are :data:`MOST_FRAMES` at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data import wav
from leanspike.data.base import Array, Dataset, held_out
from leanspike.data.logmel import LogMel, logmel
from leanspike.data.own.arrays import number_labels
from leanspike.data.own.folders import TEST_FRACTION, TEST_SEED

MOST_SECONDS = 4.0
MOST_FRAMES = 100
_Recordings = list[tuple[Path, wav.Sound]]


def classes_in(root: Path) -> list[Path]:
    """The class folders below ``root`` (or below its ``train``), sorted by name; empty if there is none with .wav."""
    base = root / "train" if (root / "train").is_dir() else root
    return [folder for folder in _subfolders(base) if _files(folder)]


def load(root: Path) -> Dataset:
    """Read all recordings; a class is numbered by its folder's place in the sorted names.

    Raises:
        DataError: a folder without recordings, one that is damaged or of another sampling rate than the first, or a
            test class that training does not have.
    """
    if (root / "train").is_dir():
        if not (root / "test").is_dir():
            remedy = "add test/, or put class folders in it at once"
            raise DataError("has train/ but no test/", where=root, remedy=remedy)
        train, rate = _read(root / "train", None)
        test, rate = _read(root / "test", rate)
        told = f"folders of .wav files train/ and test/ in {root.name}"
    else:
        whole, rate = _read(root, None)
        numbers, _ = number_labels(_classes(whole), _classes(whole), root)
        held = held_out(numbers[0], TEST_FRACTION, TEST_SEED)
        if not held.any():
            raise DataError("no class has two recordings, so none can be held out for testing", where=root)
        train = [one for one, out in zip(whole, held, strict=True) if not out]
        test = [one for one, out in zip(whole, held, strict=True) if out]
        told = f"folders of .wav files in {root.name}; test set: a stratified fifth, seed {TEST_SEED}"
    front_end = front_end_for(max(len(sound) for _, sound in train) / rate)
    (y_train, y_test), classes = number_labels(_classes(train), _classes(test), root)
    x_train, x_test = (np.stack([logmel(sound, rate, front_end) for _, sound in part]) for part in (train, test))
    told += f"; log-mel, {front_end.bands} bands, {front_end.frames} frames of {front_end.hop * 1000:g} ms, {rate} Hz"
    return Dataset(root.resolve().name, x_train, y_train, x_test, y_test, classes, "series", "not stated", told)


def front_end_for(seconds: float) -> LogMel:
    """The front end for recordings of that length: frames of 20 ms, or as much longer as they have to be."""
    kept = min(seconds, MOST_SECONDS)
    hop = max(0.02, math.ceil(1000 * kept / MOST_FRAMES) / 1000)
    frames = max(1, math.ceil(kept / hop))
    return LogMel(hop=hop, window=1.6 * hop, seconds=frames * hop)


def _read(base: Path, rate: int | None) -> tuple[_Recordings, int]:
    """Every recording below the class folders of ``base``, and the sampling rate of all, ``rate`` where it is given."""
    folders = _subfolders(base)
    if not folders:
        raise DataError("holds no class folders", where=base, remedy="one folder a class, with its recordings")
    for folder in folders:
        if not _files(folder):
            raise DataError("holds no .wav files", where=folder, remedy="add some or remove it")
    found: _Recordings = []
    for path in _tracked([path for folder in folders for path in _files(folder)]):
        sound, own = wav.decode(path.read_bytes(), path)
        if rate is not None and own != rate:
            raise DataError(f"has {own} samples a second, others {rate}", where=path, remedy="bring all to one rate")
        rate = own
        found.append((path, sound))
    assert rate is not None
    return found, rate


def _classes(recordings: _Recordings) -> Array:
    return np.array([path.parent.name for path, _ in recordings])


def _tracked(paths: list[Path]) -> Iterable[Path]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(paths, "reading sounds", console=console, transient=True, disable=not console.is_terminal)


def _subfolders(base: Path) -> list[Path]:
    return sorted(entry for entry in base.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.suffix.lower() == ".wav" and entry.is_file())
