"""The waves of the electrocardiogram: spikes of two leads, and a class for every step.

    x[n, t, c]   1 where lead c // 2 crossed a level in step t, upwards (even c) or downwards; -1 marks an end: 0 here
    y[n, t, k]   one-hot class of step t, or nothing at all: no label, -1 here

P. Laguna et al., "A database for evaluation of algorithms for measurement of QT and other waveform intervals in the
ECG", Computers in Cardiology 1997; as spikes by B. Yin, F. Corradi, S. Bohte, arXiv:2103.12593. Some 8 % of the steps
have no label: they are left out of losses and accuracies, never counted as class 0.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data import fetch
from leanspike.data.base import Array, Dataset, Labels
from leanspike.data.remote import KnownSet


def load_known(known: KnownSet) -> Dataset:
    """Load the set: frames ``[N, T, 4, 1, 1]`` of 0 and 255, labels ``[N, T]``.

    Raises:
        DataError: a file is missing and cannot be fetched, or is damaged.
    """
    form = fetch.present_form(known) or known.forms[0]
    train, test = (read(path, len(known.classes)) for path in fetch.obtain(known, form).values())
    source = f"{known.citation}; {form.note}"
    return Dataset(known.name, *train, *test, known.classes, "events", known.licence, source)


def read(path: Path, classes: int) -> tuple[Array, Labels]:
    """Frames and labels of one .mat file.

    Raises:
        DataError: it is damaged, or holds other arrays.
    """
    from scipy.io import loadmat

    try:
        found = loadmat(path, variable_names=["x", "y"])
        x, y = np.asarray(found["x"]), np.asarray(found["y"])
    except Exception as error:  # scipy's reader raises whatever a damaged file leads it to
        what = f"is not read as MATLAB's: {type(error).__name__}: {error}"
        raise DataError(what, where=path, remedy="get it again") from error
    if x.ndim != 3 or y.shape != (*x.shape[:2], classes) or not np.isin(y.sum(-1), (0, 1)).all():
        raise DataError(f"holds x {list(x.shape)} and y {list(y.shape)}", where=path, remedy="get it again")
    labels = np.where(y.sum(-1) == 1, y.argmax(-1), -1).astype(np.int64)
    return np.where(x > 0, np.uint8(255), np.uint8(0))[..., None, None], labels
