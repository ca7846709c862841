"""AEDAT 2.0 files of jAER, and files of the same records without any header: big-endian address and time.

    header      lines that start with #, the first "#!AER-DAT2.0"; addresses of 4 bytes, times of 4 bytes in us
    DVS128      OFF 0, x 127 - (7..1), y 14..8, special 15                  x is mirrored in the address
    DAVIS       y 30..22, x 21..12, ON 11; bit 31: a frame's sample, bit 10: a trigger; both are passed over
    no header   addresses of 2 or 4 bytes, as the times that never fall show, or as told; ON 0, channel 15..1

The chip stands in the header ("AEChip"); a file that names none is taken for a DVS128, as the first ones were.
inivation, "AEDAT file formats"; J. P. Dominguez-Morales et al., NAVIS (headerless files of spiking cochleas).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from leanspike.data.events.record import Columns, Fault
from leanspike.data.events.words import header, unwrapped, words

MAGIC = b"#!AER-DAT2"
DAVIS_SIZES = {"240": (240, 180), "346": (346, 260), "640": (640, 480), "128": (128, 128), "208": (208, 192)}
_EMPTY = np.zeros(0, dtype=np.int64)


def recognises(data: bytes) -> bool:
    """Whether the file calls itself AEDAT 2."""
    return data.startswith(MAGIC)


def decode(data: bytes) -> Columns:
    """Every contrast event; a header that is cut off before any event leaves none, which is no fault."""
    head = header(data, b"#")
    chip = (head.value("aechip") or "DVS128").lower()
    raw, fault = words(data, head.end, ">u4,>i4")
    address, t = raw["f0"].astype(np.int64), unwrapped(raw["f1"].astype(np.int64), 1 << 32)
    if "davis" in chip:
        size = next((size for name, size in DAVIS_SIZES.items() if f"davis{name}" in chip), None)
        kept = (address >> 31 & 1 | address >> 10 & 1) == 0
        address, t = address[kept], t[kept]
        return Columns(t, address >> 12 & 0x3FF, address >> 22 & 0x1FF, address >> 11 & 1, size, fault)
    if "dvs128" not in chip:
        return Columns(_EMPTY, _EMPTY, _EMPTY, _EMPTY, fault=Fault(0, f"is of the chip {chip}: known: DVS128, DAVIS"))
    kept = (address & 0x8000) == 0
    address, t = address[kept], t[kept]
    return Columns(t, 127 - (address >> 1 & 0x7F), address >> 8 & 0x7F, address & 1 ^ 1, (128, 128), fault)


def decode_bare(data: bytes, address_bytes: int | None = None) -> Columns:
    """A file without a header.

    Args:
        address_bytes: 2 or 4; None: the one with which the records are whole and times never fall.
    """
    found = [_bare(data, size) for size in ((2, 4) if address_bytes is None else (address_bytes,))]
    sound = [one for one in found if one.fault is None and not (np.diff(one.t) < 0).any()]
    if address_bytes is not None or len(sound) == 1:
        return (sound or found)[0]
    fault = Fault(0, "has no header, and the size of its addresses does not follow from its times")
    return Columns(_EMPTY, _EMPTY, _EMPTY, _EMPTY, fault=fault)


def _bare(data: bytes, address_bytes: int) -> Columns:
    raw, fault = words(data, 0, f">u{address_bytes},>i4")
    address: npt.NDArray[np.int64] = raw["f0"].astype(np.int64)
    channel = address >> 1
    beyond = np.flatnonzero(channel > 0xFFFF)
    if len(beyond):
        at = int(beyond[0])
        fault = Fault(at * raw.dtype.itemsize, f"the address {address[at]} is no channel")
        raw, address, channel = raw[:at], address[:at], channel[:at]
    return Columns(raw["f1"].astype(np.int64), channel, np.zeros_like(channel), address & 1, None, fault)
