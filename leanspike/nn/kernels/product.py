"""The dense product of the C kernels: float32 on the CPU."""

from __future__ import annotations

import ctypes
from ctypes import c_int64

import torch
from torch import Tensor

from leanspike.nn.kernels.library import FLOATS, kernels, ptr


class _GemmArgs(ctypes.Structure):
    _fields_ = [
        ("m", c_int64), ("n", c_int64), ("k", c_int64),
        ("a", FLOATS), ("a_row", c_int64), ("a_column", c_int64),
        ("b", FLOATS), ("b_row", c_int64), ("b_column", c_int64),
        ("bias", FLOATS), ("add", c_int64), ("c", FLOATS), ("c_row", c_int64), ("threads", c_int64),
    ]  # fmt: skip


def matmul(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor:
    """``a[m, k] @ b[k, n] (+ bias[n])`` for any strides, float32."""
    out = torch.empty((a.shape[0], b.shape[1]))
    args = _GemmArgs(
        a.shape[0], b.shape[1], a.shape[1],
        ptr(a), a.stride(0), a.stride(1), ptr(b), b.stride(0), b.stride(1),
        ptr(bias), 0, ptr(out), out.stride(0), torch.get_num_threads(),
    )  # fmt: skip
    kernels().leanspike_gemm(ctypes.byref(args))
    return out
