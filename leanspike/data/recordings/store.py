"""Recordings as frames on disk: made once, read as memory that the system may drop.

A folder ``prepared/NAME-HASH`` of the user's cache, where HASH is the content hash of the recordings' key and of the
settings: ``x_train.u8`` and ``x_test.u8``, ``[N, F, P, H, W]`` uint8 in C order without a header, ``labels.npz`` and
``facts.json``. It is written beside, as ``.part``, and renamed when whole; one process at a time writes.
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from leanspike.core.errors import DataError
from leanspike.core.files import write_json, writing
from leanspike.core.records import content_hash, to_dict
from leanspike.data import fetch
from leanspike.data.base import Array, Dataset, Labels
from leanspike.data.events.prepare import Preparation, framed, placed, shape
from leanspike.data.recordings.source import Source, shown

FORMAT = 1
PARTS = ("train", "test")


def load(source: Source, how: Preparation, name: str) -> Dataset:
    """The set as frames, prepared if it is not yet; arrays are maps of files, which nothing writes to.

    Args:
        name: of the data set.

    Raises:
        DataError: a damaged recording, or a damaged cache. OutputError: the cache cannot be written.
    """
    facts = {"format": FORMAT, "source": source.key, "preparation": to_dict(how)}
    plain = "".join(c if c.isalnum() or c in "-." else "-" for c in source.name)[:60]
    folder = fetch.cache() / "prepared" / f"{plain}-{content_hash(facts)}"
    if not (folder / "facts.json").is_file():
        _prepare(source, how, folder, facts)
    return _dataset(source, how, name, folder)


def _prepare(source: Source, how: Preparation, folder: Path, facts: dict[str, Any]) -> None:
    part = folder.with_name(folder.name + ".part")
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(folder.name + ".lock")):
            if (folder / "facts.json").is_file():  # another process prepared it while this one waited
                return
            shutil.rmtree(part, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
            part.mkdir()
            size = source.size or _extent(source)
            _write(source, how, part, size)
            write_json(part / "facts.json", facts | {"size": size})
            part.rename(folder)


def _extent(source: Source) -> tuple[int, int]:
    """The least width and height that hold every recording."""
    sizes = [(events.width, events.height) for _, _, events in shown(source, "looking at")]
    return max((width for width, _ in sizes), default=1), max((height for _, height in sizes), default=1)


def _write(source: Source, how: Preparation, folder: Path, size: tuple[int, int]) -> None:
    labels: dict[str, list[int]] = {part: [] for part in PARTS}
    wanted = {part: getattr(how, part) or sys.maxsize for part in PARTS}
    with contextlib.ExitStack() as stack:
        files: dict[str, IO[bytes]] = {part: stack.enter_context(_file(folder, part).open("wb")) for part in PARTS}
        for part, label, events in shown(source, "preparing"):
            if len(labels[part]) < wanted[part]:
                files[part].write(framed(placed(events, size), how, source.start).data)
                labels[part].append(label)
            elif all(len(labels[other]) >= wanted[other] for other in PARTS):
                break
    for part in PARTS:
        if not labels[part]:
            raise DataError(f"has no recordings for the {part} set", where=source.name)
    train, test = (np.array(labels[part], dtype=np.int64) for part in PARTS)
    np.savez(folder / "labels.npz", train=train, test=test)


def _dataset(source: Source, how: Preparation, name: str, folder: Path) -> Dataset:
    parts = {part: _part(folder, part, how) for part in PARTS}
    (x_train, y_train), (x_test, y_test) = parts["train"], parts["test"]
    told = f"{source.source}; {how.frames} frames {_words(how)}"
    return Dataset(name, x_train, y_train, x_test, y_test, source.classes, "events", source.licence, told)


def _words(how: Preparation) -> str:
    by = {
        "time": f"of {how.frame_us / 1000:g} ms" if how.frame_us else "of equal time",
        "count": "of equal counts",
        "voxel": "interpolated in time",
        "events": f"of {how.per_step} events",
    }[how.by]
    return by + (f", {how.pool} x {how.pool} pixels as one" if how.pool > 1 else "")


def _part(folder: Path, part: str, how: Preparation) -> tuple[Array, Labels]:
    try:
        width, height = json.loads((folder / "facts.json").read_text(encoding="utf-8"))["size"]
        sample = shape(how, (width, height))
        with np.load(folder / "labels.npz", allow_pickle=False) as labels:
            y: Labels = labels[part]
        path = _file(folder, part)
        if path.stat().st_size != len(y) * math.prod(sample):
            raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes")
        return np.memmap(path, np.uint8, "c", shape=(len(y), *sample)), y
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"is damaged ({error})", where=folder, remedy="remove it: it is made again") from error


def _file(folder: Path, part: str) -> Path:
    return folder / f"x_{part}.u8"


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time in (where the system has advisory locks)."""
    with path.open("ab") as stream:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
