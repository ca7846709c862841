"""Find and load the engine for this processor."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

from leanspike.core import native
from leanspike.core.errors import MissingTool

FOLDER = Path(__file__).parent
CHOICE = "LEANSPIKE_ENGINE"


@functools.cache
def load(level: str | None = None) -> ctypes.CDLL:
    """The library of an instruction set (plain, avx2, avx512); the best one of this processor if None.

    ``LEANSPIKE_ENGINE`` names another one than the best.

    Raises:
        MissingTool: it was not built.
        ConfigError: this processor does not run that level.
    """
    found = native.load(FOLDER, "engine", level or os.environ.get(CHOICE), CHOICE)
    if found is None:
        raise MissingTool(
            "the engine was not built", remedy="install a C compiler (gcc or clang), then leanspike again"
        )
    found.leanspike_engine_run.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    found.leanspike_engine_run.restype = ctypes.c_int
    return found


def levels() -> tuple[str, ...]:
    """The instruction sets that this processor runs, the best one last."""
    return native.LEVELS[: load("plain").leanspike_level() + 1]
