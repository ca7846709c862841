"""The sets of sounds known by name: spoken digits and Speech Commands, as log-mel bytes ``[bands, frames]``.

fsdd                     recordings/<digit>_<speaker>_<index>.wav; index 0 to 4 tests, the rest trains (official split)
fsdd-without-SPEAKER     that speaker tests, the others train: what the network does with a voice it never heard
speech-commands          <word>/<file>.wav; testing_list.txt tests, the rest trains, without _background_noise_

What the front end made is kept in the user's cache, under a name that its settings and the archive's bytes decide.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError, OutputError
from leanspike.core.files import make_folder, write_bytes
from leanspike.core.records import content_hash
from leanspike.data import fetch, wav
from leanspike.data.base import Array, Dataset
from leanspike.data.logmel import LogMel, logmel
from leanspike.data.own.arrays import number_labels
from leanspike.data.remote import KnownSet

FRONT_END = LogMel()
SPEECH_FRONT_END = replace(FRONT_END, seconds=1.0)
_DIGIT = re.compile(r"(?:.*/)?recordings/(\d)_([a-z]+)_(\d+)\.wav")
_WORD = re.compile(r"(?:\./)?([^_/.][^/]*)/([^/]+\.wav)")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, tarfile.TarError)


@dataclass(frozen=True, eq=False)
class Sounds:
    """Recordings of one archive: log-mel bytes ``[N, bands, frames]`` and the names of the files."""

    x: Array
    names: tuple[str, ...]


def load_known(known: KnownSet) -> Dataset:
    """Load a set of the table.

    Raises:
        DataError: the file is missing and cannot be fetched, or is damaged.
    """
    form = fetch.present_form(known) or known.forms[0]
    (path,) = fetch.obtain(known, form).values()
    note = "" if form.files[0].checksum else "; not verified: no checksum is published"
    if known.name == "speech-commands":
        return speech_commands(known, path)
    source = f"{known.citation}; {form.note}{note}; {_told(FRONT_END)}"
    return spoken_digits(known, path, source)


def spoken_digits(known: KnownSet, path: Path, source: str) -> Dataset:
    """The digits with the split that the set's name says."""
    found = prepared(path, FRONT_END, _zipped)
    read = [_DIGIT.fullmatch(name) for name in found.names]
    told = [(int(m[1]), m[2], int(m[3])) for m in read if m]
    if len(told) < len(read) or not told:
        raise DataError("holds no recordings/DIGIT_SPEAKER_INDEX.wav", where=path, remedy="get it again")
    labels = np.array([digit for digit, _, _ in told], dtype=np.int64)
    left_out = known.name.removeprefix("fsdd").removeprefix("-without-")
    tests = np.array([speaker == left_out if left_out else index < 5 for _, speaker, index in told])
    x_train, x_test, y_train, y_test = found.x[~tests], found.x[tests], labels[~tests], labels[tests]
    return Dataset(known.name, x_train, y_train, x_test, y_test, known.classes, "series", known.licence, source)


def speech_commands(known: KnownSet, path: Path, front_end: LogMel = SPEECH_FRONT_END) -> Dataset:
    """The words of ``path``, an archive of the published layout."""
    found = prepared(path, front_end, _tarred)
    listed = set(_member(path, "testing_list.txt").decode().split())
    pairs = [m.groups() for name in found.names if (m := _WORD.fullmatch(name))]
    tests = np.array([f"{word}/{file}" in listed for word, file in pairs])
    words = np.array([word for word, _ in pairs])
    if tests.all() or not tests.any():
        raise DataError("its testing_list.txt names none or all of its files", where=path, remedy="get it again")
    (y_train, y_test), classes = number_labels(words[~tests], words[tests], path)
    x_train, x_test, source = found.x[~tests], found.x[tests], f"{known.citation}; {_told(front_end)}"
    return Dataset(known.name, x_train, y_train, x_test, y_test, classes, "series", known.licence, source)


def prepared(path: Path, front_end: LogMel, members: Callable[[Path], Iterator[tuple[str, bytes]]]) -> Sounds:
    """Every recording of an archive through the front end, from the cache where it has been done before."""
    with path.open("rb") as stream:
        told = {"bytes": hashlib.file_digest(stream, "sha256").hexdigest(), "front_end": content_hash(front_end)}
    kept = fetch.cache() / "logmel" / f"{content_hash(told)}.npz"
    found = _cached(kept)
    if found is None:
        try:
            found = transformed(members(path), front_end)
        except _DAMAGED as error:
            raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
        with suppress(OutputError):  # a cache that cannot be written costs time, and changes nothing
            make_folder(kept.parent)
            buffer = io.BytesIO()
            np.savez_compressed(buffer, x=found.x, names=np.array(found.names))
            write_bytes(kept, buffer.getvalue())
    return found


def transformed(recordings: Iterable[tuple[str, bytes]], front_end: LogMel) -> Sounds:
    """Log-mel bytes of named .wav contents, by name."""
    rows = sorted((name, logmel(*wav.decode(content, name), front_end)) for name, content in _tracked(recordings))
    if not rows:
        raise DataError("there is no .wav in it", remedy="get it again")
    return Sounds(np.stack([x for _, x in rows]), tuple(name for name, _ in rows))


def _cached(path: Path) -> Sounds | None:
    """What an earlier run kept; None where there is nothing, or nothing whole."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Sounds(arrays["x"], tuple(arrays["names"].tolist()))
    except (OSError, ValueError, KeyError, *_DAMAGED):
        return None


def _zipped(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if _DIGIT.fullmatch(name):
                yield name, archive.read(name)


def _tarred(path: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() and _WORD.fullmatch(member.name) else None
            if stream is not None:
                yield member.name.removeprefix("./"), stream.read()


def _member(path: Path, wanted: str) -> bytes:
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                stream = archive.extractfile(member) if Path(member.name) == Path(wanted) else None
                if stream is not None:
                    return stream.read()
    except _DAMAGED as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
    raise DataError(f"holds no {wanted}", where=path, remedy="get it again")


def _told(front_end: LogMel) -> str:
    return f"log-mel, {front_end.bands} bands, {front_end.frames} frames of {front_end.hop * 1000:g} ms"


def _tracked(recordings: Iterable[tuple[str, bytes]]) -> Iterable[tuple[str, bytes]]:
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(recordings, "log-mel", total=None, console=console, transient=True, disable=not console.is_terminal)
