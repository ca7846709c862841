"""A user's own recordings: a folder of class-named folders of event files, in any format that is read.

    ROOT/train/<class>/*      ROOT/<class>/*
    ROOT/test/<class>/*       (no test set of its own: a stratified fifth is held out with seed 0)

A class is numbered by its folder's place in the sorted names. Hidden files, and files without an event file's ending,
are passed over.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError, OutputError
from leanspike.core.files import writing
from leanspike.data.base import held_out
from leanspike.data.events import SUFFIXES, nmnist, read
from leanspike.data.recordings.source import Recording, Source, shown

TEST_FRACTION, TEST_SEED = 0.2, 0
Row = tuple[str, int, Path]


def is_one(root: Path) -> bool:
    """Whether there are class folders with event files below ``root`` or its ``train``."""
    base = root / "train" if (root / "train").is_dir() else root
    return any(_files(folder) for folder in _folders(base))


def source(root: Path) -> Source:
    """The recordings below ``root``.

    Raises:
        DataError: no test folder beside a training one, fewer than two classes, or a test class that training lacks.
    """
    split = (root / "train").is_dir()
    if split and not (root / "test").is_dir():
        raise DataError("has train/ but no test/", where=root, remedy="add test/, or put class folders in it at once")
    classes = [folder.name for folder in _folders(root / "train" if split else root) if _files(folder)]
    if len(classes) < 2:
        raise DataError(f"has {len(classes)} class of recordings", where=root, remedy="a classifier needs two or more")
    rows = _split(root, classes) if split else _held_out(root, classes)

    def recordings() -> Iterator[Recording]:
        for part, label, path in rows:
            yield part, label, read(path)

    return Source(
        name=root.name,
        classes=tuple(classes),
        size=None,
        key={"files": [[part, label, _hash(path)] for part, label, path in rows]},
        read=recordings,
        licence="not stated",
        source=f"event files in {root.name}" + ("" if split else f"; test set: a stratified fifth, seed {TEST_SEED}"),
        count=len(rows),
    )


def write(source: Source, root: Path) -> int:
    """Write a set below ``root``, whole or not at all; returns the number of recordings.

    Raises:
        OutputError: ``root`` is there already, or cannot be written. DataError: a recording does not fit a .bin file.
    """
    part, count = root.with_name(f"{root.name}.part"), 0
    if root.exists():
        raise OutputError("is there already", where=root, remedy="remove it or choose another --out")
    with writing(root):
        shutil.rmtree(part, ignore_errors=True)
        for name in (f"{which}/{_plain(label)}" for which in ("train", "test") for label in source.classes):
            (part / name).mkdir(parents=True)
        for which, label, events in shown(source, "making"):
            count += 1
            (part / which / _plain(source.classes[label]) / f"{count:06}.bin").write_bytes(nmnist.encode(events))
        part.rename(root)
    return count


def _plain(name: str) -> str:
    return name.replace("/", "-")


def _split(root: Path, classes: list[str]) -> list[Row]:
    unknown = [folder.name for folder in _folders(root / "test") if _files(folder) and folder.name not in classes]
    if unknown:
        raise DataError(f"test class {unknown[0]} does not occur in training", where=root)
    return [
        (part, label, path)
        for part in ("train", "test")
        for label, name in enumerate(classes)
        for path in _files(root / part / name)
    ]


def _held_out(root: Path, classes: list[str]) -> list[Row]:
    rows = [(label, path) for label, name in enumerate(classes) for path in _files(root / name)]
    held = held_out(np.array([label for label, _ in rows], dtype=np.int64), TEST_FRACTION, TEST_SEED)
    return [("test" if test else "train", label, path) for (label, path), test in zip(rows, held, strict=True)]


def _folders(root: Path) -> list[Path]:
    found = [entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    return sorted(found, key=lambda entry: entry.name)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    entries = (entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))
    return sorted(entry for entry in entries if entry.suffix.lower() in SUFFIXES)


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
