"""The idx format of MNIST (LeCun, Cortes, Burges 1998).

byte 0, 1   zero
byte 2      type of the values: 0x08 for unsigned bytes
byte 3      number of dimensions n
n times     big-endian uint32, the size of a dimension
then        the values, last dimension fastest
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError

U8 = npt.NDArray[np.uint8]
GZIP_MAGIC = b"\x1f\x8b"
NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def read(path: Path, dimensions: int) -> U8:
    """Read an idx file of unsigned bytes, gzipped or plain.

    Args:
        dimensions: 3 for images ``[N, H, W]``, 1 for labels ``[N]``.

    Raises:
        DataError: truncated, not idx, of another type or rank, or shorter or longer than its header says.
    """
    content = _content(path)
    expected = bytes((0, 0, 8, dimensions))
    if content[:4] != expected:
        what = f"is not an idx{dimensions} file of unsigned bytes: it starts {content[:4].hex()}, not {expected.hex()}"
        raise DataError(what, where=path, remedy="check which file this is")
    header = 4 + 4 * dimensions
    if len(content) < header:
        what = f"ends inside its header, after {len(content)} bytes"
        raise DataError(what, where=path, remedy="fetch or copy it again")
    sizes = np.frombuffer(content[4:header], ">u4").tolist()
    if len(content) - header != math.prod(sizes):
        what = f"says {' x '.join(map(str, sizes))} = {math.prod(sizes):,} bytes but holds {len(content) - header:,}"
        raise DataError(what, where=path, remedy="fetch or copy it again")
    return np.frombuffer(content, np.uint8, offset=header).reshape(sizes).copy()


def read_pair(images: Path, labels: Path) -> tuple[U8, npt.NDArray[Any]]:
    """Images ``[N, 1, H, W]`` uint8 and labels ``[N]`` int64.

    Raises:
        DataError: as :func:`read`, or there are not as many images as labels.
    """
    x, y = read(images, 3), read(labels, 1)
    if len(x) != len(y):
        what = f"holds {len(x):,} images but {labels.name} holds {len(y):,} labels"
        raise DataError(what, where=images, remedy="take both files from the same set")
    return x[:, None], y.astype(np.int64)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == GZIP_MAGIC else content
    except EOFError as error:
        what = f"is a truncated gzip file ({len(content):,} bytes)"
        raise DataError(what, where=path, remedy="fetch or copy it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"is a damaged gzip file ({error})", where=path, remedy="fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path) from error
