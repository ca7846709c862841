"""``python -m leanspike.stream FILE --to udp://127.0.0.1:PORT|-``: a recording as packets, at real or another speed.

A sender for trying things out, and the way to make a recording a byte stream of packets: ``--to - > FILE``.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import LeanspikeError
from leanspike.core.records import require
from leanspike.data import events
from leanspike.stream import udp, wire
from leanspike.stream.sources import records

BATCH_US, ENDS = 2_000, 3
"""Microseconds that are sent together; how often the end is told where a datagram may be lost."""


def main(argv: list[str] | None = None) -> int:
    """Send; 0, or 2 with one line for what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m leanspike.stream", description=__doc__)
    parser.add_argument("file", type=Path, help="a recording of events, in any format that leanspike reads")
    parser.add_argument("--to", required=True, metavar="udp://127.0.0.1:PORT|-", help="where; - is standard output")
    parser.add_argument("--speed", type=float, default=1.0, metavar="X", help="times real time; 0: without pauses (1)")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="so often, one after the other (1)")
    args = parser.parse_args(argv)
    try:
        require(args.speed >= 0, "--speed", args.speed, "0 or more")
        require(args.repeat >= 1, "--repeat", args.repeat, "1 or more")
        found = repeated(records(events.read(args.file)), args.repeat)
        with opened(args.to) as put:
            sent = send(found, put, args.speed)
            for _ in range(1 if args.to == "-" else ENDS):
                put(wire.end(sent))
                time.sleep(0.05)
    except LeanspikeError as error:
        sys.stderr.write(f"leanspike: error: {error.line()}\n")
        return 2
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
    sys.stderr.write(f"leanspike: {sent:,} events sent\n")
    return 0


@contextlib.contextmanager
def opened(to: str) -> Iterator[Callable[[bytes], object]]:
    """What takes a packet's bytes to a UDP address, or for ``-`` to standard output."""
    if to == "-":
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    host, port = udp.address(to)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sender:
        yield lambda packet: sender.sendto(packet, (host, port))


def repeated(found: npt.NDArray[np.void], times: int) -> Iterator[npt.NDArray[np.void]]:
    """The recording so often, each a step of 2 ms behind the one before."""
    length = int(found["t"][-1] - found["t"][0]) + BATCH_US if len(found) else 0
    for turn in range(times):
        again = found.copy()
        again["t"] += turn * length
        yield again


def send(recordings: Iterator[npt.NDArray[np.void]], put: Callable[[bytes], object], speed: float) -> int:
    """Send recordings whose times go on, ``speed`` times as fast as they were (0: at once).

    Returns:
        how many events were sent.
    """
    sent, begun, first = 0, time.perf_counter(), None
    for found in recordings:
        batches = (found["t"] - found["t"][0]) // BATCH_US if len(found) else found["t"]
        for part in np.split(found, np.flatnonzero(np.diff(batches)) + 1):
            if speed and len(part):
                first = int(part["t"][0]) if first is None else first
                wait = begun + (int(part["t"][-1]) - first) * 1e-6 / speed - time.perf_counter()
                time.sleep(max(0.0, wait))
            for packet in wire.packed(part, sent):
                put(packet)
            sent += len(part)
    return sent


if __name__ == "__main__":
    sys.exit(main())
