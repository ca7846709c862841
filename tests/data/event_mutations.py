"""Files of events changed at random: a recording or a DataError comes out, soon and in little memory.

    python tests/data/event_mutations.py FIRST COUNT [FOLDER]

Case i is a function of i and of the files: one of every format, and the small files of FOLDER (real recordings). Bytes
are flipped, cut, spliced or written over. HDF5 and AEDAT 4, whose libraries run in a process of their own, are tried in
one of 200 cases.
"""

from __future__ import annotations

import resource
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

import numpy as np
from event_writers import WRITERS, recording

from leanspike.core.errors import DataError
from leanspike.data.events import Layout, read

LONGEST_SECONDS = 20
MOST_MEMORY = 3 << 30
_LARGEST = 160_000
_SLOW = 200
_APART = (".h5", ".aedat4")

Files = list[tuple[str, bytes]]


def seeds(folder: Path | None = None) -> Files:
    """One file of every format, and the small real ones; last those that start a process."""
    events = recording(120)
    found = [(suffix, write(events)) for suffix, write in WRITERS.values()]
    real = sorted(folder.iterdir()) if folder else []
    small = [path for path in real if path.suffix != ".json" and path.stat().st_size <= _LARGEST]
    large = [path for path in real if path.suffix in (".aedat4", ".raw") and path not in small]
    files = [(path.suffix, path.read_bytes()) for path in small]
    found += files + [(path.suffix, path.read_bytes()[:_LARGEST]) for path in large]
    return sorted(found, key=lambda one: one[0] in _APART)


def mutated(random: np.random.Generator, files: Files, case: int) -> tuple[str, bytes]:
    """A file that was one of ``files``, and its suffix."""
    apart = sum(suffix in _APART for suffix, _ in files)
    last = len(files) - apart
    suffix, content = files[random.integers(last, len(files)) if case % _SLOW == 0 else random.integers(last)]
    kind, (at, to) = random.integers(6), (int(place) for place in random.integers(0, len(content), 2))
    if kind == 0:
        return suffix, content[:at]
    if kind == 1:
        other = files[random.integers(last)][1]
        return suffix, content[:at] + other[min(to, len(other)) :]
    if kind == 2:
        return suffix, content[:at] + content[to : to + 64] + content[at:]
    changed = bytearray(content)
    near = len(changed) if kind == 3 else min(len(changed), 400)
    for _ in range(random.integers(1, 9)):
        changed[random.integers(near)] = random.choice([0, 1, 127, 128, 254, 255, random.integers(256)])
    return suffix, bytes(changed)


def tried(path: Path, suffix: str, content: bytes) -> str:
    """What became of a file: ``read``, ``refused``, or ``part`` where only its good part is read."""
    place = path.with_suffix(suffix)
    place.write_bytes(content)
    told = refusal(place)
    if told is None:
        return "read"
    assert str(place) in told, told
    try:
        part = read(place, Layout(), partial=True)
    except DataError:
        return "refused"
    assert part.notes, "a part of a damaged file says so"
    return "part"


def refusal(path: Path) -> str | None:
    """Why a file is not read; None if it is."""
    try:
        read(path)
    except DataError as error:
        return error.line()
    return None


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError(f"a case took more than {LONGEST_SECONDS} s")


def main(first: int, count: int, folder: Path | None) -> int:
    """Try the cases; the number of the first that fails is told."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, _late)
    files, ends, start = seeds(folder), dict.fromkeys(("read", "part", "refused"), 0), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        for case in range(first, first + count):
            signal.alarm(LONGEST_SECONDS)
            try:
                ends[tried(Path(scratch) / "file", *mutated(np.random.default_rng(case), files, case))] += 1
            except BaseException:
                sys.stderr.write(f"case {case} failed\n")
                raise
        signal.alarm(0)
    sys.stdout.write(f"{count:,} files in {time.monotonic() - start:.0f} s: {ends}\n")
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(int(words[0]), int(words[1]), Path(words[2]) if len(words) > 2 else None))
