"""Prophesee RAW files, EVT 2.0 and EVT 3.0: ``%`` lines, then words of 32 or 16 bits, little endian.

    EVT 2.0   kind 31..28   CD OFF 0, CD ON 1: time 27..22, x 21..11, y 10..0       TIME_HIGH 8: 28 bits
              t = TIME_HIGH << 6 | time
    EVT 3.0   kind 15..12   ADDR_Y 0: y 10..0     ADDR_X 2: p 11, x 10..0           one event
                            VECT_BASE_X 3: p 11, x 10..0     VECT_12 4, VECT_8 5: a bit an event, x from the base on,
                            which moves by 12 or 8           TIME_LOW 6, TIME_HIGH 8: 12 bits each
              t = TIME_HIGH << 12 | TIME_LOW

Times are taken as they stand, and counters that wrap (after 4.8 hours, 16.8 seconds) go on. Words of other kinds
(triggers, continued ones) are passed over; events before the first complete time or row have none, and are left out.
Prophesee, "Event encoding formats", OpenEB documentation.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from leanspike.data.events.record import Columns
from leanspike.data.events.words import Header, header, latest, unwrapped, words


def recognises(data: bytes) -> bool:
    """Whether a header names EVT 2.0 or 3.0."""
    return data.startswith(b"%") and _version(header(data, b"%")) is not None


def decode(data: bytes) -> Columns:
    """Every contrast event."""
    head = header(data, b"%")
    return _evt3(data, head) if _version(head) == "3" else _evt2(data, head)


def _version(head: Header) -> str | None:
    told = head.value("evt") or head.value("format") or ""
    found = re.match(r"(?:evt)?\s*([23])(?:\.0)?\b", told.lower())
    return found[1] if found else None


def _size(head: Header) -> tuple[int, int] | None:
    told = " ".join(head.lines)
    found = re.search(r"geometry\W+(\d{1,5})x(\d{1,5})", told)
    if found is None:
        width, height = re.search(r"width=(\d{1,5})", told), re.search(r"height=(\d{1,5})", told)
        return (int(width[1]), int(height[1])) if width and height else None
    return int(found[1]), int(found[2])


def _evt2(data: bytes, head: Header) -> Columns:
    raw, fault = words(data, head.end, "<u4")
    kind = raw >> 28
    high = latest(kind == 8)
    time = np.zeros(len(raw) + 1, dtype=np.int64)
    time[:-1][kind == 8] = unwrapped((raw[kind == 8] & 0xFFFFFFF).astype(np.int64), 1 << 28)
    chosen = (kind <= 1) & (high >= 0)
    events = raw[chosen]
    t = time[high[chosen]] << 6 | (events >> 22 & 0x3F)
    return Columns(t, events >> 11 & 0x7FF, events & 0x7FF, kind[chosen] == 1, _size(head), fault)


def _evt3(data: bytes, head: Header) -> Columns:
    raw, fault = words(data, head.end, "<u2")
    raw = raw.astype(np.int64)
    kind, low = raw >> 12, raw & 0xFFF
    time = _time3(kind, low)
    row = _held(kind == 0, low & 0x7FF)
    single = np.flatnonzero(kind == 2)
    vector = np.flatnonzero((kind == 4) | (kind == 5))
    width = np.where(kind[vector] == 4, 12, 8)
    base = latest(kind == 3)[vector]
    moved = np.cumsum(np.where(kind == 4, 12, np.where(kind == 5, 8, 0)))
    known = base >= 0
    vector, width, base = vector[known], width[known], base[known]
    first = (low[base] & 0x7FF) + moved[vector] - width - moved[base]
    bits = (low[vector, None] >> np.arange(12) & 1).astype(bool) & (np.arange(12) < width[:, None])
    source, place = np.nonzero(bits)
    at = np.concatenate([single, vector[source]])
    x = np.concatenate([low[single] & 0x7FF, first[source] + place])
    p = np.concatenate([low[single], low[base[source]]]) >> 11 == 1
    order = np.argsort(at, kind="stable")
    at, x, p = at[order], x[order], p[order]
    whole = (time[at] >= 0) & (row[at] >= 0)
    return Columns(time[at][whole], x[whole], row[at][whole], p[whole], _size(head), fault)


def _time3(kind: npt.NDArray[np.int64], low: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The time at every word; -1 before both halves are known."""
    high = np.full(len(kind), -1, dtype=np.int64)
    high[kind == 8] = unwrapped(low[kind == 8], 1 << 12)
    coarse, fine = _held(kind == 8, high), _held(kind == 6, low)
    return np.where((coarse >= 0) & (fine >= 0), coarse << 12 | fine, -1)


def _held(marked: npt.NDArray[np.bool_], values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The value at the last marked word; -1 before the first."""
    last = latest(marked)
    return np.where(last >= 0, values[last], -1)
