"""Events in NumPy's files: .npy, a structured array; .npz, an array a column. No pickles.

Columns: ``t`` (also ts, timestamp, times), ``x``, ``y``, ``p`` (also polarity, pol, on). A missing y is 0, as of a
sensor of one axis, whose x may be called units; times are microseconds if whole numbers, seconds if floats. An .npz may
have ``size``, width and height of the sensor.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.data.events.record import Columns, Fault

NAMES = {
    "t": ("t", "ts", "timestamp", "timestamps", "times"),
    "x": ("x", "units"),
    "y": ("y",),
    "p": ("p", "polarity", "pol", "on"),
}
_MAGIC = (b"\x93NUMPY", b"PK\x03\x04")
_EMPTY = np.zeros(0, dtype=np.int64)


def recognises(data: bytes) -> bool:
    """Whether the file is NumPy's."""
    return data.startswith(_MAGIC)


def decode(data: bytes) -> Columns:
    """Every event."""
    try:
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        found = {name: loaded[name] for name in (loaded.files if data.startswith(b"PK") else loaded.dtype.names or ())}
    except Exception as error:  # NumPy's reader raises whatever a damaged header leads it to
        return nothing(f"is no NumPy file of plain numbers: {error}")
    return columns(found.__getitem__, tuple(found))


def nothing(what: str) -> Columns:
    """No event, and why."""
    return Columns(_EMPTY, _EMPTY, _EMPTY, _EMPTY, fault=Fault(0, what))


def columns(column: Callable[[str], npt.NDArray[Any]], names: tuple[str, ...]) -> Columns:
    """The columns that events have, out of those that a file has.

    Args:
        column: one of ``names`` as an array.
    """
    chosen = {key: next((name for name in known if name in names), None) for key, known in NAMES.items()}
    if chosen["t"] is None or chosen["x"] is None:
        return nothing(
            f"has columns {', '.join(names) or 'without names'}: t and x are wanted, and y and p as they are"
        )
    found = {key: np.asarray(column(name)) for key, name in chosen.items() if name is not None}
    count = len(found["t"]) if found["t"].ndim == 1 else -1
    for key, values in found.items():
        if values.shape != (count,) or values.dtype.kind not in "iufb":
            return nothing(f"column {chosen[key]} is {values.dtype} {values.shape}, not a number an event")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            return nothing(f"column {chosen[key]} has values that are no numbers")
    t, none = found["t"], np.zeros(count, dtype=np.int64)
    t = np.round(t.astype(np.float64) * 1e6) if t.dtype.kind == "f" else t
    p = found.get("p", np.ones(count, dtype=bool))
    size = np.asarray(column("size")) if "size" in names else None
    if size is not None and (size.shape != (2,) or size.dtype.kind not in "iu" or (size < 1).any()):
        return nothing("size is not a width and a height")
    extent = None if size is None else (int(size[0]), int(size[1]))
    return Columns(t.astype(np.int64), found["x"], found.get("y", none), p > 0, extent)
