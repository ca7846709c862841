"""Heidelberg's spiking data: SHD (spoken digits) and SSC (spoken commands), 700 channels of an artificial cochlea.

    shd_train.h5     spikes/times  a list of seconds a recording     spikes/units  its channels     labels  classes
                     extra/keys    the classes' names

SSC comes with a validation set, which joins the training set: a run draws its own from it.

B. Cramer et al., "The Heidelberg Spiking Data Sets for the Systematic Evaluation of Spiking Neural Networks", IEEE
Trans. Neural Netw. Learn. Syst. 33 (2022).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from leanspike.core.errors import DataError, MissingTool
from leanspike.data.events import Layout, decoded
from leanspike.data.events.record import Columns
from leanspike.data.recordings.packed import opened
from leanspike.data.recordings.source import Recording

CHANNELS = 700


def read(paths: list[Path]) -> Iterator[Recording]:
    """Every recording, file by file; a file whose name has ``test`` in it tests.

    Raises:
        DataError: a damaged archive or file. MissingTool: h5py is not installed.
    """
    for path in paths:
        with opened([path]) as entries, tempfile.TemporaryDirectory() as folder:
            for name, content in (entry for entry in entries if entry[0].endswith((".h5", ".hdf5"))):
                file = Path(folder) / "spikes.h5"
                file.write_bytes(content())
                for label, columns in _rows(file, name):
                    where = f"{path}: {name}"
                    yield (
                        "test" if "test" in path.name else "train",
                        label,
                        decoded(columns, where, Layout((CHANNELS, 1))),
                    )


def _rows(file: Path, name: str) -> Iterator[tuple[int, Columns]]:
    try:
        import h5py
    except ImportError:
        raise MissingTool(f"{name} needs h5py", remedy="pip install 'leanspike[events]'") from None
    try:
        with h5py.File(file, "r") as opened_file:
            root: Any = opened_file
            times, units, labels = root["spikes/times"], root["spikes/units"], root["labels"][:]
            for i, label in enumerate(labels.tolist()):
                t = np.round(np.asarray(times[i], dtype=np.float64) * 1e6).astype(np.int64)
                x = np.asarray(units[i], dtype=np.int64)
                yield int(label), Columns(t, x, np.zeros_like(x), np.ones_like(x))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"is no file of spikes ({error})", where=name, remedy="get it again") from error
