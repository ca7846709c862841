"""A set of images before the simulated camera: ``events-of:mnist``, and any other set or path of images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError
from leanspike.core.records import to_dict
from leanspike.data.base import Dataset
from leanspike.data.generated import CameraConfig, film
from leanspike.data.recordings.source import Recording, Source

PREFIX = "events-of:"
VERSION = 1
"""Goes up when the same settings make other events."""
AT_ONCE = 64
_TEST_NUMBERS = 1 << 24
_GREY = np.array([0.299, 0.587, 0.114])


def source(images: Dataset, camera: CameraConfig) -> Source:
    """The recordings of all images; the n-th test image has the number 2^24 + n.

    Raises:
        DataError: these are no images.
    """
    if images.kind != "image":
        raise DataError(f"holds {images.kind} samples, not images", where=images.name, remedy="name a set of images")
    height, width = images.shape[1:]
    return Source(
        name=f"events-of-{images.name}",
        classes=images.classes,
        size=(width + 2 * camera.margin, height + 2 * camera.margin),
        key={"version": VERSION, "images": _hash(images), "camera": to_dict(camera)},
        read=_reader(images, camera),
        licence=images.licence,
        source=f"{images.source}; filmed by leanspike's simulated camera, {camera.motion}, seed {camera.seed}",
        count=len(images.y_train) + len(images.y_test),
        start=0,
    )


def grey(x: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """``[B, C, H, W]`` of one or three channels, as bytes ``[B, H, W]``."""
    values = x[:, 0] if x.shape[1] == 1 else np.tensordot(x, _GREY, axes=(1, 0)) if x.shape[1] == 3 else x.mean(axis=1)
    return np.round(values * (255 if x.dtype == np.float32 else 1)).astype(np.uint8)


def _reader(images: Dataset, camera: CameraConfig) -> Callable[[], Iterator[Recording]]:
    def read() -> Iterator[Recording]:
        parts = (("train", images.x_train, images.y_train, 0), ("test", images.x_test, images.y_test, _TEST_NUMBERS))
        for part, x, y, first in parts:
            for at in range(0, len(y), AT_ONCE):
                labels = y[at : at + AT_ONCE].tolist()
                numbers = range(first + at, first + at + len(labels))
                for label, events in zip(labels, film(grey(x[at : at + AT_ONCE]), numbers, camera), strict=True):
                    yield part, label, events

    return read


def _hash(images: Dataset) -> str:
    found = hashlib.sha256(repr((images.x_train.dtype, images.x_train.shape, images.x_test.shape)).encode())
    for array in (images.x_train, images.y_train, images.x_test, images.y_test):
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
