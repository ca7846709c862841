"""AEDAT 4 files of DV: packets of compressed flatbuffers, which the library faery decodes.

    "#!AER-DAT4.0", size of the header (4 bytes), header: a flatbuffer whose second field tells where the table behind
    the packets begins (8 bytes; -1 or none: there is no table);  then packets: stream (4), size (4), bytes;  the table

Packets are walked here, for the byte at which a file is cut off; what lies before is given to faery, without the table,
which nothing here needs.
inivation, "AEDAT file formats", 4.0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.data.events import apart
from leanspike.data.events.record import Columns, Fault

MAGIC = b"#!AER-DAT4"
_LINE = b"#!AER-DAT4.0\r\n"
_EMPTY = np.zeros(0, dtype=np.int64)


def recognises(data: bytes) -> bool:
    """Whether the file calls itself AEDAT 4."""
    return data.startswith(MAGIC)


def decode(data: bytes) -> Columns:
    """Every contrast event of the first event stream.

    Raises:
        MissingTool: faery is not installed.
    """
    sound, fault = _sound(data)
    if not sound:
        return Columns(_EMPTY, _EMPTY, _EMPTY, _EMPTY, fault=fault)
    found = apart.decode("aedat4", "faery", sound, ".aedat4")
    return replace(found, fault=fault or found.fault)


def library_columns(path: str) -> dict[str, npt.NDArray[Any]]:
    """The events of a file, and the sensor's extent behind them; the process may end in it."""
    import faery

    stream: Any = faery.events_stream_from_file(path)
    found = stream.to_array()
    width, height = stream.dimensions()
    return {"t": found["t"], "x": found["x"], "y": found["y"], "p": found["p"], "size": np.array([width, height])}


def _sound(data: bytes) -> tuple[bytes, Fault | None]:
    """The file up to its last whole packet, and without a table; nothing where no packet is whole."""
    start = len(_LINE) + 4
    if not data.startswith(_LINE) or len(data) < start:
        return b"", Fault(0, "is no AEDAT 4.0, or ends before its header")
    first = at = start + int.from_bytes(data[len(_LINE) : start], "little")
    if at > len(data):
        return b"", Fault(len(_LINE), "the header is cut off")
    field = start + place if (place := _table_field(data[start:first])) else first
    table = int.from_bytes(data[field : field + 8], "little", signed=True) if field < first else -1
    end, fault = table if first <= table <= len(data) else len(data), None
    while at < end:
        size = int.from_bytes(data[at + 4 : at + 8], "little", signed=True)
        if at + 8 > end or size < 0 or at + 8 + size > end:
            fault = Fault(at, f"a packet of {size} bytes does not fit the file")
            break
        at += 8 + size
    bare = data[:field] + (-1).to_bytes(8, "little", signed=True) + data[field + 8 : at] if field < first else data[:at]
    return bare if at > first else b"", fault


def _table_field(header: bytes) -> int:
    """The place in the header of the number that says where the table is; 0 where there is none."""

    def number(at: int, size: int, signed: bool = False) -> int:
        return int.from_bytes(header[at : at + size], "little", signed=signed) if 0 <= at <= len(header) - size else 0

    root = number(0, 4)
    fields = root - number(root, 4, signed=True)
    place = number(fields + 6, 2) if number(fields, 2) >= 8 else 0
    return root + place if place and root + place <= len(header) - 8 else 0
