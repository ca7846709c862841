"""One way in: a name or a path becomes a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from leanspike.core.errors import DataError
from leanspike.data import archives, images, own, recordings, sounds
from leanspike.data.base import Dataset
from leanspike.data.known import KnownSet, find, is_known, unknown


class Reader(Protocol):
    """A module that reads known sets."""

    def load_known(self, known: KnownSet) -> Dataset:
        """Load a set of the table."""


READERS: Mapping[str, Reader] = {"images": images, "recordings": recordings, "archives": archives, "sounds": sounds}
_SEPARATORS = (os.sep, os.altsep or os.sep)


def load(name_or_path: str) -> Dataset:
    """Load a known set by name, or a user's own data by path (see :mod:`leanspike.data.own`).

    A known name wins over a file of that name; write ``./mnist`` for the folder.

    Raises:
        DataError: unknown name, missing or damaged file, or data that do not fit: one line with the remedy.
    """
    try:
        if is_known(name_or_path):
            known = find(name_or_path)
            return READERS[known.reader].load_known(known)
        if any(mark in name_or_path for mark in _SEPARATORS) or Path(name_or_path).exists():
            return own.load_path(Path(name_or_path))
    except OSError as error:
        what = f"cannot be read ({error.strerror or error})"
        raise DataError(what, where=name_or_path, remedy="check the path and its permissions") from error
    raise unknown(name_or_path)
