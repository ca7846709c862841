"""Files of events in every format, written for tests: a sensor of 32 x 24 whose recording fits all of them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np

from leanspike.data.events import Events

WIDTH, HEIGHT = 32, 24


def recording(count: int = 400, seed: int = 0, longest: int = 300) -> Events:
    """Events with gaps of up to ``longest`` microseconds, some of several pixels of a row at once."""
    random = np.random.default_rng(seed)
    t = np.cumsum(random.integers(0, longest, count) * (random.random(count) < 0.6))
    x, y = random.integers(0, WIDTH, count), random.integers(0, HEIGHT, count)
    return Events(t, x, y, random.random(count) < 0.5, WIDTH, HEIGHT)


def nmnist(events: Events) -> bytes:
    """With the turns of the time that its 13 bits of a written tick need."""
    out, turns = bytearray(), 0
    for t, x, y, p in zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True):
        while t - turns * 8192 >= 8192:
            out += bytes([0, 240, 0, 0, 0])
            turns += 1
        out += bytes([x, y]) + (int(p) << 23 | t - turns * 8192).to_bytes(3, "big")
    return bytes(out)


def evt2(events: Events) -> bytes:
    """EVT 2.0: the coarse time whenever it changes."""
    out, high = bytearray(b"% evt 2.0\n% geometry 32x24\n% end\n"), None
    for t, x, y, p in zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True):
        if t >> 6 != high:
            high = t >> 6
            out += struct.pack("<I", 8 << 28 | high)
        out += struct.pack("<I", int(p) << 28 | (t & 63) << 22 | x << 11 | y)
    return bytes(out)


def evt3(events: Events, base: int = 0) -> bytes:
    """EVT 3.0 with times from ``base`` on; every second event as a vector of one bit."""
    out = bytearray(b"% evt 3.0\n% format EVT3;height=24;width=32\n")
    for at, (t, x, y, p) in enumerate(
        zip((events.t + base).tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True)
    ):
        out += struct.pack("<HHH", 8 << 12 | t >> 12 & 0xFFF, 6 << 12 | t & 0xFFF, y)
        if at % 2:
            out += struct.pack("<H", 2 << 12 | int(p) << 11 | x)
        else:
            first = max(0, x - 14)
            out += struct.pack(
                "<HH", 3 << 12 | int(p) << 11 | first, 4 << 12 | (1 << x - first if x - first < 12 else 0)
            )
            out += struct.pack("<H", 5 << 12 | (1 << x - first - 12 if x - first >= 12 else 0))
    return bytes(out)


def dat(events: Events) -> bytes:
    """DAT, version 2."""
    words = np.empty((len(events), 2), dtype="<u4")
    words[:, 0] = events.t
    words[:, 1] = events.x | events.y.astype(np.uint32) << 14 | events.p.astype(np.uint32) << 28
    return b"% Version 2\n% Width 32\n% Height 24\n" + bytes([12, 8]) + words.tobytes()


def dat1(events: Events) -> bytes:
    """DAT, version 1."""
    words = np.empty((len(events), 2), dtype="<u4")
    words[:, 0] = events.t
    words[:, 1] = events.x | events.y.astype(np.uint32) << 9 | events.p.astype(np.uint32) << 17
    return b"% Data file\n" + bytes([0, 8]) + words.tobytes()


def es(events: Events) -> bytes:
    """Event Stream 2, DVS."""
    out, now = bytearray(b"Event Stream\x02\x00\x00\x01" + struct.pack("<HH", WIDTH, HEIGHT)), 0
    for t, x, y, p in zip(events.t.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True):
        while t - now >= 127:
            out.append(255)
            now += 127
        out += bytes([t - now << 1 | int(p)]) + struct.pack("<HH", x, y)
        now = t
    return bytes(out)


def aedat2(events: Events) -> bytes:
    """AEDAT 2.0 of a DVS128, with a special event that is none of the camera's."""
    words = np.empty((len(events), 2), dtype=">u4")
    words[:, 0] = (127 - events.x.astype(np.uint32)) << 1 | events.y.astype(np.uint32) << 8 | ~events.p
    words[:, 1] = events.t
    special = np.array([[0x8000, 0]], dtype=">u4")
    return b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n" + special.tobytes() + words.tobytes()


def davis(events: Events) -> bytes:
    """AEDAT 2.0 of a DAVIS346, with a sample of a frame."""
    words = np.empty((len(events), 2), dtype=">u4")
    words[:, 0] = events.x.astype(np.uint32) << 12 | events.y.astype(np.uint32) << 22 | events.p.astype(np.uint32) << 11
    words[:, 1] = events.t
    frame = np.array([[1 << 31, 0]], dtype=">u4")
    return b"#!AER-DAT2.0\n# AEChip: eu.seebetter.ini.chips.davis.Davis346red\n" + frame.tobytes() + words.tobytes()


def aedat3(events: Events) -> bytes:
    """AEDAT 3.1: packets of 100 events, with a packet of another kind and an event that is not valid."""
    out = bytearray(b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n")
    out += struct.pack("<hhiiiiii", 0, 0, 8, 4, 0, 1, 1, 1) + bytes(8)
    for start in range(0, len(events), 100):
        part = events[start : start + 100]
        words = np.empty((len(part) + 1, 2), dtype="<u4")
        words[:-1, 0] = (
            1 | part.p.astype(np.uint32) << 1 | part.y.astype(np.uint32) << 2 | part.x.astype(np.uint32) << 17
        )
        words[:-1, 1] = part.t
        words[-1] = 0
        out += struct.pack("<hhiiiiii", 1, 0, 8, 4, 0, len(words), len(words), len(part)) + words.tobytes()
    return bytes(out)


def npy(events: Events) -> bytes:
    """A structured array."""
    array = np.zeros(len(events), dtype=[("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("p", "?")])
    for name in ("t", "x", "y", "p"):
        array[name] = getattr(events, name)
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def npz(events: Events) -> bytes:
    """An array a column, times in seconds."""
    out = io.BytesIO()
    np.savez(out, timestamp=events.t / 1e6, x=events.x, y=events.y, polarity=events.p * 2 - 1, size=(WIDTH, HEIGHT))
    return out.getvalue()


def hdf5(events: Events) -> bytes:
    """Columns in the group ``events``."""
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        for name in ("t", "x", "y", "p"):
            file[f"events/{name}"] = getattr(events, name)
    return out.getvalue()


def bs1(events: Events) -> bytes:
    """SLAYER's spikes: x alone."""
    out = bytearray()
    for t, x in zip(events.t.tolist(), events.x.tolist(), strict=True):
        out += x.to_bytes(2, "big") + (t | 1 << 23).to_bytes(3, "big")
    return bytes(out)


WRITERS: dict[str, tuple[str, Callable[[Events], bytes]]] = {
    "nmnist": (".bin", nmnist),
    "evt2": (".raw", evt2),
    "evt3": (".raw", evt3),
    "dat": (".dat", dat),
    "dat1": (".dat", dat1),
    "es": (".es", es),
    "aedat2": (".aedat", aedat2),
    "davis": (".aedat", davis),
    "aedat3": (".aedat", aedat3),
    "npy": (".npy", npy),
    "npz": (".npz", npz),
    "hdf5": (".h5", hdf5),
    "bs1": (".bs1", bs1),
}
FLAT = ("bs1",)
"""Formats of one axis and one direction."""
