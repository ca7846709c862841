"""Find, verify and download the files of known data sets.

A file is looked for in ``$LEANSPIKE_DATA/<set>/``, then in the user's cache
(``$XDG_CACHE_HOME/leanspike/<set>/``, by default below ``~/.cache``), then fetched into the cache. Its checksum is
verified every time (0.05 s for MNIST). A download goes to ``<file>.part``, which a later attempt resumes, and takes
its name only when its checksum is right.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from leanspike.core.errors import DataError, OutputError
from leanspike.data.remote import Form, KnownSet, RemoteFile

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte
Advance = Callable[[int, int | None], None]
"""Called with the bytes that are there and the bytes there will be, where known."""


def cache() -> Path:
    """The user's cache folder of leanspike; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leanspike"


def folders(known: KnownSet) -> list[Path]:
    """Where the files of a set are looked for, in order; the last one is where downloads go.

    Raises:
        DataError: ``LEANSPIKE_DATA`` names no folder.
    """
    named, folder = os.environ.get("LEANSPIKE_DATA"), known.folder or known.name
    if not named:
        return [cache() / folder]
    if not Path(named).is_dir():
        raise DataError("is not a folder", where=f"LEANSPIKE_DATA={named}", remedy="correct it or unset it")
    return [Path(named) / folder, cache() / folder]


def locate(known: KnownSet, file: RemoteFile) -> Path | None:
    """The first place where ``file`` lies, unverified; None if it is not here."""
    return next((folder / file.name for folder in folders(known) if (folder / file.name).is_file()), None)


def present_form(known: KnownSet) -> Form | None:
    """The first form of the set whose files are all here."""
    return next((form for form in known.forms if all(locate(known, file) for file in form.files)), None)


def obtain(known: KnownSet, form: Form) -> dict[str, Path]:
    """Verified paths of a form's files by name; missing ones are fetched into the cache.

    Raises:
        DataError: a file is damaged, or missing and cannot be fetched: the message names the file, the address, the
            checksum and where to put it.
    """
    paths = {}
    for file in form.files:
        path = locate(known, file) or download(file, folders(known)[-1])
        verify(path, file, f"delete it and run: leanspike data fetch {known.name}")
        paths[file.name] = path
    return paths


def verify(path: Path, file: RemoteFile, remedy: str) -> None:
    """Raise :class:`DataError` unless ``path`` has the size and checksum of ``file``, as far as they are published."""
    if not file.checksum:
        return
    algorithm, _, expected = file.checksum.partition(":")
    try:
        size = path.stat().st_size
        if file.size is not None and size < file.size:
            raise DataError(f"is truncated: {size:,} of {file.size:,} bytes", where=path, remedy=remedy)
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path, remedy="make it readable") from error
    if found != expected:
        what = f"is damaged or another file: its {algorithm} is {found}, expected {expected}"
        raise DataError(what, where=path, remedy=remedy)


def download(file: RemoteFile, folder: Path) -> Path:
    """Fetch ``file`` into ``folder``, resuming what an earlier attempt left, and verify it.

    Raises:
        DataError: no address can be reached (what came is kept, to be resumed), or what came is not the file (it
            is removed).
        OutputError: the folder cannot be written.
    """
    target, part = folder / file.name, folder / f"{file.name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(part):
            if target.is_file():  # another process fetched it while this one waited
                part.unlink(missing_ok=True)
                return target
            _fetch(file, part, target)
            _verify_or_remove(file, part)
            part.replace(target)
    except OSError as error:
        remedy = "free some space or set XDG_CACHE_HOME to a folder that you may write to"
        raise OutputError(f"cannot be written ({error.strerror or error})", where=target, remedy=remedy) from error
    return target


class _Interrupted(Exception):
    """An address could not be reached, or the connection broke."""


def _fetch(file: RemoteFile, part: Path, target: Path) -> None:
    failures = []
    for address in file.addresses:
        try:
            with _progress(file.name) as advance:
                _receive(address, part, advance)
            return
        except _Interrupted as error:
            failures.append(f"{address} ({error})")
    if part.stat().st_size == 0:
        part.unlink()
    what = f"is not here and cannot be fetched from {' or '.join(failures) or 'anywhere'}"
    told = f"check that its {file.checksum.replace(':', ' is ')}" if file.checksum else "no checksum is published"
    remedy = f"get it elsewhere, {told}, and put it at {target}"
    raise DataError(what, where=file.name, remedy=remedy)


def _verify_or_remove(file: RemoteFile, part: Path) -> None:
    try:
        verify(part, file, "it was removed; fetch it again")
    except DataError:
        part.unlink(missing_ok=True)
        raise


def _receive(address: str, part: Path, advance: Advance) -> None:
    have = part.stat().st_size
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:
            return  # nothing follows what is there: the checksum decides
        raise _Interrupted(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(getattr(error, "reason", error))) from error
    with response, part.open("ab" if response.status == 206 else "wb") as stream:
        have = stream.tell()
        length = response.headers.get("Content-Length")
        total = None if length is None else have + int(length)
        while block := _read(response):
            have += stream.write(block)
            advance(have, total)
    if total is not None and have < total:
        raise _Interrupted(f"the connection ended after {have:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _Interrupted(str(error)) from error


@contextlib.contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Let one process at a time work on ``part``, which is created (where the system has advisory locks)."""
    with part.open("ab") as stream:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
