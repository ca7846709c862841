"""The C kernels, loaded with ctypes."""

from __future__ import annotations

from torch import Tensor


def serves(tensor: Tensor) -> bool:
    """True where the C kernels can run: float32 on the CPU, and a library was built at installation."""
    return False


def pack_binary(values: Tensor) -> Tensor | None:
    return None
