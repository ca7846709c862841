"""AEDAT 3.1 files of cAER (DVS128 Gesture is in it): # lines, then packets of a header of 28 bytes and events.

    packet     kind 2, source 2, size of an event 4, offset of its time 4, turns of the time 4, capacity 4, events 4,
               valid 4: little endian
    kind 1     contrast events of 8 bytes: valid 0, ON 1, y 16..2, x 31..17;  time 4 (31 bits)

    t = turns << 31 | time. Packets of other kinds and events that are not valid are passed over.

inivation, "AEDAT file formats", 3.1.
"""

from __future__ import annotations

import struct

import numpy as np

from leanspike.data.events.record import Columns, Fault
from leanspike.data.events.words import header

MAGIC = b"#!AER-DAT3"
_HEAD = struct.Struct("<hhiiiiii")
_POLARITY, _SIZE = 1, 8


def recognises(data: bytes) -> bool:
    """Whether the file calls itself AEDAT 3."""
    return data.startswith(MAGIC)


def decode(data: bytes) -> Columns:
    """Every valid contrast event."""
    at, fault = header(data, b"#").end, None
    parts = [np.zeros(0, "<u4,<i8")]
    while at < len(data):
        if at + _HEAD.size > len(data):
            fault = Fault(at, f"the last packet's head has {len(data) - at} of {_HEAD.size} bytes")
            break
        kind, _, size, _, turns, _, count, _ = _HEAD.unpack_from(data, at)
        begin = at + _HEAD.size
        if size <= 0 or count < 0 or begin + size * count > len(data):
            fault = Fault(at, f"a packet of {count} events of {size} bytes does not fit the file")
            break
        at = begin + size * count
        if kind == _POLARITY and size == _SIZE:
            raw = np.frombuffer(data, "<u4,<i4", count, begin)
            part = np.empty(count, "<u4,<i8")
            part["f0"], part["f1"] = raw["f0"], raw["f1"] + np.int64(turns << 31)
            parts.append(part[raw["f0"] & 1 == 1])
    events = np.concatenate(parts)
    word = events["f0"].astype(np.int64)
    return Columns(events["f1"], word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1, None, fault)
