"""Any file of events: the format is told by its first bytes, or where it has none of its own, by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data.events import aedat2, aedat3, aedat4, arrays, bs1, dat, es, evt, hdf5, mat, nmnist
from leanspike.data.events.record import Columns, Events, Fault, ordered

FORMATS: dict[str, tuple[Callable[[bytes], bool], Callable[[bytes], Columns]]] = {
    "aedat4": (aedat4.recognises, aedat4.decode),
    "aedat3": (aedat3.recognises, aedat3.decode),
    "aedat2": (aedat2.recognises, aedat2.decode),
    "evt": (evt.recognises, evt.decode),
    "dat": (dat.recognises, dat.decode),
    "es": (es.recognises, es.decode),
    "numpy": (arrays.recognises, arrays.decode),
    "hdf5": (hdf5.recognises, hdf5.decode),
    "mat": (mat.recognises, mat.decode),
}
"""Formats that their first bytes tell, in the order in which they are asked."""
BY_NAME: dict[str, tuple[str, Callable[[bytes], Columns]]] = {
    ".bin": ("N-MNIST", nmnist.decode),
    ".bs1": ("bs1", bs1.decode),
    ".aedat": ("aedat without header", aedat2.decode_bare),
}
SUFFIXES = (".bin", ".aedat", ".aedat4", ".dat", ".raw", ".es", ".npy", ".npz", ".h5", ".hdf5", ".mat", ".bs1")
"""What recordings of a folder are called."""


@dataclass(frozen=True)
class Layout:
    """What a file may not say of itself.

    Attributes:
        size: width and height of the sensor; else the file's own, or what holds every event.
        tick_us: microseconds of a tick.
    """

    size: tuple[int, int] | None = None
    tick_us: float = 1.0


def read(path: Path, layout: Layout | None = None, *, partial: bool = False) -> Events:
    """A recording, whole in memory: the file's bytes and 13 bytes an event.

    Args:
        partial: take the good part of a damaged file; its ``notes`` say what is missing.

    Raises:
        DataError: no such file, an unknown format, or damage, with the byte at which it begins.
        MissingTool: a library that the format needs is not installed.
    """
    layout = layout or Layout()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    return decoded(_decoder(data, path)(data), path, layout, partial=partial)


def read_bytes(data: bytes, name: str, layout: Layout) -> Events:
    """A recording that is no file of its own, such as an archive's; ``name`` tells what no first bytes do."""
    return decoded(_decoder(data, Path(name))(data), name, layout)


def decoded(found: Columns, where: object, layout: Layout, *, partial: bool = False) -> Events:
    """What a decoder found as a recording; arguments and errors as of :func:`read`."""
    size = layout.size or found.size
    fault = found.fault or _outside(found, size)
    if fault is not None and not partial:
        what = f"is damaged at byte {fault.offset:,}: {fault.what}"
        raise DataError(what, where=where, remedy="take the part before it with partial=True, or get the file again")
    notes = () if fault is None else (f"damaged at byte {fault.offset:,}: {fault.what}; {len(found.t):,} events read",)
    return _events(found, size, layout.tick_us, notes)


def _decoder(data: bytes, path: Path) -> Callable[[bytes], Columns]:
    for recognises, decode in FORMATS.values():
        if recognises(data):
            return decode
    suffix = path.suffix.lower()
    if not data:
        raise DataError("is empty", where=path)
    if suffix not in BY_NAME:
        known = ", ".join([*FORMATS, *(f"{name} ({end})" for end, (name, _) in BY_NAME.items())])
        raise DataError("is in no known format of events", where=path, remedy=f"known: {known}")
    return BY_NAME[suffix][1]


def _outside(found: Columns, size: tuple[int, int] | None) -> Fault | None:
    """The first event that no sensor has; its byte is not known here."""
    width, height = size or (1 << 16, 1 << 16)
    x, y = found.x.astype(np.int64), found.y.astype(np.int64)
    wrong = np.flatnonzero((x < 0) | (x >= width) | (y < 0) | (y >= height))
    if not len(wrong):
        return None
    at = int(wrong[0])
    return Fault(0, f"event {at:,} at ({x[at]}, {y[at]}) lies outside {width} x {height}")


def _events(found: Columns, size: tuple[int, int] | None, tick_us: float, notes: tuple[str, ...]) -> Events:
    inside = np.ones(len(found.t), dtype=bool)
    if size is not None:
        inside = (found.x < size[0]) & (found.y < size[1])
    parts = [np.asarray(column)[inside] for column in (found.t, found.x, found.y, found.p)]
    width, height = size or tuple(int(part.max()) + 1 if len(part) else 1 for part in parts[1:3])
    order = ordered(Columns(parts[0], parts[1], parts[2], parts[3]))
    if order is not None:
        notes = (*notes, f"times fall {int((np.diff(parts[0]) < 0).sum()):,} times: sorted")
        parts = [part[order] for part in parts]
    t, x, y, p = parts
    return Events(t, x, y, p != 0, width, height, tick_us, notes)
