"""One way in: a name or a path becomes a data set."""

from __future__ import annotations

import os
from pathlib import Path

from leanspike.data import images, own
from leanspike.data.base import Dataset
from leanspike.data.known import KNOWN, find


def load(name_or_path: str) -> Dataset:
    """Load a known set by name, or a user's own data by path (see :mod:`leanspike.data.own`).

    A known name wins over a file of that name; write ``./mnist`` for the folder.

    Raises:
        DataError: unknown name, missing or damaged file, or data that do not fit: one line with the remedy.
    """
    separators = {os.sep, os.altsep or os.sep}
    looks_like_path = any(separator in name_or_path for separator in separators) or Path(name_or_path).exists()
    if looks_like_path and name_or_path not in {known.name for known in KNOWN}:
        return own.load_path(Path(name_or_path))
    return images.load_known(find(name_or_path))
