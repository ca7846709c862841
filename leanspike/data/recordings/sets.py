"""The sets of recordings known by name: how each is read, and which frames its name alone stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from leanspike.data import fetch
from leanspike.data.events.prepare import Preparation
from leanspike.data.recordings import classes, gesture, heidelberg, nmnist
from leanspike.data.recordings.source import Recording, Source
from leanspike.data.remote import KnownSet

VERSION = 1
"""Goes up when the same files make other recordings."""
Read = Callable[[list[Path]], Iterator[Recording]]


@dataclass(frozen=True, eq=False)
class _Kind:
    read: Read
    size: tuple[int, int]
    preparation: Preparation
    start: int | None = None


_CHANNELS = Preparation(frames=100, frame_us=10_000, polarities=1)
_KINDS = {
    "n-mnist-small": _Kind(nmnist.read, (34, 34), Preparation(frames=32, frame_us=10_000), start=0),
    "n-mnist": _Kind(nmnist.read, (34, 34), Preparation(frames=10, frame_us=32_000), start=0),
    "dvs128-gesture": _Kind(gesture.read, gesture.SIZE, Preparation(frames=20, pool=4)),
    "cifar10-dvs": _Kind(partial(classes.read, how=classes.CIFAR10_DVS), (128, 128), Preparation(pool=2)),
    "n-caltech101": _Kind(partial(classes.read, how=classes.NCALTECH101), (240, 180), Preparation(pool=4)),
    "n-cars": _Kind(partial(classes.read, how=classes.NCARS), (120, 100), Preparation(pool=2)),
    "shd": _Kind(heidelberg.read, (heidelberg.CHANNELS, 1), _CHANNELS, start=0),
    "ssc": _Kind(heidelberg.read, (heidelberg.CHANNELS, 1), _CHANNELS, start=0),
}


def preparation(name: str) -> Preparation | None:
    """The frames that a known set's name alone stands for; None for other names."""
    return _KINDS[name].preparation if name in _KINDS else None


def source(known: KnownSet) -> Source:
    """The recordings of a known set: found, verified and, if need be, fetched.

    Raises:
        DataError: a file is missing and cannot be fetched, or is damaged.
    """
    kind, form = _KINDS[known.name], fetch.present_form(known) or known.forms[0]
    paths = list(fetch.obtain(known, form).values())
    names = known.classes or classes.names(paths, classes.NCALTECH101)
    return Source(
        name=known.name,
        classes=names,
        size=kind.size,
        key={"version": VERSION, "files": [file.checksum for file in form.files]},
        read=partial(kind.read, paths),
        licence=known.licence,
        source=f"{known.citation}; {form.note}" if form.note else known.citation,
        count=form.train + form.test,
        start=kind.start,
    )
