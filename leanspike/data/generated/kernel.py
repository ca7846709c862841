"""The simulated camera's C, and the choice between it and NumPy; both find the same events."""

from __future__ import annotations

import ctypes
import functools
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from leanspike.core import native
from leanspike.data.generated import pixels
from leanspike.data.generated.pixels import Found, Sensor

FOLDER = Path(__file__).parent
CHOICE = "LEANSPIKE_CAMERA"
_ROOM = 1 << 14
_NUMBERS = ("height", "width", "steps", "refractory", "most", "shift", "field_height", "field_width")
_ARRAYS = ("table", "on", "off", "leak", "ticks", "windows")


class _Camera(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int64) for name in _NUMBERS] + [(name, ctypes.c_void_p) for name in _ARRAYS]


class _Found(ctypes.Structure):
    _fields_ = [*((name, ctypes.c_void_p) for name in ("when", "pixel", "rises")), ("room", ctypes.c_int64)]


@functools.cache
def library() -> ctypes.CDLL | None:
    """The compiled camera; None where it was not built, or ``LEANSPIKE_CAMERA=numpy``.

    Raises:
        ConfigError: ``LEANSPIKE_CAMERA`` names a level that this processor does not run.
    """
    wanted = os.environ.get(CHOICE)
    if wanted == "numpy":
        return None
    found = native.load(FOLDER, "camera", wanted, CHOICE)
    if found is not None:
        found.leanspike_film.argtypes = [ctypes.c_void_p] * 5
        found.leanspike_film.restype = ctypes.c_int64
    return found


def simulate(field: npt.NDArray[np.uint8], views: npt.NDArray[np.int64], sensor: Sensor) -> Found:
    """As :func:`leanspike.data.generated.pixels.simulate`; a recording's events come before the next one's."""
    compiled = library()
    if compiled is None:
        return pixels.simulate(field, views, sensor)
    field, views = np.ascontiguousarray(field), np.ascontiguousarray(views)
    arrays = {name: getattr(sensor, name) for name in _ARRAYS[:-1]} | {"windows": views}
    sizes = (sensor.height, sensor.width, len(views) - 1, sensor.refractory, sensor.most, pixels.SHIFT)
    camera = _Camera(*sizes, *field.shape[1:], *(arrays[name].ctypes.data for name in _ARRAYS))
    found = [_film(compiled, camera, picture, sensor) for picture in field]
    which = np.repeat(np.arange(len(found)), [len(when) for when, _, _ in found])
    when, pixel, rises = (np.concatenate([one[i] for one in found]) for i in range(3))
    return Found(which, when.astype(np.int64), pixel.astype(np.int64), rises.astype(bool))


def _film(
    compiled: ctypes.CDLL, camera: _Camera, picture: npt.NDArray[np.uint8], sensor: Sensor
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    size, room = sensor.height * sensor.width, _ROOM
    scratch, silent = np.empty(3 * size, dtype=np.int32), np.empty(size, dtype=np.int64)
    while True:
        when, pixel, rises = np.empty(room, np.int32), np.empty(room, np.int32), np.empty(room, np.uint8)
        out = _Found(when.ctypes.data, pixel.ctypes.data, rises.ctypes.data, room)
        addresses = (picture.ctypes.data, scratch.ctypes.data, silent.ctypes.data)
        count = compiled.leanspike_film(ctypes.byref(camera), *addresses, ctypes.byref(out))
        if count >= 0:
            return when[:count], pixel[:count], rises[:count]
        room *= 4
