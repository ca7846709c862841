"""Find, load and call the C kernels for this processor, sharing torch's OpenMP threads."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from leanspike.core import native
from leanspike.core.native import LEVELS

__all__ = ["FLOATS", "LEVELS", "describe", "kernels", "load", "loaded", "ptr", "serves"]
FLOATS = ctypes.c_void_p
HERE = Path(__file__).parent
_CHOICE = "LEANSPIKE_KERNELS"


@functools.cache
def load() -> ctypes.CDLL | None:
    """The library for the best instruction set here, or None where none was built.

    ``LEANSPIKE_KERNELS`` may name a lower level (plain, avx2, avx512) or ``off`` (the torch path).

    Raises:
        ConfigError: this processor does not run that level. MissingTool: the library is of other sources.
    """
    wanted = os.environ.get(_CHOICE)
    if wanted == "off" or not _share_openmp():
        return None
    return native.load(HERE, "kernels", wanted, _CHOICE)


def loaded() -> bool:
    """Whether a library was built at installation and may be used."""
    return load() is not None


def serves(tensor: Tensor) -> bool:
    """True where the C kernels can run: float32 on the CPU, and a library is loaded."""
    return tensor.dtype == torch.float32 and tensor.device.type == "cpu" and loaded()


def kernels() -> ctypes.CDLL:
    """The library, which is :func:`loaded`."""
    found = load()
    assert found is not None
    return found


def ptr(tensor: Tensor | None) -> int | None:
    """Where a tensor begins, as an argument; None: nowhere."""
    return None if tensor is None else tensor.data_ptr()


def describe() -> str:
    """One line: which kernels serve in this process."""
    library = load()
    return "pure torch path (no C kernels)" if library is None else f"C kernels, {native.level_of(library)}"


def _share_openmp() -> bool:
    """Make the OpenMP runtime that torch loaded visible to the kernels; False if there is none."""
    if not sys.platform.startswith("linux"):
        return True
    beside = Path(torch.__file__).parent.parent / "torch.libs"
    candidates = [*(Path(torch.__file__).parent / "lib").glob("libgomp*.so*"), *beside.glob("libgomp*.so*")]
    for candidate in (*map(str, candidates), "libgomp.so.1"):
        try:
            ctypes.CDLL(candidate, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue
        return True
    return False
