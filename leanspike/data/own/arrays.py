"""Four arrays become a data set: checked, labels numbered, values scaled.

Scaling, with lowest and highest value of the TRAINING set (test values are clipped):

    x' = (x - min) / (max - min)        0 where max = min

taken over the whole set for images, for each channel of series and for each feature of vectors. Images of
unsigned bytes that use the whole range 0..255 are kept as bytes (255 stands for 1), which is the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError
from leanspike.data.base import Array, Dataset, Kind, Labels

_AXES: dict[Kind, tuple[int, ...]] = {"image": (0, 1, 2, 3), "series": (0, 2), "vector": (0,)}
RANKS = "[N, F] vectors, [N, channels, length] series, [N, H, W] bytes or [N, C, H, W] or [N, H, W, C] images"


def from_arrays(
    x_train: npt.ArrayLike,
    y_train: npt.ArrayLike,
    x_test: npt.ArrayLike,
    y_test: npt.ArrayLike,
    *,
    name: str = "arrays",
    where: object = None,
    licence: str = "not stated",
    source: str = "arrays in memory",
) -> Dataset:
    """Check, number and scale four arrays; see the module's head for the scaling.

    Args:
        x_train, x_test: numbers. Two dimensions are vectors ``[N, F]``; three are images ``[N, H, W]`` if unsigned
            bytes, else series ``[N, channels, length]``; four are images ``[N, C, H, W]``, or ``[N, H, W, C]``
            if only the last dimension is 1 or 3.
        y_train, y_test: ``[N]`` or ``[N, 1]`` numbers or strings; the sorted training labels become 0..K-1.
        where: what an error message names; the data set's name by default.

    Raises:
        DataError: a shape, a type, NaN or infinity, or a label that does not fit.
    """
    where = where or name
    train, test = (_samples(x, f"x_{part}", where) for x, part in ((x_train, "train"), (x_test, "test")))
    kind = _kind(train)
    train, test = _layout(train), _layout(test)
    if train.shape[1:] != test.shape[1:]:
        what = f"a sample of x_train is {train.shape[1:]}, one of x_test {test.shape[1:]}"
        raise DataError(what, where=where, remedy="give both sets the same shape")
    numbers, names = number_labels(_labels(y_train, train, "train", where), _labels(y_test, test, "test", where), where)
    low, high = train.min(_AXES[kind], keepdims=True), train.max(_AXES[kind], keepdims=True)
    if not (kind == "image" and train.dtype == np.uint8 and low.item() == 0 and high.item() == 255):
        train, test = _scaled(train, low, high), _scaled(test, low, high)
    train, test = np.ascontiguousarray(train), np.ascontiguousarray(test.astype(train.dtype, copy=False))
    return Dataset(name, train, numbers[0], test, numbers[1], names, kind, licence, source)


def number_labels(train: Array, test: Array, where: object) -> tuple[tuple[Labels, Labels], tuple[str, ...]]:
    """Labels of any sortable type as 0..K-1 by the sorted training labels, and the names of these.

    Raises:
        DataError: fewer than two classes, or a test label that training does not have.
    """
    classes, y_train = np.unique(train, return_inverse=True)
    if len(classes) < 2:
        what = f"y_train has one class only ({classes[0]!s})"
        raise DataError(what, where=where, remedy="a classifier needs two or more")
    unseen = np.flatnonzero(~np.isin(test, classes))
    if len(unseen):
        what = f"test label {test[unseen[0]]!s} (sample {unseen[0]}) does not occur in training"
        raise DataError(what, where=where, remedy=f"training has {_some(classes)}")
    y_test = np.searchsorted(classes, test)
    return (y_train.astype(np.int64), y_test.astype(np.int64)), tuple(_name(label) for label in classes)


def tidy_labels(texts: list[str]) -> Array:
    """Labels read as text: integers where all are whole numbers (``1.0000e+00`` is 1), floats or else strings."""
    try:
        values = np.array(texts, dtype=np.float64)
    except ValueError:
        return np.array(texts)
    if not np.isfinite(values).all():
        return np.array(texts)
    return values.astype(np.int64) if (values == np.round(values)).all() else values


def _samples(x: npt.ArrayLike, key: str, where: object) -> Array:
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"{key} holds {array.dtype}, not real numbers", where=where, remedy="save it as a numeric array"
        )
    if array.ndim not in (2, 3, 4) or array.size == 0:
        raise DataError(f"{key} has shape {array.shape}", where=where, remedy=f"expected {RANKS}")
    if array.dtype.kind == "f":
        odd = ~np.isfinite(array)
        if odd.any():
            first = tuple(int(i) for i in np.argwhere(odd)[0])
            found = f"{int(odd.sum()):,} NaN or infinite values, the first ({array[first]}) at index {list(first)}"
            raise DataError(f"{key} holds {found}", where=where, remedy="fill in or drop the samples concerned")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _kind(x: Array) -> Kind:
    if x.ndim == 4 or (x.ndim == 3 and x.dtype == np.uint8):
        return "image"
    return "series" if x.ndim == 3 else "vector"


def _layout(x: Array) -> Array:
    if x.ndim == 3 and x.dtype == np.uint8:
        return x[:, None]
    channels_last = x.ndim == 4 and x.shape[3] in (1, 3) and x.shape[1] not in (1, 3)
    return x.transpose(0, 3, 1, 2) if channels_last else x


def _labels(y: npt.ArrayLike, x: Array, part: str, where: object) -> Array:
    labels = np.asarray(y)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (len(x),):
        what = f"y_{part} has shape {labels.shape} for {len(x):,} samples"
        raise DataError(what, where=where, remedy=f"expected ({len(x)},), one label a sample (not one-hot)")
    if labels.dtype.kind not in "biufUS":
        raise DataError(f"y_{part} holds {labels.dtype}", where=where, remedy="labels are numbers or strings")
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        odd = np.flatnonzero(~np.isfinite(labels))
        what = f"y_{part} holds {len(odd):,} NaN or infinite labels, the first at index {odd[0]}"
        raise DataError(what, where=where, remedy="drop the samples concerned")
    return labels


def _scaled(x: Array, low: Array, high: Array) -> npt.NDArray[np.float32]:
    start, span = low.astype(np.float64), high.astype(np.float64) - low.astype(np.float64)
    unit: npt.NDArray[np.float64] = (np.clip(x, low, high) - start) / np.where(span == 0, np.inf, span)
    return unit.astype(np.float32)


def _name(label: Any) -> str:
    if isinstance(label, np.floating) and float(label).is_integer():
        return str(int(label))
    return label.decode(errors="replace") if isinstance(label, bytes) else str(label)


def _some(classes: Array) -> str:
    return ", ".join(_name(label) for label in classes[:8]) + (", ..." if len(classes) > 8 else "")
