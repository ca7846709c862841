"""Prophesee and Chronocam DAT files: ``%`` lines, event type and size in a byte each, then 8 bytes an event.

    t   uint32, little endian, microseconds
    version 2    x 13..0,  y 27..14,  p 31..28        of the second word
    version 1    x  8..0,  y 16..9,   p 17

Types 0 ("2D"), 12 ("CD") and 40 hold contrast events. A file without lines is version 1, as the first ones were.
"""

from __future__ import annotations

import numpy as np

from leanspike.data.events.record import Columns, Fault
from leanspike.data.events.words import header, unwrapped, words

KINDS = (0, 12, 40)
_EMPTY = np.zeros(0, dtype=np.int64)


def recognises(data: bytes) -> bool:
    """Whether ``%`` lines stand before an event type and a size of 8 bytes."""
    end = header(data, b"%").end
    return end > 0 and data[end : end + 1] in [bytes([kind]) for kind in KINDS] and data[end + 1 : end + 2] == b"\x08"


def decode(data: bytes) -> Columns:
    """Every event."""
    head = header(data, b"%")
    if len(data) < head.end + 2:
        return Columns(_EMPTY, _EMPTY, _EMPTY, _EMPTY, fault=Fault(len(data), "ends before the event type"))
    raw, fault = words(data, head.end + 2, "<u4,<u4")
    t, word = raw["f0"].astype(np.int64), raw["f1"].astype(np.int64)
    old = (head.value("version") or "1") == "1"
    x, y, p = (word & 0x1FF, word >> 9 & 0xFF, word >> 17 & 1) if old else (
        word & 0x3FFF, word >> 14 & 0x3FFF, word >> 28
    )  # fmt: skip
    width, height = head.value("width"), head.value("height")
    size = (int(width), int(height)) if width and height and (width + height).isdigit() else None
    return Columns(unwrapped(t, 1 << 32), x, y, p != 0, size, fault)
