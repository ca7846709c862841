"""DVS128 Gesture: 11 gestures of 29 people under three lights, 128 x 128 pixels; 23 people train, 6 test.

    cut         ibmGestureTrain/user01_led/0.npy: [N, 4] x, y, ON, time in ms, a gesture a file, its class the name
    original    DvsGesture/user01_led.aedat (AEDAT 3.1), user01_led_labels.csv: class 1..11, first and last microsecond;
                trials_to_train.txt and trials_to_test.txt name the recordings of each part

A. Amir et al., "A Low Power, Fully Event-Based Gesture Recognition System", CVPR 2017. The cut form has 1,077 and 264
gestures, the original 1,176 and 288.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data.events import Events, Layout, decoded, reading
from leanspike.data.events.record import Columns
from leanspike.data.recordings.packed import Entry, opened
from leanspike.data.recordings.source import Recording

SIZE = (128, 128)
CLASSES = (
    "hand clapping", "right hand wave", "left hand wave", "right arm clockwise", "right arm counter clockwise",
    "left arm clockwise", "left arm counter clockwise", "arm roll", "air drums", "air guitar", "other gestures",
)  # fmt: skip
_CUT = re.compile(r"ibmGesture(Train|Test)/[^/]+/(\d+)\.npy$")


def read(paths: list[Path]) -> Iterator[Recording]:
    """Every gesture, in the order of names; of the original, in the order of a recording's labels.

    Raises:
        DataError: a damaged archive or recording, or neither form.
    """
    with opened(paths) as entries:
        cut = [(found, content) for name, content in entries if (found := _CUT.search(name))]
        if not cut:
            yield from _original(entries, paths[0])
        for found, content in cut:
            yield found[1].lower(), _label(int(found[2]), found[0]), _columns(content(), found[0])


def _label(label: int, where: str) -> int:
    if not 0 <= label < len(CLASSES):
        raise DataError(f"class {label} is none of the {len(CLASSES)}", where=where)
    return label


def _columns(content: bytes, where: str) -> Events:
    try:
        found = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"is no NumPy file of plain numbers: {error}", where=where) from error
    if found.ndim != 2 or found.shape[1] != 4 or found.dtype.kind not in "iuf":
        raise DataError(f"is {found.dtype} {found.shape}, not [events, 4]", where=where)
    x, y, p, milliseconds = found.T
    t = np.round(milliseconds * 1000.0).astype(np.int64)
    return decoded(Columns(t, x.astype(np.int64), y.astype(np.int64), p), where, Layout(SIZE))


def _original(entries: list[Entry], where: Path) -> Iterator[Recording]:
    files = {PurePosixPath(name).name: content for name, content in entries}
    for part in ("train", "test"):
        trials = f"trials_to_{part}.txt"
        if trials not in files:
            raise DataError(f"holds neither ibmGesture folders nor {trials}", where=where)
        for trial in files[trials]().decode(errors="replace").split():
            table = trial.replace(".aedat", "_labels.csv")
            for name in (trial, table):
                if name not in files:
                    raise DataError(f"{name}, which {trials} names, is missing", where=where)
            events = reading.read_bytes(files[trial](), trial, Layout(SIZE))
            for row in files[table]().decode(errors="replace").splitlines()[1:]:
                label, first, last = _row(row, table)
                yield part, _label(label - 1, table), events.between(first, last)


def _row(row: str, where: str) -> tuple[int, int, int]:
    try:
        label, first, last = (int(word) for word in row.split(","))
    except ValueError:
        raise DataError(f"{row!r} is no class, start and end", where=where) from None
    return label, first, last
