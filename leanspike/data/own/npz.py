"""An .npz file with ``x_train, y_train, x_test, y_test``; pickles are never loaded."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data.base import Array, Dataset
from leanspike.data.own.arrays import from_arrays

KEYS = ("x_train", "y_train", "x_test", "y_test")


def load(path: Path) -> Dataset:
    """Read the four arrays; see :func:`leanspike.data.own.arrays.from_arrays` for shapes and scaling.

    Raises:
        DataError: not an .npz, damaged, an array missing, a pickled array, or contents that do not fit.
    """
    x_train, y_train, x_test, y_test = (_read(path, key) for key in KEYS)
    return from_arrays(
        x_train, y_train, x_test, y_test, name=path.stem, where=path, source=f"the user's own {path.name}"
    )


def _read(path: Path, key: str) -> Array:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
        if key not in names:
            what = f"has no array {key}; it holds {', '.join(names[:8]) or 'nothing'}"
            raise DataError(what, where=path, remedy=f"save it with {', '.join(KEYS)}")
        with np.load(path, allow_pickle=False) as arrays:
            array: Array = arrays[key]
            return array
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"is not an .npz file or is damaged ({error})", where=path, remedy="save it again") from error
    except (ValueError, MemoryError) as error:
        if "pickle" not in str(error):
            raise DataError(f"array {key} is damaged ({error})", where=path, remedy="save it again") from error
        what = f"{key} holds Python objects, which only unpickling could load, and that can run foreign code"
        raise DataError(what, where=path, remedy="save it as an array of numbers or strings") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", where=path) from error
