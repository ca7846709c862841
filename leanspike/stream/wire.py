"""The wire format: packets, one a datagram or one behind the other in a byte stream; little endian.

    packet   "LSE1" 4, kind 1, 0 1, count 2, first 8, base 8 (signed), then the body               24 bytes and the body
    events   kind 0: count times  offset 4, x 2, y and polarity 2      t = base + offset us; y: 15 bits, ON: the top one
    values   kind 1: count steps of a program's raw values, each in the bytes of its type, C order, channels last
    end      kind 2: no body; nothing more comes

``first`` is how many events (of values: steps) were sent before this packet: a gap in it is what was lost, exactly. It
starts again at 0 with a new sender. :class:`leanspike.engine.packets.Cutter` reads them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"LSE1"
EVENTS, VALUES, END = range(3)
HEAD = struct.Struct("<4sBBHQq")
KIND_AT = 4
MOST_IN_DATAGRAM = 1024
"""Events of a packet that we send: 8 KiB, which loopback carries whole."""
_WIRE = np.dtype([("offset", "<u4"), ("x", "<u2"), ("y", "<u2")])
_ON, _ROW = 0x8000, 0x7FFF


def size_of(data: bytes, step_bytes: int) -> int | None:
    """Bytes of the packet that ``data`` begins with, by its head; None where it is none.

    Args:
        step_bytes: of a step of values; 0 where none are taken.
    """
    if len(data) < HEAD.size:
        return None
    magic, kind, zero, count, _, _ = HEAD.unpack_from(data)
    if magic != MAGIC or zero or kind > END or (kind == VALUES and not step_bytes) or (kind == END and count):
        return None
    return HEAD.size + int(count) * {EVENTS: _WIRE.itemsize, VALUES: step_bytes, END: 0}[int(kind)]


def packed(events: npt.NDArray[np.void], first: int = 0, most: int = MOST_IN_DATAGRAM) -> Iterator[bytes]:
    """Packets of events of :data:`leanspike.engine.EVENT`, in their order; rows of 32,768 and more do not fit.

    A packet ends early where an event lies before its first one, or 2^32 us behind it.
    """
    at = 0
    while at < len(events):
        part = events[at : at + most]
        offset = part["t"] - part["t"][0]
        wrong = np.flatnonzero((offset < 0) | (offset >> 32 != 0))
        part = part[: int(wrong[0])] if len(wrong) else part
        body = np.empty(len(part), dtype=_WIRE)
        body["offset"], body["x"] = offset[: len(part)], part["x"]
        body["y"] = part["y"] & _ROW | np.where(part["on"] != 0, _ON, 0).astype(np.uint16)
        yield HEAD.pack(MAGIC, EVENTS, 0, len(part), first + at, int(part["t"][0])) + body.tobytes()
        at += len(part)


def packed_values(steps: npt.NDArray[Any], first: int = 0) -> bytes:
    """One packet of steps ``[N, *shape]`` of the raw type."""
    body = np.ascontiguousarray(steps, steps.dtype.newbyteorder("<")).tobytes()
    return HEAD.pack(MAGIC, VALUES, 0, len(steps), first, 0) + body


def end(first: int) -> bytes:
    """The packet that ends a stream of ``first`` events or steps."""
    return HEAD.pack(MAGIC, END, 0, 0, first, 0)


def values(packet: bytes, shape: tuple[int, ...], kind: np.dtype[Any]) -> npt.NDArray[Any]:
    """The steps ``[count, *shape]`` of a packet of values."""
    return np.frombuffer(packet, kind.newbyteorder("<"), offset=HEAD.size).reshape(-1, *shape)
