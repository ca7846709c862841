"""Files that are whole or absent: written beside the target, flushed to disk, then renamed over it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from leanspike.core.errors import OutputError


@contextlib.contextmanager
def writing(where: object) -> Iterator[None]:
    """Turn an operating-system refusal while writing to ``where`` into an :class:`OutputError`."""
    try:
        yield
    except OSError as error:
        remedies = {
            errno.ENOSPC: "free some space or choose another --out",
            errno.EDQUOT: "free some of your quota or choose another --out",
            errno.EROFS: "choose an --out on a writable file system",
            errno.EACCES: "choose an --out that you may write to",
            errno.EPERM: "choose an --out that you may write to",
            errno.ENOTDIR: "a file stands where a folder is needed; choose another --out",
            errno.EEXIST: "a file stands where a folder is needed; choose another --out",
        }
        remedy = remedies.get(error.errno or 0, "choose another --out")
        reason = error.strerror or str(error)
        raise OutputError(f"cannot be written ({reason})", where=where, remedy=remedy) from error


def make_folder(folder: Path) -> Path:
    """Create ``folder`` and prove that it can be written to.

    Raises:
        OutputError: it cannot be created or is read-only.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    return folder


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically: a reader, or a crash, sees the old file or the new one.

    Raises:
        OutputError: disk full, read-only or forbidden; nothing half written is left.
    """
    with writing(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text atomically; see :func:`write_bytes`."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically; NaN is refused, so that a figure which was not measured must be ``null``."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
