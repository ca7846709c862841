"""One way in: a name or a path becomes a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from leanspike.core.errors import DataError
from leanspike.data import archives, images, own, recordings, sounds, waves
from leanspike.data.base import Dataset
from leanspike.data.known import find, is_known, unknown
from leanspike.data.remote import KnownSet


class Reader(Protocol):
    """A module that reads known sets."""

    def load_known(self, known: KnownSet) -> Dataset:
        """Load a set of the table."""


READERS: Mapping[str, Reader] = {"images": images, "archives": archives, "sounds": sounds, "waves": waves}
_SEPARATORS = (os.sep, os.altsep or os.sep)


def load(name_or_path: str) -> Dataset:
    """Load a known set by name, or a user's own data by path (see :mod:`leanspike.data.own`).

    A known name wins over a file of that name; write ``./mnist`` for the folder. Sets of event recordings take settings
    after a colon, and ``events-of:`` makes one of any images (see :mod:`leanspike.data.recordings`).

    Raises:
        DataError: unknown name, missing or damaged file, or data that do not fit: one line with the remedy.
        ConfigError: a setting in the name that does not fit.
    """
    try:
        if name_or_path.startswith(recordings.GENERATED):
            return recordings.load_generated(name_or_path, load)
        base, settings = recordings.split_name(name_or_path)
        if is_known(base):
            known = find(base)
            if known.reader == "recordings":
                return recordings.load_known(known, name_or_path)
            if settings:
                raise _no_settings(name_or_path)
            return READERS[known.reader].load_known(known)
        if any(mark in base for mark in _SEPARATORS) or Path(base).exists():
            if Path(base).is_dir() and recordings.preparation(name_or_path):
                return recordings.load_folder(Path(base), name_or_path)
            if settings:
                raise _no_settings(name_or_path)
            return own.load_path(Path(name_or_path))
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise DataError(what, where=name_or_path, remedy="check the path and its permissions") from error
    raise unknown(base)


def _no_settings(name: str) -> DataError:
    return DataError("is no set of event recordings, so it takes no settings", where=name, remedy="leave them out")
