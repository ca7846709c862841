"""Packets from a UDP port of this machine: a thread receives, a queue of bounded size holds, drops are counted.

Only a loopback address is bound. A step whose time is over closes though no event comes:

    stream's now = t of the last event that was taken + wall clock since events came last - grace

An end packet ends the stream.
"""

from __future__ import annotations

import ipaddress
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from leanspike.core.errors import ConfigError
from leanspike.engine import packets
from leanspike.stream import wire
from leanspike.stream.sources import Arrival, is_end, opened
from leanspike.stream.tally import Tally

SCHEME = "udp"
MOST_QUEUED = 16 << 20
MOST_AT_ONCE = 64
LARGEST = 1 << 16
_ASKED_BUFFER = 8 << 20
_POLL_SECONDS, _LULL_SECONDS = 0.002, 0.1


def address(url: str) -> tuple[str, int]:
    """Host and port of ``udp://HOST:PORT``.

    Raises:
        ConfigError: no such address, or not of this machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        own = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        host, port, own = "", None, False
    if port is None or parts.path or not host:
        raise ConfigError(f"{url!r} is no address", where="--input", remedy="give udp://127.0.0.1:PORT")
    if not own:
        remedy = "give udp://127.0.0.1:PORT, and a relay of your own where the sender is another machine"
        raise ConfigError(f"{host} is no address of this machine alone", where="--input", remedy=remedy)
    return host, port


def bound(url: str) -> socket.socket:
    """A socket bound to the address; port 0 takes any free one.

    Raises:
        ConfigError: the address cannot be bound.
    """
    host, port = address(url)
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ASKED_BUFFER)
        found.bind((host, port))
    except OSError as error:
        found.close()
        what = f"cannot listen there ({error.strerror})"
        raise ConfigError(what, where=url, remedy="take another port") from error
    return found


class Udp:
    """Packets of a bound socket, which is closed at the end.

    Args:
        shape, kind: of a step of raw values.
        grace_us: how long a step waits for events that are on their way.
    """

    def __init__(
        self, bound: socket.socket, tally: Tally, shape: tuple[int, ...], kind: np.dtype[Any], grace_us: int = 20_000
    ) -> None:
        self.waited = 0.0
        self._socket, self._tally, self._grace = bound, tally, grace_us
        self._shape, self._kind, self._step_bytes = shape, kind, math.prod(shape) * kind.itemsize
        self._queue, self._queued = deque[tuple[float, bytes]](), 0
        self._ready, self._stop, self._full = threading.Condition(), False, 0

    def __iter__(self) -> Iterator[Arrival]:
        self._socket.settimeout(_LULL_SECONDS)
        receiver = threading.Thread(target=self._receive, daemon=True)
        receiver.start()
        try:
            yield from self._arrivals()
        finally:
            self._stop = True
            receiver.join()
            self._socket.close()

    def _receive(self) -> None:
        buffer = bytearray(LARGEST)
        while not self._stop:
            try:
                size = self._socket.recv_into(buffer)
            except TimeoutError:
                continue
            at, datagram = time.perf_counter(), bytes(buffer[:size])
            if wire.size_of(datagram, self._step_bytes) != size:
                self._tally.dropped["malformed"] += 1
                continue
            with self._ready:
                if self._queued + size > MOST_QUEUED:
                    self._full += wire.HEAD.unpack_from(datagram)[3]
                    continue
                self._queue.append((at, datagram))
                self._queued += size
                self._ready.notify()

    def _arrivals(self) -> Iterator[Arrival]:
        cutter, dropped = packets.Cutter(self._step_bytes), self._tally.dropped
        last: float | None = None
        while True:
            at, data = self._take(_LULL_SECONDS if last is None else _POLL_SECONDS)
            if not data:
                if last is not None:
                    now = time.perf_counter() - 1e-6 * self._grace
                    yield Arrival(now, idle_us=int(1e6 * (now - last)))
                continue
            for found in cutter.cut(data):
                dropped["full"] = self._full
                dropped["lost"] = max(0, cutter.lost - self._full)
                if is_end(found):
                    return
                last = last if isinstance(found, bytes) else at
                yield opened(found, at, self._shape, self._kind)

    def _take(self, seconds: float) -> tuple[float, bytes]:
        """What is queued, a limited amount at once, and when the first of it came; no bytes where nothing comes."""
        start = time.perf_counter()
        with self._ready:
            if not self._queue:
                self._ready.wait(seconds)
                self.waited += time.perf_counter() - start
            if not self._queue:
                return start, b""
            at, taken = self._queue[0][0], list[bytes]()
            while self._queue and len(taken) < MOST_AT_ONCE:
                taken.append(self._queue.popleft()[1])
            self._queued -= sum(map(len, taken))
            return at, b"".join(taken)
