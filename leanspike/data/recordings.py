"""The sets of recordings known by name: N-MNIST's first recordings, as frames of events."""

from __future__ import annotations

import re
import zipfile
import zlib
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data import fetch
from leanspike.data.base import Array, Dataset, Labels
from leanspike.data.events import Layout, decoded, frames, nmnist
from leanspike.data.known import KnownSet

FRAMES, FRAME_US = 32, 10_000
"""N-MNIST: three saccades in about 308 ms; what comes after 320 ms is left out."""
SIDE = 34
_NAME = re.compile(r"(Train|Test)/(\d)/(\d+)\.bin")


def load_known(known: KnownSet) -> Dataset:
    """Load a set of the table; a frame's pixel is 255 where at least one event of its polarity fell.

    Raises:
        DataError: the file is missing and cannot be fetched, or is damaged.
    """
    form = fetch.present_form(known) or known.forms[0]
    (path,) = fetch.obtain(known, form).values()
    parts = read_archive(path)
    (x_train, y_train), (x_test, y_test) = parts["Train"], parts["Test"]
    source = f"{known.citation}; {form.note}; {FRAMES} frames of {FRAME_US // 1000} ms"
    return Dataset(known.name, x_train, y_train, x_test, y_test, known.classes, "events", known.licence, source)


def read_archive(path: Path) -> dict[str, tuple[Array, Labels]]:
    """Training and test set of a .zip of ``Train|Test/LABEL/NUMBER.bin``, recordings in the order of their numbers.

    Raises:
        DataError: a damaged archive or recording, or none there.
    """
    found: dict[str, list[tuple[int, int, Array]]] = {"Train": [], "Test": []}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if told := _NAME.fullmatch(name):
                    events = decoded(nmnist.decode(archive.read(name)), f"{path}: {name}", Layout((SIDE, SIDE)))
                    pixels = frames.by_time(events, FRAMES, FRAME_US, start=0)
                    found[told[1]].append((int(told[3]), int(told[2]), (pixels > 0) * np.uint8(255)))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
    if not all(found.values()):
        raise DataError("holds no Train/LABEL/NUMBER.bin and Test/LABEL/NUMBER.bin", where=path)
    return {part: _stacked(sorted(rows, key=lambda row: row[0])) for part, rows in found.items()}


def _stacked(rows: list[tuple[int, int, Array]]) -> tuple[Array, Labels]:
    return np.stack([pixels for _, _, pixels in rows]), np.array([label for _, label, _ in rows], dtype=np.int64)
