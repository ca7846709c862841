"""N-MNIST: ``Train/LABEL/NUMBER.bin`` and ``Test/LABEL/NUMBER.bin``, in one archive or in two; 34 x 34 pixels.

Three saccades in about 308 ms; a recording's clock starts with the first one. The order is that of the numbers.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from leanspike.core.errors import DataError
from leanspike.data.events import Layout, decoded, nmnist
from leanspike.data.recordings.source import Recording

SIDE = 34
_NAME = re.compile(r"(?:.*/)?(Train|Test)/(\d)/(\d+)\.bin")


def read(paths: list[Path]) -> Iterator[Recording]:
    """Every recording of the archives, the training set first.

    Raises:
        DataError: a damaged archive or recording, or none of a part.
    """
    for part in ("Train", "Test"):
        seen = 0
        for path in paths:
            for recording in _read(path, part):
                seen += 1
                yield recording
        if not seen:
            raise DataError(f"holds no {part}/LABEL/NUMBER.bin", where=", ".join(map(str, paths)))


def _read(path: Path, part: str) -> Iterator[Recording]:
    try:
        with zipfile.ZipFile(path) as archive:
            told = [found for name in archive.namelist() if (found := _NAME.fullmatch(name)) and found[1] == part]
            for found in sorted(told, key=lambda found: int(found[3])):
                content = nmnist.decode(archive.read(found[0]))
                yield part.lower(), int(found[2]), decoded(content, f"{path}: {found[0]}", Layout((SIDE, SIDE)))
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy="get it again") from error
