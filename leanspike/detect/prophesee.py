"""Recordings with boxes as Prophesee's automotive sets have them: NAME_td.dat, the events, and NAME_bbox.npy.

    .dat        % lines (version 2, width, height), event type 0, size 8; then t (uint32, us), x | y << 14 | p << 28
    .npy        one record a box: ts (or t) in us, x, y, w, h in pixels, class_id, confidence (or class_confidence),
                track_id; x, y is the upper left corner

A box says what is there at its time, so the events before it are what it is found in. Both spellings of the records are
read; the first is written, as in Gen1: P. de Tournemire et al., arXiv:2001.08499.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError
from leanspike.core.files import write_bytes
from leanspike.data.events import Events
from leanspike.detect.boxes import Boxes

EVENTS, BOXES = "_td.dat", "_bbox.npy"
RECORD = np.dtype([
    ("ts", "<u8"), ("x", "<f4"), ("y", "<f4"), ("w", "<f4"), ("h", "<f4"),
    ("class_id", "u1"), ("confidence", "<f4"), ("track_id", "<u4"),
])  # fmt: skip
TIMES = ("ts", "t")


@dataclass(frozen=True, eq=False)
class Marks:
    """Boxes of a recording by their times ``[n]`` in us, ascending."""

    times: npt.NDArray[np.int64]
    boxes: Boxes

    def at(self, time: int) -> Boxes:
        """Those of one time."""
        return self.boxes[self.times == time]


def recordings(folder: Path) -> list[tuple[Path, Path]]:
    """The pairs of event file and box file of a folder, by name.

    Raises:
        DataError: no recording, or one without boxes.
    """
    found = sorted(folder.glob(f"*{EVENTS}"))
    if not found:
        remedy = "leanspike detect scenes --out DIR writes such folders: train, val and test"
        raise DataError(f"holds no recording *{EVENTS}", where=folder, remedy=remedy)
    pairs = [(path, path.with_name(path.name.removesuffix(EVENTS) + BOXES)) for path in found]
    for path, boxes in pairs:
        if not boxes.exists():
            raise DataError(f"has no {boxes.name} beside it", where=path, remedy="put its boxes there")
    return pairs


def read_boxes(path: Path) -> Marks:
    """The boxes of a recording.

    Raises:
        DataError: no such file, a damaged one, records of other fields, or boxes that are none.
    """
    try:
        records = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=path) from error
    except Exception as error:  # NumPy's reader raises whatever a damaged header leads it to
        raise DataError(f"is no NumPy file of plain records: {error}", where=path) from error
    names = records.dtype.names or ()
    time = next((name for name in TIMES if name in names), None)
    missing = [name for name in ("x", "y", "w", "h", "class_id") if name not in names]
    if time is None or missing or records.ndim != 1:
        told = f"has the fields {', '.join(names) or 'of no record'}"
        raise DataError(told, where=path, remedy="wanted: ts (or t), x, y, w, h, class_id")
    return _marks(records, time, path)


def _marks(records: npt.NDArray[Any], time: str, path: Path) -> Marks:
    x, y, w, h = (records[name].astype(np.float64) for name in ("x", "y", "w", "h"))
    corners = np.stack([x, y, x + w, y + h], axis=1)
    wrong = np.flatnonzero(~(np.isfinite(corners).all(1) & (w > 0) & (h > 0)))
    if len(wrong):
        raise DataError(f"box {wrong[0]:,} is {w[wrong[0]]:g} x {h[wrong[0]]:g} pixels", where=path)
    times = records[time].astype(np.int64)
    order = np.argsort(times, kind="stable")
    boxes = Boxes.true(corners[order], records["class_id"].astype(np.int64)[order])
    return Marks(times[order], boxes)


def write_recording(folder: Path, name: str, events: Events, marks: Sequence[tuple[int, Boxes]]) -> None:
    """Write a recording and the boxes at some of its times.

    Raises:
        OutputError: the folder cannot be written.
    """
    head = f"% Data file containing CD events.\n% Version 2\n% Height {events.height}\n% Width {events.width}\n"
    words = np.empty((len(events), 2), dtype="<u4")
    words[:, 0] = events.t
    words[:, 1] = events.x.astype(np.uint32) | events.y.astype(np.uint32) << 14 | events.p.astype(np.uint32) << 28
    write_bytes(folder / f"{name}{EVENTS}", head.encode() + bytes([0, 8]) + words.tobytes())
    records = np.zeros(sum(len(boxes) for _, boxes in marks), dtype=RECORD)
    start = 0
    for time, boxes in marks:
        part = records[start : start + len(boxes)]
        part["ts"], part["class_id"], part["confidence"] = time, boxes.labels, boxes.scores
        part["x"], part["y"] = boxes.corners[:, 0], boxes.corners[:, 1]
        part["w"], part["h"] = (boxes.corners[:, 2:] - boxes.corners[:, :2]).T
        part["track_id"] = np.arange(len(boxes))
        start += len(boxes)
    out = io.BytesIO()
    np.save(out, records, allow_pickle=False)
    write_bytes(folder / f"{name}{BOXES}", out.getvalue())
