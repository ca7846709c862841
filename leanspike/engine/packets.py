"""Packets of :mod:`leanspike.stream.wire` cut from a byte stream, in C: the size of a packet costs no time."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import c_int64, c_void_p

import numpy as np
import numpy.typing as npt

from leanspike.engine import library
from leanspike.engine.session_record import EVENT

MOST_COUNT = 1 << 16
_HEAD_BYTES, _EVENT_BYTES = 24, 8


class _Record(ctypes.Structure):
    _fields_ = [(name, c_int64) for name in ("step_bytes", "expected", "lost", "skipped")]


class Cutter:
    """Cuts a byte stream into packets. What is no packet is skipped up to where the next may begin, and counted.

    Args:
        step_bytes: of a step of values; 0 where none are taken.
    """

    def __init__(self, step_bytes: int = 0) -> None:
        self._kept, self._record = b"", _Record(step_bytes, -1, 0, 0)
        self._at, self._place = ctypes.addressof(self._record), c_int64()
        self._place_at, self._library = ctypes.addressof(self._place), library.load()
        self._library.leanspike_packet.argtypes = [c_void_p, ctypes.c_char_p, c_int64, c_void_p]
        self._library.leanspike_packet.restype = c_int64
        self._library.leanspike_packet_taken.argtypes = [c_void_p, ctypes.c_char_p]
        self._library.leanspike_packet_taken.restype = None
        events = self._library.leanspike_packets_events
        events.argtypes, events.restype = [c_void_p, ctypes.c_char_p, c_int64, c_void_p, c_void_p, c_int64], c_int64

    @property
    def lost(self) -> int:
        """Events or steps that the sender counted and that did not come."""
        return int(self._record.lost)

    @property
    def skipped(self) -> int:
        """Bytes that were no packet."""
        return int(self._record.skipped)

    @property
    def left(self) -> int:
        """Bytes of a packet that has only begun."""
        return len(self._kept)

    def cut(self, data: bytes) -> Iterator[npt.NDArray[np.void] | bytes]:
        """What is whole now: events of packets side by side together, a packet of another kind as its bytes.

        The generator must be run to its end.
        """
        data, self._place.value = self._kept + data, 0
        room = max(len(data) // _EVENT_BYTES, 1)
        while True:
            found = np.empty(room, dtype=EVENT)
            cut, out = self._library.leanspike_packets_events, found.ctypes.data
            count = cut(self._at, data, len(data), self._place_at, out, room)
            if count:
                yield found[:count]
            size, at = self._library.leanspike_packet(self._at, data, len(data), self._place_at), self._place.value
            if not size:
                break
            packet, self._place.value = data[at : at + size], at + size
            self._library.leanspike_packet_taken(self._at, packet)
            yield packet
        self._kept = data[self._place.value :]
