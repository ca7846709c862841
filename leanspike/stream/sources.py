"""Where a stream comes from: a recording, an array, or a byte stream of packets, lines or raw values.

A source is an iterator of :class:`Arrival`. Reading is what holds a sender back: nothing is read before what was read
is worked off. ``waited`` is how long it waited for its sender, or for a recording's next step to be due.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError
from leanspike.data.events import Events
from leanspike.engine import EVENT, packets
from leanspike.ir import Program
from leanspike.stream import wire
from leanspike.stream.tally import Tally

READ_AT_ONCE = 1 << 16
EVENTS_AT_ONCE, STEPS_AT_ONCE = 1 << 12, 64
Values = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Arrival:
    """What came at once.

    Attributes:
        at: when, by ``time.perf_counter``; of ``until`` and ``idle_us``: when the stream was there.
        events: of :data:`leanspike.engine.EVENT`, in microseconds.
        values: steps ``[N, *shape]``.
        until: every step that ends at this microsecond or before it is over, though no event says so.
        idle_us: the same, told from the last event that was taken.
    """

    at: float
    events: npt.NDArray[np.void] | None = None
    values: Values | None = None
    until: int | None = None
    idle_us: int | None = None


Opener = Callable[[Values, float], Arrival]
"""From numbers that came, and when, to an arrival."""


class Source(Protocol):
    """A stream's source."""

    waited: float

    def __iter__(self) -> Iterator[Arrival]: ...


class Reading:
    """A byte stream. ``read`` returns what is there, at least a byte, or nothing at its end."""

    def __init__(self, file: BinaryIO) -> None:
        self.waited = 0.0
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)

    def chunks(self) -> Iterator[bytes]:
        """What comes, piece by piece."""
        while True:
            start = time.perf_counter()
            data = self._read(READ_AT_ONCE)
            self.waited += time.perf_counter() - start
            if not data:
                return
            yield data


class Packets(Reading):
    """A byte stream of packets of :mod:`leanspike.stream.wire`.

    Args:
        shape, kind: of a step of raw values.
    """

    def __init__(self, file: BinaryIO, tally: Tally, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
        super().__init__(file)
        self._tally, self._shape, self._kind = tally, shape, kind

    def __iter__(self) -> Iterator[Arrival]:
        cutter, dropped = packets.Cutter(math.prod(self._shape) * self._kind.itemsize), self._tally.dropped
        for data in self.chunks():
            at = time.perf_counter()
            for found in cutter.cut(data):
                dropped["lost"], dropped["skipped_bytes"] = cutter.lost, cutter.skipped
                if is_end(found):
                    return
                yield opened(found, at, self._shape, self._kind)
            dropped["skipped_bytes"] = cutter.skipped
        dropped["cut_off"] += cutter.left


def is_end(found: npt.NDArray[np.void] | bytes) -> bool:
    """Whether this is the packet that ends a stream."""
    return isinstance(found, bytes) and found[wire.KIND_AT] == wire.END


def opened(found: npt.NDArray[np.void] | bytes, at: float, shape: tuple[int, ...], kind: np.dtype[Any]) -> Arrival:
    """Events, or a packet of values, as what came."""
    if isinstance(found, bytes):
        return Arrival(at, values=wire.values(found, shape, kind))
    return Arrival(at, events=found)


class RawSteps(Reading):
    """Steps of raw values, one behind the other, as bytes of their type."""

    def __init__(self, file: BinaryIO, tally: Tally, shape: tuple[int, ...], kind: np.dtype[Any]) -> None:
        super().__init__(file)
        self._tally, self._shape, self._kind = tally, shape, kind.newbyteorder("<")

    def __iter__(self) -> Iterator[Arrival]:
        size, kept = math.prod(self._shape) * self._kind.itemsize, b""
        for data in self.chunks():
            at, kept = time.perf_counter(), kept + data
            whole = len(kept) // size * size
            if whole:
                yield Arrival(at, values=np.frombuffer(kept[:whole], self._kind).reshape(-1, *self._shape))
            kept = kept[whole:]
        self._tally.dropped["cut_off"] += len(kept)


class Lines(Reading):
    """Lines of numbers: ``columns`` of a line; what is no such line is counted.

    Args:
        opened: from numbers ``[N, columns]`` to what arrives.
    """

    def __init__(self, file: BinaryIO, tally: Tally, columns: int, kind: type, opened: Opener) -> None:
        super().__init__(file)
        self._tally, self._columns, self._kind, self._opened = tally, columns, kind, opened

    def __iter__(self) -> Iterator[Arrival]:
        kept, longest, skipping = b"", 64 * (self._columns + 1), False
        for data in self.chunks():
            at = time.perf_counter()
            head, end, kept = (kept + data).rpartition(b"\n")
            if skipping and end:
                _, _, head = head.partition(b"\n")
            skipping = skipping and not end
            if len(kept) > longest or skipping:
                self._tally.dropped["bad_lines"] += not skipping
                kept, skipping = b"", True
            yield from self._opened_lines(head, at)
        yield from self._opened_lines(kept, time.perf_counter())

    def _opened_lines(self, text: bytes, at: float) -> Iterator[Arrival]:
        numbers = self._numbers(text)
        if len(numbers):
            yield self._opened(numbers, at)

    def _numbers(self, text: bytes) -> Values:
        lines = [line for line in text.replace(b",", b" ").split(b"\n") if line.strip()]
        rows = []
        for line in lines:
            try:
                row = [self._kind(word) for word in line.split()]
            except ValueError:
                row = []
            sound = len(row) == self._columns and all(abs(number) < 1 << 62 for number in row)
            rows += [row] if sound else []
        self._tally.dropped["bad_lines"] += len(lines) - len(rows)
        return np.array(rows, dtype=np.dtype(self._kind)).reshape(-1, self._columns)


def event_lines(file: BinaryIO, tally: Tally) -> Lines:
    """Lines ``t x y p``, in microseconds; p above 0 is ON. Blanks or commas between."""
    return Lines(file, tally, 4, int, _events_of_lines)


def _events_of_lines(numbers: Values, at: float) -> Arrival:
    found = np.empty(len(numbers), dtype=EVENT)
    found["t"], found["on"] = numbers[:, 0], numbers[:, 3] > 0
    for name, column in (("x", 1), ("y", 2)):
        found[name] = np.where(numbers[:, column] < 0, 0xFFFF, numbers[:, column].clip(max=0xFFFF))
    return Arrival(at, events=found)


class Recording:
    """A recording, whole in memory, as a stream.

    Args:
        speed: stream seconds a second; 0: as fast as it is taken.
        piece_us: of a piece that is due at once, where there is a speed.
    """

    def __init__(self, events: Events, speed: float = 0.0, piece_us: int = 10_000) -> None:
        self.waited = 0.0
        self._events, self._speed, self._piece = events, speed, piece_us

    def __iter__(self) -> Iterator[Arrival]:
        if not self._speed:
            for start in range(0, len(self._events), EVENTS_AT_ONCE):
                yield Arrival(time.perf_counter(), events=records(self._events[start : start + EVENTS_AT_ONCE]))
            return
        yield from self._paced()

    def _paced(self) -> Iterator[Arrival]:
        found = records(self._events)
        begun, at, first = time.perf_counter(), 0, int(found["t"][0]) if len(found) else 0
        first -= first % self._piece
        while at < len(found):
            until = int(found["t"][at]) // self._piece * self._piece + self._piece
            due = begun + (until - first) * 1e-6 / self._speed
            now = time.perf_counter()
            if due > now:
                time.sleep(due - now)
                self.waited += time.perf_counter() - now
            end = int(np.searchsorted(found["t"], until))
            yield Arrival(due, events=found[at:end])
            yield Arrival(due, until=until)
            at = end


def records(events: Events) -> npt.NDArray[np.void]:
    """Events as a session takes them, in microseconds."""
    found = np.empty(len(events), dtype=EVENT)
    found["t"] = events.t if events.tick_us == 1.0 else np.rint(events.t * events.tick_us)
    found["x"], found["y"], found["on"] = events.x, events.y, events.p
    return found


class Steps:
    """Steps of an array ``[N, *shape]``, which may lie in a file; see :class:`Recording` for ``speed``.

    Args:
        opened: from a part of them to raw values.
        step_us: of a step, where there is a speed.
    """

    def __init__(self, values: Values, opened: Opener, speed: float = 0.0, step_us: float = 0.0) -> None:
        self.waited = 0.0
        self._values, self._opened, self._seconds = values, opened, 1e-6 * step_us / speed if speed else 0.0

    def __iter__(self) -> Iterator[Arrival]:
        begun, at_once = time.perf_counter(), 1 if self._seconds else STEPS_AT_ONCE
        for start in range(0, len(self._values), at_once):
            now = time.perf_counter()
            due = begun + (start + 1) * self._seconds if self._seconds else now
            if due > now:
                time.sleep(due - now)
                self.waited += time.perf_counter() - now
            yield self._opened(self._values[start : start + at_once], due)


def raw_steps(program: Program, shape: tuple[int, ...]) -> Opener:
    """From steps of values, uint8 (255 stands for 1) or floats in [0, 1], to raw ones; outside [0, 1] outside the type.

    Args:
        shape: of a step. Values ``[N, C, H, W]`` are brought to channels last.
    """
    levels, far = program.input.levels, np.iinfo(np.int32).max

    def opened(values: Values, at: float) -> Arrival:
        channels_last = np.moveaxis(values, 1, -1) if values.ndim == 4 else values
        scale = 255 if values.dtype == np.uint8 else 1
        scaled = np.floor(channels_last.astype(np.float64) * (levels / scale) + 0.5)
        sound = np.abs(scaled) < far
        raw = np.where(sound, scaled, far).astype(np.int32)
        return Arrival(at, values=raw.reshape(len(raw), *shape))

    return opened


def is_packets(path: Path) -> bool:
    """Whether a file begins with a packet; nothing is read of what is no file.

    Raises:
        DataError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(len(wire.MAGIC)) == wire.MAGIC
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from error
