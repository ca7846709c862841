"""Labelled series in pairs of files.

NAME_TRAIN.tsv, NAME_TEST.tsv (or .txt)   UCR archive: a row a series, the label first, then its values,
                                          separated by tabs, commas or spaces (Dau et al. 2018)
NAME_TRAIN.ts, NAME_TEST.ts               UEA archive: header lines with @, then a row a series, its channels
                                          separated by ``:``, values by ``,``, the label last (Bagnall et al. 2018)

Series of a .ts file that says ``@equalLength false`` may differ in length: shorter ones hold their last values up to
the length of the longest of both files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath

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
    source = f"series {halves[0].name} and {halves[1].name}"
    texts = [_text(half) for half in halves]
    return from_texts(texts, halves, name=name, where=path.parent / name, source=source)


def from_texts(
    texts: Sequence[str],
    files: Sequence[PurePath],
    *,
    name: str,
    where: object,
    source: str,
    licence: str = "not stated",
) -> Dataset:
    """The data set of the texts of a pair of files.

    Args:
        texts, files: of the training and the test half; a file's ending says its form, its path stands in errors.

    Raises:
        DataError: as :func:`load`.
    """
    read = _read_ts if files[0].suffix == ".ts" else _read_rows
    halves = [read(file, _lines(file, text)) for file, text in zip(files, texts, strict=True)]
    longest = max(series.shape[1] for rows, _ in halves for series in rows)
    x_train, x_test = (np.stack([_held(series, longest) for series in rows]) for rows, _ in halves)
    if len({series.shape[1] for rows, _ in halves for series in rows}) > 1:
        source += f"; series of different lengths hold their last values up to {longest}"
    train, test = (labels for _, labels in halves)
    labels = tidy_labels(train + test)
    y_train, y_test = labels[: len(train)], labels[len(train) :]
    return from_arrays(x_train, y_train, x_test, y_test, name=name, where=where, source=source, licence=licence)


def _held(series: Array, length: int) -> Array:
    """``[C, L]`` with its last values held up to ``length``."""
    return np.pad(series, ((0, 0), (0, length - series.shape[1])), mode="edge")


def _read_rows(path: PurePath, lines: list[str]) -> tuple[Sequence[Array], list[str]]:
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
    return list(values[:, None, :]), [part[0].strip() for part in parts]


def _read_ts(path: PurePath, lines: list[str]) -> tuple[Sequence[Array], list[str]]:
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
    may_differ = header.get("@equallength", ["true"])[:1] == ["false"]
    for number, one in enumerate(series, 1):
        if len(one) != len(series[0]) or (one.shape != series[0].shape and not may_differ):
            what = f"series {number} is {_size(one)}, series 1 is {_size(series[0])}"
            remedy = "give all the same channels and, unless the header says @equalLength false, the same length"
            raise DataError(what, where=path, remedy=remedy)
    return series, [row[-1].strip() for row in rows]


def _channels(path: PurePath, number: int, texts: list[str]) -> Array:
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


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("is not text", where=path, remedy="expected a text file of numbers") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from error


def _lines(path: PurePath, text: str) -> list[str]:
    kept = [line for line in map(str.strip, text.splitlines()) if line]
    if not kept:
        raise DataError("is empty", where=path, remedy="expected one series a row")
    return kept
