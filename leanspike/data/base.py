"""Data sets in memory, and honest splits of them.

A :class:`Dataset` holds everything. What chooses epochs, checkpoints or hyperparameters is given only
``dataset.training_only()``, a value from which the test arrays cannot be reached; the final evaluation alone
calls ``dataset.test()``.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from leanspike.core import rng
from leanspike.core.errors import DataError
from leanspike.core.records import require

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]
Kind = Literal["image", "series", "vector", "events"]

IN_MEMORY = 256 << 20
"""Bytes up to which a part of a set on disk is copied into memory."""
_AT_ONCE = 1024
_SPLIT = 0x51117  # the label under which a split's seed is derived


@dataclass(frozen=True, eq=False)
class Split:
    """Samples of one set.

    Attributes:
        x: ``[N, *shape]``, uint8 (255 stands for 1) or float32 in [0, 1].
        y: ``[N]`` int64 classes, 0..K-1; or ``[N, T]``, a class a step, -1 where a step has none.
        numbers: ``[N]`` int64, each sample's index in its set (training or test): the rate encoder's stream number.
    """

    x: Array
    y: Labels
    numbers: Labels

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The training half of a data set and nothing else; see :class:`Dataset` for the attributes."""

    name: str
    x: Array
    y: Labels
    classes: tuple[str, ...]
    kind: Kind
    licence: str
    source: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x.shape[1:])


@dataclass(frozen=True, eq=False)
class Dataset:
    """A labelled data set with its own test set, whole in memory.

    Attributes:
        name: what it was loaded as.
        x_train, x_test: ``[N, *shape]``, uint8 (255 stands for 1) or float32 in [0, 1]; ``shape`` is ``(C, H, W)``
            for images, ``(channels, length)`` for series, ``(F,)`` for vectors, ``(frames, polarities, H, W)`` for
            events.
        y_train, y_test: ``[N]`` int64, 0..K-1; or ``[N, T]`` of series and events of T steps: a class a step, -1 where
            a step has none.
        classes: the K names of the classes, by label.
        kind: ``"image"``, ``"series"``, ``"vector"`` or ``"events"``.
        licence, source: as far as known, in words; ``source`` also says what is missing or how it was split.

    Raises:
        DataError: the arrays do not belong together.
    """

    name: str
    x_train: Array
    y_train: Labels
    x_test: Array
    y_test: Labels
    classes: tuple[str, ...]
    kind: Kind
    licence: str
    source: str

    def __post_init__(self) -> None:
        rank = {"image": 4, "series": 3, "vector": 2, "events": 5}[self.kind]
        for part, x, y in (("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)):
            if x.ndim != rank or x.shape[1:] != self.shape or x.dtype not in (np.uint8, np.float32):
                raise DataError(f"x_{part} is {x.dtype} {x.shape}, not {self.kind} samples", where=self.name)
            if len(x) != len(y) or y.dtype != np.int64:
                raise DataError(f"x_{part} has {len(x)} samples, y_{part} {len(y)} {y.dtype} labels", where=self.name)
            least = self._least_label(part, y)
            if len(y) == 0 or y.min() < least or y.max() >= len(self.classes):
                raise DataError(f"y_{part} is empty or outside {least}..{len(self.classes) - 1}", where=self.name)

    def _least_label(self, part: str, y: Labels) -> int:
        """0, or -1 where steps have labels of their own."""
        if y.ndim == 1:
            return 0
        steps = {"series": self.shape[-1], "events": self.shape[0]}.get(self.kind)
        if y.ndim != 2 or y.shape[1] != steps or (y < 0).all(1).any():
            what = f"y_{part} of shape {list(y.shape)}: a class a step, at least one of them known"
            raise DataError(what, where=self.name, remedy=f"[N], or [N, {steps or 'T, for series and events alone'}]")
        return -1

    @property
    def per_step(self) -> bool:
        """Whether steps have labels of their own."""
        return self.y_train.ndim == 2

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.x_train.shape[1:])

    def training_only(self) -> TrainingData:
        """The training arrays alone, each owning its memory, so that no reference leads to the test set."""
        x, y = _owned(self.x_train), _owned(self.y_train)
        return TrainingData(self.name, x, y, self.classes, self.kind, self.licence, self.source)

    def test(self) -> Split:
        """The test set. Only the final evaluation calls this, once."""
        return Split(self.x_test, self.y_test, np.arange(len(self.y_test)))


def split(data: Dataset | TrainingData, validation: float, seed: int) -> tuple[Split, Split]:
    """Split the *training* set into training and validation samples, stratified by class; see :func:`held_out`.

    Args:
        validation: fraction of the training set that validates, 0 <= validation < 1; 0 gives an empty split.
        seed: any integer; the same seed gives the same split on every machine.

    Raises:
        ConfigError: ``validation`` is out of range.
        DataError: no class has two samples, so that none can be held out.
    """
    require(0.0 <= validation < 1.0, "train.validation", validation, "a fraction from 0 up to, not including, 1")
    known = data.training_only() if isinstance(data, Dataset) else data
    held = held_out(known.y, validation, seed)
    if validation > 0 and not held.any():
        raise DataError("no class has two samples, so none can validate", where=known.name, remedy="add samples")
    kept, numbers = np.flatnonzero(~held), np.flatnonzero(held)
    return Split(_rows(known.x, kept), known.y[kept], kept), Split(_rows(known.x, numbers), known.y[numbers], numbers)


def held_out(y: Labels, fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Which samples a seeded, stratified split holds out.

    Samples whose steps have labels of their own count as one class.

    Of a class with n samples, ``floor(n * fraction + 1/2)`` are held out, at least 1 and at most n - 1 (none for
    fraction 0); they are those with the smallest ``mix(derive(seed) + i * golden)``, a bijective hash of the index i.

    Returns:
        ``[N]`` bool.
    """
    held = np.zeros(len(y), dtype=bool)
    if fraction == 0:
        return held
    start = np.uint32(rng.derive(seed, _SPLIT))
    hashes = rng.mix(start + np.arange(len(y), dtype=np.uint32) * np.uint32(rng.GOLDEN))
    kinds = y if y.ndim == 1 else np.zeros(len(y), dtype=np.int64)
    for label in np.unique(kinds):
        members = np.flatnonzero(kinds == label)
        count = min(max(1, int(len(members) * fraction + 0.5)), len(members) - 1)
        held[members[np.argsort(hashes[members])[:count]]] = True
    return held


def whole_samples(data: Dataset) -> Dataset:
    """The data set, if each of its samples has one label.

    Raises:
        DataError: its steps have labels of their own.
    """
    if data.per_step:
        what = "its labels are those of single steps, and this needs one a sample"
        raise DataError(what, where=data.name, remedy="train, lower, check, measure and run take labels a step")
    return data


def as_unit(x: Array) -> npt.NDArray[np.float32]:
    """Samples as float32 in [0, 1]: uint8 divided by 255, float32 as it is."""
    return x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else np.asarray(x, dtype=np.float32)


def _owned(array: Array) -> Array:
    # A map of a file leads to that file alone, which holds one part of the set.
    return array if array.base is None or isinstance(array, np.memmap) else array.copy()


def _rows(x: Array, chosen: Labels) -> Array:
    """Some samples: in memory, or where a file holds ``x`` and they are many, in a file that is gone with the array."""
    size = len(chosen) * math.prod(x.shape[1:]) * x.itemsize
    if not isinstance(x, np.memmap) or size <= IN_MEMORY:
        return np.asarray(x)[chosen]
    with tempfile.TemporaryFile(dir=Path(str(x.filename)).parent) as file:
        rows = np.memmap(file, x.dtype, "w+", shape=(len(chosen), *x.shape[1:]))
    for start in range(0, len(chosen), _AT_ONCE):
        rows[start : start + _AT_ONCE] = x[chosen[start : start + _AT_ONCE]]
    return rows
