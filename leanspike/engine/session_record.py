"""The records of csrc/session.h as ctypes and NumPy see them, field by field; session.h says what they mean."""

from __future__ import annotations

import ctypes
from ctypes import c_int64, c_void_p

import numpy as np

EVENT = np.dtype([("t", "<i8"), ("x", "<u2"), ("y", "<u2"), ("on", "<u4")])
"""An event as a session takes it: ticks, column, row, polarity; 16 bytes."""
NOTHING, DECISION = 0, 1


def _fields(text: str, kind: type = c_int64) -> list[tuple[str, type]]:
    return [(name, kind) for name in text.split()]


class Session(ctypes.Structure):
    """A session."""

    _fields_ = [
        *_fields("plan arena", c_void_p),
        *_fields("window hop reset pausing number"),
        *_fields("width height polarities ticks most_ahead most_astray"),
        *_fields("frame ring scores spikes", c_void_p),
        *_fields("t in_window steps computed decided used"),
        *_fields("started start latest astray"),
        *_fields("taken outside late ahead moved"),
    ]
