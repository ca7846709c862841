"""The LIF scan on CUDA tensors (Triton)."""

from __future__ import annotations

from torch import Tensor


def serves(tensor: Tensor) -> bool:
    """True where this kernel can run: a CUDA tensor and Triton installed."""
    return False
