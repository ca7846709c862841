"""Records of the data sets known by name: files and where they are fetched from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Attributes:
        checksum: ``"sha256:<hex>"`` or, where only that is published, ``"sha1:<hex>"`` or ``"md5:<hex>"``; empty
            where nobody publishes one, so that the file cannot be verified.
        size: bytes, or None where no one publishes it.
        addresses: where it can be fetched, in order of preference; empty if nowhere.
    """

    name: str
    checksum: str
    size: int | None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """One way in which a data set can lie on disk. ``note`` says what differs from the whole original."""

    files: tuple[RemoteFile, ...]
    train: int
    test: int
    note: str = ""


@dataclass(frozen=True)
class KnownSet:
    """A data set known by name. The first form is the canonical one, which is fetched; no form: embedded.

    Attributes:
        shape: of a sample; empty where only the files say it, as are ``classes``; ``train`` and ``test`` are then 0.
        folder: where its files lie below a data folder; empty: its name.
        reader: who reads it, a module of :mod:`leanspike.data`.
    """

    name: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    licence: str
    citation: str
    forms: tuple[Form, ...]
    train: int
    test: int
    folder: str = ""
    reader: Literal["images", "recordings", "archives", "sounds", "waves"] = "images"
