"""The image sets known by name: digits, MNIST, Fashion-MNIST, CIFAR-10."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path

import numpy as np

from leanspike.core.errors import DataError
from leanspike.data import fetch, idx
from leanspike.data.base import Array, Dataset, Labels, held_out
from leanspike.data.known import CIFAR_ARCHIVE, TEST_X, TEST_Y, TRAIN_X, TRAIN_Y
from leanspike.data.remote import KnownSet

DIGITS_TEST = 0.2
DIGITS_SEED = 0
_BATCH = 10_000
_RECORD = 1 + 3 * 32 * 32


def load_known(known: KnownSet) -> Dataset:
    """Load a set of the table: found, verified and, if need be, fetched.

    Raises:
        DataError: a file is missing and cannot be fetched, or is damaged.
    """
    if not known.forms:
        return digits(known)
    form = fetch.present_form(known) or known.forms[0]
    paths = fetch.obtain(known, form)
    if CIFAR_ARCHIVE in paths:
        x_train, y_train, x_test, y_test = read_cifar_archive(paths[CIFAR_ARCHIVE])
    elif "test_batch.webp" in paths:
        x_train, y_train = _read_sheet(paths["data_batch_1.webp"], paths["data_batch_1_labels.npy"])
        x_test, y_test = _read_sheet(paths["test_batch.webp"], paths["test_batch_labels.npy"])
    else:
        x_train, y_train = idx.read_pair(paths[TRAIN_X], paths[TRAIN_Y])
        x_test, y_test = idx.read_pair(paths[TEST_X], paths[TEST_Y])
    source = f"{known.citation}; {form.note}" if form.note else known.citation
    return Dataset(known.name, x_train, y_train, x_test, y_test, known.classes, "image", known.licence, source)


def digits(known: KnownSet) -> Dataset:
    """scikit-learn's 1,797 handwritten digits, 8x8, 0..16 scaled to [0, 1] by 1/16 (exact in float32).

    The package has no test set of its own: a fifth of every class, 359 samples, is held out by
    :func:`leanspike.data.base.held_out` with seed 0, the same on every machine; 1,438 are for training.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x, y = (images / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int64)
    held = held_out(y, DIGITS_TEST, DIGITS_SEED)
    source = f"{known.citation}; test set: a stratified fifth, seed {DIGITS_SEED}"
    return Dataset(known.name, x[~held], y[~held], x[held], y[held], known.classes, "image", known.licence, source)


def read_cifar_archive(path: Path) -> tuple[Array, Labels, Array, Labels]:
    """The five training batches and the test batch of ``cifar-10-binary.tar.gz``.

    Returns:
        ``[50000, 3, 32, 32]`` uint8, ``[50000]`` int64, ``[10000, 3, 32, 32]`` uint8, ``[10000]`` int64.

    Raises:
        DataError: damaged, or a batch is missing or has another length than 10,000 records.
    """
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    remedy = "delete it and run: leanspike data fetch cifar10"
    try:
        with tarfile.open(path, "r:gz") as archive:
            found = {
                Path(m.name).name: archive.extractfile(m) for m in archive if m.isfile() and m.name.endswith(".bin")
            }
            contents = {name: stream.read() for name, stream in found.items() if stream is not None and name in names}
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"is a damaged archive ({error})", where=path, remedy=remedy) from error
    for name in names:
        if len(contents.get(name, b"")) != _BATCH * _RECORD:
            what = f"{name} is missing or has {len(contents.get(name, b'')):,} bytes, not {_BATCH * _RECORD:,}"
            raise DataError(what, where=path, remedy=remedy)
    records = np.frombuffer(b"".join(contents[name] for name in names), np.uint8).reshape(-1, _RECORD)
    x, y = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)
    train = 5 * _BATCH
    return x[:train].copy(), y[:train].copy(), x[train:].copy(), y[train:].copy()


def _read_sheet(sheet: Path, labels: Path) -> tuple[Array, Labels]:
    """One batch as a lossless picture: 100 x 100 tiles of 32 x 32, row by row; labels as uint8 .npy."""
    from PIL import Image

    with Image.open(sheet) as picture:
        tiles = np.asarray(picture.convert("RGB")).reshape(100, 32, 100, 32, 3)
    x = np.ascontiguousarray(tiles.transpose(0, 2, 4, 1, 3).reshape(_BATCH, 3, 32, 32))
    return x, np.load(labels, allow_pickle=False).astype(np.int64)
