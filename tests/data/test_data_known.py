"""The sets known by name, on the real files."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest

from leanspike.core.errors import DataError
from leanspike.data import images, load
from leanspike.data.known import KNOWN, find

MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_digits_need_no_files(nothing_here: Path) -> None:
    dataset = load("digits")
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((1438, 1, 8, 8), (359, 1, 8, 8))
    assert dataset.x_train.dtype == np.float32
    assert set(np.unique(dataset.x_train * 16)) == set(range(17))
    assert np.bincount(dataset.y_test).min() >= 35
    assert not nothing_here.exists()
    samples = {row.tobytes() for row in dataset.x_train}
    assert sum(row.tobytes() in samples for row in dataset.x_test) == 0


@pytest.mark.usefixtures("real_data")
def test_mnist_is_mnist() -> None:
    load("mnist")
    start = time.perf_counter()
    dataset = load("mnist")
    assert time.perf_counter() - start < 1.5, "stated: well under 1 s on an idle machine"
    assert (dataset.x_train.shape, dataset.x_train.dtype) == ((60000, 1, 28, 28), np.uint8)
    assert np.bincount(dataset.y_train).tolist() == MNIST_TRAIN
    assert np.bincount(dataset.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert dataset.x_train.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert dataset.x_train.flags.writeable, "torch.from_numpy warns about arrays that are not"


@pytest.mark.usefixtures("real_data")
def test_fashion_mnist() -> None:
    dataset = load("fashion-mnist")
    assert np.bincount(dataset.y_train).tolist() == [6000] * 10
    assert dataset.x_train.mean() / 255 == pytest.approx(0.2860, abs=5e-5)
    assert dataset.classes[9] == "Ankle boot"


def as_batch(x: np.ndarray, y: np.ndarray) -> bytes:
    return np.concatenate([y.astype(np.uint8)[:, None], x.reshape(len(x), -1)], axis=1).tobytes()


@pytest.mark.usefixtures("real_data")
def test_cifar10_sheets_are_the_published_batches_and_say_that_they_are_few() -> None:
    dataset = load("cifar10")
    assert "10,000 of the 50,000" in dataset.source
    assert dataset.x_train.shape == dataset.x_test.shape == (10000, 3, 32, 32)
    first, test = as_batch(dataset.x_train, dataset.y_train), as_batch(dataset.x_test, dataset.y_test)
    assert hashlib.sha1(first).hexdigest() == "aadd24acce27caa71bf4b10992e9e7b2d74c2540"
    assert hashlib.sha1(test).hexdigest() == "67eb016db431130d61cd03c7ad570b013799c88c"


def write_archive(path: Path, members: dict[str, bytes]) -> None:
    with tarfile.open(path, "w:gz", compresslevel=0) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.mark.usefixtures("real_data")
def test_cifar10_archive_gives_the_same_images(tmp_path: Path) -> None:
    sheets = load("cifar10")
    first, test = as_batch(sheets.x_train, sheets.y_train), as_batch(sheets.x_test, sheets.y_test)
    path = tmp_path / "cifar.tar.gz"
    blank = bytes(len(first))
    batches = {"data_batch_1.bin": first, **{f"data_batch_{i}.bin": blank for i in range(2, 6)}, "test_batch.bin": test}
    write_archive(path, batches)
    x_train, y_train, x_test, y_test = images.read_cifar_archive(path)
    path.unlink()
    assert x_train.shape == (50000, 3, 32, 32)
    np.testing.assert_array_equal(x_train[:10000], sheets.x_train)
    np.testing.assert_array_equal(y_train[:10000], sheets.y_train)
    assert not x_train[10000:].any()
    np.testing.assert_array_equal(x_test, sheets.x_test)
    np.testing.assert_array_equal(y_test, sheets.y_test)


def test_cifar10_archive_damaged(tmp_path: Path) -> None:
    path = tmp_path / "cifar.tar.gz"
    write_archive(path, {"data_batch_1.bin": bytes(30_730_000), "data_batch_2.bin": b"short"})
    with pytest.raises(DataError, match=r"data_batch_2\.bin is missing or has 5 bytes, not 30,730,000"):
        images.read_cifar_archive(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match="damaged archive"):
        images.read_cifar_archive(path)


def test_every_known_set_says_what_it_is() -> None:
    for known in KNOWN:
        assert known.licence
        assert known.citation
        fetched = all(file.addresses for form in known.forms[:1] for file in form.files)
        part = known.name in ("n-mnist-small", "eeg-eye-state", "ecg-qtdb")
        assert fetched or part, "a part of a set, or one made by hand, lies at no address"


def test_unknown_name() -> None:
    with pytest.raises(DataError, match=r"mnits: .* did you mean mnist\? known: digits, mnist, fashion-mnist, cifar10"):
        load("mnits")
    with pytest.raises(DataError, match="did you mean fashion-mnist"):
        find("Fashion_MNIST")


def test_data_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEANSPIKE_DATA", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"LEANSPIKE_DATA=.*none: is not a folder"):
        load("mnist")


@pytest.fixture
def own_mnist(real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a copy of the real MNIST that a test may damage."""
    copy = tmp_path / "data" / "mnist"
    copy.mkdir(parents=True)
    for file in (real_data / "mnist").iterdir():
        shutil.copyfile(file, copy / file.name)
    monkeypatch.setenv("LEANSPIKE_DATA", str(copy.parent))
    return copy


def test_truncated_file(own_mnist: Path) -> None:
    path = own_mnist / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:1_000_000])
    with pytest.raises(DataError) as caught:
        load("mnist")
    assert caught.value.line() == (
        f"{path}: is truncated: 1,000,000 of 1,648,877 bytes; delete it and run: leanspike data fetch mnist"
    )


def test_one_flipped_bit(own_mnist: Path) -> None:
    path = own_mnist / "train-labels-idx1-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[20_000] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"its sha256 is [0-9a-f]{64}, expected 3552534a"):
        load("mnist")
