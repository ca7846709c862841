"""Find and load the plasticity kernel for this processor."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

from leanspike.core import native
from leanspike.core.errors import MissingTool

FOLDER = Path(__file__).parent
CHOICE = "LEANSPIKE_STDP"


@functools.cache
def load(level: str | None = None) -> ctypes.CDLL:
    """The library of an instruction set (plain, avx2, avx512); the best one of this processor if None.

    ``LEANSPIKE_STDP`` names another one than the best.

    Raises:
        MissingTool: it was not built.
        ConfigError: this processor does not run that level.
    """
    found = native.load(FOLDER, "stdp", level or os.environ.get(CHOICE), CHOICE)
    if found is None:
        raise MissingTool(
            "the plasticity kernel was not built", remedy="install a C compiler (gcc or clang), then leanspike again"
        )
    found.leanspike_stdp_present.argtypes = [ctypes.c_void_p]
    found.leanspike_stdp_present.restype = ctypes.c_int
    return found


def levels() -> tuple[str, ...]:
    """The instruction sets that this processor runs, the best one last."""
    return native.LEVELS[: load("plain").leanspike_level() + 1]
