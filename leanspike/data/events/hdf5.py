"""Events in HDF5: a group or table with columns as :mod:`leanspike.data.events.arrays` names them.

The first of: the file itself, ``events``, ``CD/events``. h5py reads it, apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.data.events import apart, arrays
from leanspike.data.events.record import Columns

MAGIC = b"\x89HDF\r\n\x1a\n"
PLACES = (".", "events", "CD/events")


def recognises(data: bytes) -> bool:
    """Whether the file is HDF5."""
    return data.startswith(MAGIC)


def decode(data: bytes) -> Columns:
    """Every event.

    Raises:
        MissingTool: h5py is not installed.
    """
    return apart.decode("hdf5", "HDF5's library", data, ".h5")


def library_columns(path: str) -> dict[str, npt.NDArray[Any]]:
    """The columns of a file; the process may end in it."""
    import h5py

    wanted = {name: key for key, known in arrays.NAMES.items() for name in known}
    with h5py.File(path, "r") as file:
        for place in PLACES:
            found: Any = file.get(place)
            names = (found.dtype.names or ()) if isinstance(found, h5py.Dataset) else tuple(found or ())
            columns = {name: np.asarray(found[name][:]) for name in names if name in wanted}
            if {"t", "x"} <= {wanted[name] for name in columns}:
                return columns
    raise ValueError(f"no t and x in {', '.join(PLACES)}")
