"""ST-MNIST's tactile recordings (.mat): ``spiketrain`` [101, n], a column a time.

    rows 0..99   taxels of a 10 x 10 sensor: 1 pressed, -1 released, 0 nothing       row 100   time in s

H. H. See et al., "ST-MNIST: the spiking tactile MNIST neuromorphic dataset", arXiv:2005.04319.
"""

from __future__ import annotations

import io

import numpy as np

from leanspike.data.events.arrays import nothing
from leanspike.data.events.record import Columns

MAGIC = b"MATLAB 5.0"
SIDE = 10
_NAME = "spiketrain"


def recognises(data: bytes) -> bool:
    """Whether the file is MATLAB's."""
    return data.startswith(MAGIC)


def decode(data: bytes) -> Columns:
    """Every change of a taxel; times in us."""
    from scipy.io import loadmat

    try:
        train = np.asarray(loadmat(io.BytesIO(data), variable_names=[_NAME])[_NAME], dtype=np.float64)
    except Exception as error:  # scipy's reader raises whatever a damaged file leads it to
        return nothing(f"is not read as MATLAB's: {type(error).__name__}: {error}")
    if train.ndim != 2 or train.shape[0] != SIDE * SIDE + 1 or not np.isfinite(train).all():
        return nothing(f"{_NAME} has shape {train.shape}, not {SIDE * SIDE + 1} rows of numbers")
    time, taxel = np.nonzero(train[:-1].T)
    t = np.round(train[-1, time] * 1e6).astype(np.int64)
    return Columns(t, taxel % SIDE, taxel // SIDE, train[taxel, time] > 0, (SIDE, SIDE))
