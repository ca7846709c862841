"""Labelled series in pairs of files.

NAME_TRAIN.tsv, NAME_TEST.tsv (or .txt)   UCR archive: a row a series, the label first, then its values,
                                          separated by tabs, commas or spaces (Dau et al. 2018)
NAME_TRAIN.ts, NAME_TEST.ts               UEA archive: header lines with @, then a row a series, its channels
                                          separated by ``:``, values by ``,``, the label last (Bagnall et al. 2018)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data.base import Array, Dataset
from leanspike.data.own.arrays import from_arrays, tidy_labels

ENDINGS = (".tsv", ".txt", ".ts")


def is_half_of_pair(path: Path) -> bool:
    """Whether the name is that of one file of a pair."""
    return path.suffix in ENDINGS and path.stem.endswith(("_TRAIN", "_TEST"))


def pairs_in(folder: Path) -> list[Path]:
    """The training files of a folder, sorted; of a pair in two forms (.ts, .tsv, .txt) the first."""
    found: dict[str, Path] = {}
    for ending in (".ts", ".tsv", ".txt"):
        for path in sorted(folder.glob(f"*_TRAIN{ending}")):
            found.setdefault(path.stem, path)
    return [found[stem] for stem in sorted(found)]


def load(path: Path) -> Dataset:
    """Read a pair by either of its files; series become ``[N, channels, length]``, scaled for each channel.

    Raises:
        DataError: the other half is missing, a row does not parse, or series differ in length or channels.
    """
    name = path.stem.removesuffix("_TRAIN").removesuffix("_TEST")
    halves = [path.with_name(f"{name}_{part}{path.suffix}") for part in ("TRAIN", "TEST")]
    for half in halves:
        if not half.is_file():
            raise DataError("is missing", where=half, remedy=f"put it beside {path.name}")
    read = _read_ts if path.suffix == ".ts" else _read_rows
    (x_train, train), (x_test, test) = (read(half) for half in halves)
    labels = tidy_labels(train + test)
    y_train, y_test = labels[: len(train)], labels[len(train) :]
    source = f"series {halves[0].name} and {halves[1].name}"
    return from_arrays(x_train, y_train, x_test, y_test, name=name, where=path.parent / name, source=source)


def _read_rows(path: Path) -> tuple[Array, list[str]]:
    lines = _lines(path)
    separator = next((mark for mark in "\t," if mark in lines[0]), None)
    parts = [line.split(separator, 1) for line in lines]
    counts = [len(line.split(separator)) for line in lines]
    for row, count in enumerate(counts):
        if count != counts[0] or count < 2:
            what = f"row {row + 1} has {count - 1} values, row 1 has {counts[0] - 1}"
            raise DataError(what, where=path, remedy="expected a label, then equally many values, in every row")
    try:
        values = np.loadtxt([part[1] for part in parts], delimiter=separator, ndmin=2)
    except ValueError as error:
        raise DataError(f"does not parse ({error})", where=path, remedy="values are numbers") from error
    return values[:, None, :], [part[0].strip() for part in parts]


def _read_ts(path: Path) -> tuple[Array, list[str]]:
    lines = _lines(path)
    header = {line.split()[0].lower(): line.split()[1:] for line in lines if line.startswith("@")}
    if "@data" not in header:
        raise DataError("has no @data line", where=path, remedy="expected a .ts file of the UEA archive")
    if header.get("@timestamps", ["false"])[:1] == ["true"]:
        raise DataError("has time stamps, which are not read", where=path, remedy="resample it to equal steps")
    if header.get("@classlabel", ["true"])[:1] != ["true"] or "@targetlabel" in header:
        raise DataError(
            "has no class labels", where=path, remedy="expected @classLabel true and the label last in a row"
        )
    rows = [line.split(":") for line in lines if not line.startswith(("@", "#"))]
    if not rows:
        raise DataError("holds no series", where=path, remedy="expected rows after @data")
    series = [_channels(path, number, row[:-1]) for number, row in enumerate(rows, 1)]
    for number, one in enumerate(series, 1):
        if one.shape != series[0].shape:
            what = f"series {number} is {_size(one)}, series 1 is {_size(series[0])}"
            raise DataError(what, where=path, remedy="only series of equal length are read: cut, pad or resample them")
    return np.stack(series), [row[-1].strip() for row in rows]


def _channels(path: Path, number: int, texts: list[str]) -> Array:
    values = [text.replace("?", "nan").split(",") for text in texts]
    lengths = sorted({len(channel) for channel in values})
    if len(lengths) != 1:
        what = f"series {number} has channels of {' and '.join(map(str, lengths)) or 'no'} values"
        raise DataError(what, where=path, remedy="expected channels of equal length, separated by ':', then the label")
    try:
        return np.array(values, dtype=np.float64)
    except ValueError as error:
        raise DataError(f"series {number} does not parse ({error})", where=path, remedy="values are numbers") from error


def _size(series: Array) -> str:
    return f"{series.shape[0]} x {series.shape[1]}"


def _lines(path: Path) -> list[str]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise DataError("is not text", where=path, remedy="expected a text file of numbers") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from error
    kept = [line for line in lines if line]
    if not kept:
        raise DataError("is empty", where=path, remedy="expected one series a row")
    return kept
