"""The idx reader: exact on real files, one clear line on every kind of damage."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from leanspike.core.errors import DataError
from leanspike.data import idx, load

LABELS = "t10k-labels-idx1-ubyte.gz"


@pytest.fixture
def plain(real_data: Path) -> bytes:
    """The unpacked bytes of the 10,000 real test labels."""
    return gzip.decompress((real_data / "mnist" / LABELS).read_bytes())


def test_gzipped_and_plain_read_alike(real_data: Path, tmp_path: Path, plain: bytes) -> None:
    (tmp_path / "plain").write_bytes(plain)
    labels = idx.read(real_data / "mnist" / LABELS, 1)
    np.testing.assert_array_equal(labels, idx.read(tmp_path / "plain", 1))
    assert labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]


def test_truncated_gzip(real_data: Path, tmp_path: Path) -> None:
    path = tmp_path / LABELS
    path.write_bytes((real_data / "mnist" / LABELS).read_bytes()[:3000])
    with pytest.raises(DataError, match=r"is a truncated gzip file \(3,000 bytes\)"):
        idx.read(path, 1)


def test_bit_flip_inside_gzip(real_data: Path, tmp_path: Path) -> None:
    content = bytearray((real_data / "mnist" / LABELS).read_bytes())
    content[2000] ^= 4
    (tmp_path / LABELS).write_bytes(content)
    with pytest.raises(DataError, match=r"damaged gzip|truncated gzip|says 10000"):
        idx.read(tmp_path / LABELS, 1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x00\x00\x08\x01\xff\xff\xff\xffab", "says 4294967295 = 4,294,967,295 bytes but holds 2"),
        (b"\x00\x00\x08\x03" + bytes(20), "is not an idx1 file of unsigned bytes: it starts 00000803, not 00000801"),
        (b"\x00\x00\x0d\x01" + bytes(20), "it starts 00000d01"),
        (b"\x89PNG\r\n", "it starts 89504e47"),
        (b"", "it starts , not 00000801"),
        (b"\x00\x00\x08\x01\x00\x00", "ends inside its header, after 6 bytes"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abcd", "says 5 = 5 bytes but holds 4"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abcdef", "says 5 = 5 bytes but holds 6"),
    ],
)
def test_not_what_the_header_says(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "labels"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        idx.read(path, 1)
    assert str(path) in caught.value.line()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        idx.read(tmp_path / "none", 1)


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes((0, 0, 8, values.ndim)) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def test_more_images_than_labels(tmp_path: Path) -> None:
    write_idx(tmp_path / "images", np.zeros((3, 2, 2)))
    write_idx(tmp_path / "labels", np.zeros(2))
    with pytest.raises(DataError, match="holds 3 images but labels holds 2 labels"):
        idx.read_pair(tmp_path / "images", tmp_path / "labels")


@pytest.mark.usefixtures("real_data")
def test_a_folder_of_idx_files_is_a_users_own_set(tmp_path: Path) -> None:
    whole = load("mnist")
    for name, values in zip(
        idx.NAMES, (whole.x_train[:300, 0], whole.y_train[:300], whole.x_test[:100, 0], whole.y_test[:100]), strict=True
    ):
        write_idx(tmp_path / name, values)
    dataset = load(str(tmp_path))
    np.testing.assert_array_equal(dataset.x_train, whole.x_train[:300])
    np.testing.assert_array_equal(dataset.y_test, whole.y_test[:100])
    (tmp_path / idx.NAMES[3]).unlink()
    with pytest.raises(DataError, match=rf"{idx.NAMES[3]} \(or \.gz\) is missing"):
        load(str(tmp_path))
