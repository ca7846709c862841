"""The series sets known by name: those of the UCR and UEA archives, and one long recording cut into windows."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path, PurePath

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data import fetch
from leanspike.data.base import Array, Dataset
from leanspike.data.own import series
from leanspike.data.own.arrays import from_arrays
from leanspike.data.remote import KnownSet

WINDOW = 64
"""Steps of a window of the EEG, half a second at 128 Hz."""
TRAIN_SHARE = 0.8
MOST_MICROVOLTS = 6000.0
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


def load_known(known: KnownSet) -> Dataset:
    """Load a set of the table.

    Raises:
        DataError: the file is missing and cannot be fetched, or is damaged, or does not hold the set.
    """
    form = fetch.present_form(known) or known.forms[0]
    (path,) = fetch.obtain(known, form).values()
    if known.name == "eeg-eye-state":
        return eye_state(known, path)
    texts, files = _pair(path, known)
    unverified = "" if form.files[0].checksum else "; not verified: no checksum is published"
    source = f"{known.citation}; {files[0].name} and {files[1].name}{unverified}"
    return series.from_texts(texts, files, name=known.name, where=path, source=source, licence=known.licence)


def _pair(path: Path, known: KnownSet) -> tuple[list[str], list[PurePath]]:
    """Texts and places of both halves of a set in a .zip, with or without a folder of its own; .ts before the rest."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = {PurePath(name).name.lower(): name for name in archive.namelist()}
            for ending in (".ts", ".tsv", ".txt"):
                halves = [names.get(f"{known.name}_{part}{ending}") for part in ("train", "test")]
                found = [name for name in halves if name is not None]
                if len(found) == 2:
                    texts = [archive.read(name).decode("utf-8-sig") for name in found]
                    return texts, [PurePath(name) for name in found]
    except (*_DAMAGED, UnicodeDecodeError) as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
    raise DataError(f"holds no {known.name}_TRAIN and _TEST", where=path, remedy="get it again")


def eye_state(known: KnownSet, path: Path) -> Dataset:
    """Windows of the recording, labelled by most of their steps; the first four fifths of the time train, the rest
    tests: windows of one recording are near copies of each other, so that a shuffled split would leak.

    Electrodes with absurd spikes are cut at 6,000 microvolts; values are scaled by the training part's extremes.
    """
    rows = _rows(path)
    windows = len(rows) // WINDOW
    whole = rows[: windows * WINDOW].reshape(windows, WINDOW, -1)
    x, y = whole[:, :, :-1].transpose(0, 2, 1).clip(0, MOST_MICROVOLTS), (whole[:, :, -1].mean(1) >= 0.5).astype(int)
    train = int(windows * TRAIN_SHARE)
    source = f"{known.citation}; windows of {WINDOW} steps, split by time"
    found = from_arrays(
        x[:train], y[:train], x[train:], y[train:], name=known.name, where=path, source=source, licence=known.licence
    )
    return Dataset(
        found.name, found.x_train, found.y_train, found.x_test, found.y_test, known.classes, "series", found.licence,
        found.source,
    )  # fmt: skip


def _rows(path: Path) -> Array:
    """``[steps, 15]``: 14 electrodes and the state of the eyes."""
    try:
        with zipfile.ZipFile(path) as archive:
            (name,) = [name for name in archive.namelist() if name.lower().endswith(".arff")]
            text = archive.read(name).decode()
        body = text[text.upper().index("@DATA") + 5 :].strip()
        return np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2)
    except (*_DAMAGED, ValueError) as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
