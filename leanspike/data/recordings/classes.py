"""Sets whose archives hold class-named folders of recordings: CIFAR10-DVS, N-Caltech101, N-CARS.

    CIFAR10-DVS     airplane.zip ...: airplane/cifar10_airplane_0.aedat   no official split: a tenth of a class tests
    N-Caltech101    Caltech101/accordion/image_0001.bin                   no official split: a fifth of a class tests
    N-CARS          n-cars_train.zip: train/cars/obj_004397_td.dat        official split

Where there is no official split, :func:`leanspike.data.base.held_out` with seed 0 draws it from the recordings in the
order of their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data.base import held_out
from leanspike.data.events import Layout, reading
from leanspike.data.recordings.packed import opened
from leanspike.data.recordings.source import Recording

SEED = 0


@dataclass(frozen=True)
class Folders:
    """How the files of a set are called.

    Attributes:
        suffixes: of recordings.
        part: finds ``train`` or ``test`` in a name; None: there is no official split.
        test: share of every class that tests where there is none.
        classes: the folders' names by label; None: all there are, sorted.
    """

    suffixes: tuple[str, ...]
    part: re.Pattern[str] | None
    test: float = 0.0
    classes: tuple[str, ...] | None = None


CIFAR10_DVS = Folders((".aedat", ".aedat4"), None, 0.1)
NCALTECH101 = Folders((".bin",), None, 0.2)
NCARS = Folders(
    (".dat",), re.compile(r"(?:^|[/_-])(train|test)(?=[/_.])", re.IGNORECASE), classes=("background", "cars")
)


def read(paths: list[Path], how: Folders) -> Iterator[Recording]:
    """Every recording, in the order of names.

    Raises:
        DataError: a damaged archive or recording, or a name that is not understood.
    """
    with opened(paths) as entries:
        kept = [(name, read) for name, read in entries if PurePosixPath(name).suffix in how.suffixes]
        folders = [PurePosixPath(name).parent.name for name, _ in kept]
        classes = list(how.classes or sorted(set(folders)))
        if not kept or set(folders) - set(classes):
            odd = sorted(set(folders) - set(classes))
            what = f"holds a folder {odd[0]}" if odd else f"holds no recordings ({', '.join(how.suffixes)})"
            raise DataError(what, where=paths[0], remedy=f"known classes: {', '.join(classes) or 'none'}")
        labels = [classes.index(folder) for folder in folders]
        parts = _parts([name for name, _ in kept], labels, how, paths[0])
        for (name, content), label, part in zip(kept, labels, parts, strict=True):
            yield part, label, reading.read_bytes(content(), name, Layout())


def names(paths: list[Path], how: Folders) -> tuple[str, ...]:
    """The classes that the archives hold."""
    with opened(paths) as entries:
        found = {PurePosixPath(name).parent.name for name, _ in entries if PurePosixPath(name).suffix in how.suffixes}
    return how.classes or tuple(sorted(found))


def _parts(names: list[str], labels: list[int], how: Folders, where: Path) -> list[str]:
    if how.part is None:
        held = held_out(np.array(labels, dtype=np.int64), how.test, SEED)
        return ["test" if test else "train" for test in held]
    found = [how.part.search(name) for name in names]
    if None in found:
        raise DataError(f"{names[found.index(None)]} belongs to no part", where=where)
    return [one[1].lower() for one in found if one]
