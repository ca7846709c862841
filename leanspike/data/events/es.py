"""Event Stream files (.es), version 2: DVS events, and generic ones (a time and bytes each).

    "Event Stream", version (3 bytes), type (1 byte);  type 1: width, height (2 bytes each, little endian)
    DVS        a byte d < 254: t += d >> 1, p = d & 1, then x and y in 2 bytes each;  255: t += 127;  254: a reset
    generic    a byte d < 254: t += d, then the length in groups of 7 bits, lowest first, where bit 0 of a byte says
               that another follows, then the bytes;  255: t += 254;  254: a reset

y grows upwards in these files, and is given as it stands. Of a generic event x is the length of its bytes.
A. Marcireau et al., "Sepia, Tarsier, and Chameleon", Front. Neurosci. 13 (2020) 1338.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leanspike.data.events.record import Columns, Fault

MAGIC = b"Event Stream"
_RESET, _LATER = 254, 255
_CHUNK = 1 << 16
_EMPTY = np.zeros(0, dtype=np.int64)


def recognises(data: bytes) -> bool:
    """Whether the file calls itself an Event Stream."""
    return data.startswith(MAGIC)


def decode(data: bytes) -> Columns:
    """Every event."""
    version, kind = data[12:15], data[15:16]
    if len(data) < 16:
        return _nothing(len(data), "ends before the version and type")
    if version[0] != 2:
        return _nothing(12, f"has version {version[0]}.{version[1]}.{version[2]}, known is 2")
    if kind == b"\x00":
        return _generic(data)
    if kind != b"\x01":
        return _nothing(15, f"has events of type {kind[0]}, known are 0 (generic) and 1 (DVS)")
    if len(data) < 20:
        return _nothing(len(data), "ends before width and height")
    return _dvs(data)


def _nothing(offset: int, what: str) -> Columns:
    return Columns(_EMPTY, _EMPTY, _EMPTY, _EMPTY, fault=Fault(offset, what))


def _dvs(data: bytes) -> Columns:
    raw = np.frombuffer(data, np.uint8)
    size = int.from_bytes(data[16:18], "little"), int.from_bytes(data[18:20], "little")
    places = _places(raw, 20)
    later = raw[places] == _LATER
    starts = raw[places] < _RESET
    t = np.cumsum(np.where(later, 127, np.where(starts, raw[places] >> 1, 0)), dtype=np.int64)[starts]
    at, fault = places[starts], None
    if len(at) and at[-1] + 5 > len(raw):
        fault = Fault(int(at[-1]), f"the last event has {len(raw) - at[-1]} of 5 bytes")
        at, t = at[:-1], t[:-1]
    x, y = (raw[at + i].astype(np.int64) | raw[at + i + 1].astype(np.int64) << 8 for i in (1, 3))
    return Columns(t, x, y, raw[at] & 1, size, fault)


def _places(raw: npt.NDArray[np.uint8], start: int) -> npt.NDArray[np.intp]:
    """Where every event, delay or reset begins.

    Each says where the next one begins. In a chunk all are found by doubling: those 2^k behind the known ones.
    """
    found = []
    while start < len(raw):
        part = raw[start : start + _CHUNK]
        jump = np.minimum(np.arange(len(part)) + np.where(part < _RESET, 5, 1), len(part))
        jump = np.append(jump, len(part))
        known = np.zeros(1, dtype=np.intp)
        while known[-1] < len(part):
            known = np.concatenate([known, jump[known]])
            jump = jump[jump]
        known = known[known < len(part)]
        found.append(start + known)
        last = start + int(known[-1])
        start = last + (5 if raw[last] < _RESET else 1)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.intp)


def _generic(data: bytes) -> Columns:
    t, at, times, lengths = 0, 16, [], []
    fault = None
    while at < len(data):
        first = data[at]
        at += 1
        if first >= _RESET:
            t += 254 if first == _LATER else 0
            continue
        begin, length, more, shift = at - 1, 0, True, 0
        while more and at < len(data) and shift < 63:
            length |= (data[at] >> 1) << shift
            more, shift, at = bool(data[at] & 1), shift + 7, at + 1
        if more or at + length > len(data):
            fault = Fault(begin, "the last event is cut off")
            break
        at, t = at + length, t + first
        if length > 0xFFFF:
            fault = Fault(begin, f"an event of {length:,} bytes")
            break
        times.append(t)
        lengths.append(length)
    none = np.zeros(len(times), dtype=np.int64)
    return Columns(np.array(times, dtype=np.int64), np.array(lengths, dtype=np.int64), none, none, fault=fault)
