"""Archives of recordings: .zip, .tar.gz, and archives within archives, as one list of names in sorted order.

Members of a .zip are read where they lie; inner archives and .tar.gz are unpacked into a folder that is gone after.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from leanspike.core.errors import DataError
from leanspike.core.files import writing
from leanspike.data import fetch

Entry = tuple[str, Callable[[], bytes]]
"""A file's name, the archives it lies in before it, and its content."""
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, tarfile.TarError, gzip.BadGzipFile, NotImplementedError)


@contextlib.contextmanager
def opened(paths: list[Path]) -> Iterator[list[Entry]]:
    """Every file of some archives, sorted by name.

    Raises:
        DataError: a damaged archive. OutputError: no space to unpack.
    """
    with contextlib.ExitStack() as stack:
        scratch = _Scratch(stack)
        found = [entry for path in paths for entry in _entries(path, f"{path.name}/", scratch)]
        yield sorted(found, key=lambda entry: entry[0])


class _Scratch:
    """A folder in the cache that is made when it is needed, and what must be closed."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self.stack, self._folder, self._count = stack, "", 0

    def place(self) -> Path:
        """A new name in the folder."""
        if not self._folder:
            with writing(fetch.cache()):
                fetch.cache().mkdir(parents=True, exist_ok=True)
                self._folder = self.stack.enter_context(tempfile.TemporaryDirectory(dir=fetch.cache()))
        self._count += 1
        return Path(self._folder) / str(self._count)


def _entries(path: Path, name: str, scratch: _Scratch) -> Iterator[Entry]:
    with damage(path):
        if tarfile.is_tarfile(path):
            yield from _unpacked(path, name, scratch)
            return
        archive = scratch.stack.enter_context(zipfile.ZipFile(path))
        for inner in archive.namelist():
            if inner.endswith(".zip"):
                with archive.open(inner) as stream:
                    yield from _entries(_copied(stream, scratch), f"{name}{inner}/", scratch)
            elif not inner.endswith("/"):
                yield name + inner, _member(path, archive, inner)


def _member(path: Path, archive: zipfile.ZipFile, name: str) -> Callable[[], bytes]:
    def read() -> bytes:
        with damage(path):
            return archive.read(name)

    return read


def _unpacked(path: Path, name: str, scratch: _Scratch) -> Iterator[Entry]:
    with tarfile.open(path, "r:*") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield name + str(PurePosixPath(member.name)), _copied(stream, scratch).read_bytes


def _copied(stream: IO[bytes], scratch: _Scratch) -> Path:
    place = scratch.place()
    with writing(place), place.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    return place


@contextlib.contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn what a damaged archive makes a library raise into a :class:`DataError`."""
    try:
        yield
    except _DAMAGE as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
