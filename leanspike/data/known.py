"""The data sets known by name: one table of files, checksums, addresses, licences and citations."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from leanspike.core.errors import DataError


@dataclass(frozen=True)
class RemoteFile:
    """One file of a data set.

    Attributes:
        checksum: ``"sha256:<hex>"`` or, where the authors publish only that, ``"sha1:<hex>"``.
        size: bytes, or None where no one publishes it.
        addresses: where it can be fetched, in order of preference; empty if nowhere.
    """

    name: str
    checksum: str
    size: int | None
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """One way in which a data set can lie on disk. ``note`` says what differs from the whole original."""

    files: tuple[RemoteFile, ...]
    train: int
    test: int
    note: str = ""


@dataclass(frozen=True)
class KnownSet:
    """A data set known by name. The first form is the canonical one, which is fetched; no form: embedded."""

    name: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    licence: str
    citation: str
    forms: tuple[Form, ...]
    train: int
    test: int


TRAIN_X, TRAIN_Y = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
TEST_X, TEST_Y = "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"
CIFAR_ARCHIVE = "cifar-10-binary.tar.gz"


def _files(table: str, *bases: str) -> tuple[RemoteFile, ...]:
    """Files from lines of ``SHA-256 size name``, each below every base address."""
    rows = [line.split() for line in table.strip().splitlines()]
    return tuple(
        RemoteFile(name, f"sha256:{sha}", int(size), tuple(b + name for b in bases)) for sha, size, name in rows
    )


_DIGITS = tuple("0123456789")
_MNIST = _files(
    """
440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609 9912422 train-images-idx3-ubyte.gz
3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c 28881 train-labels-idx1-ubyte.gz
8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6 1648877 t10k-images-idx3-ubyte.gz
f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6 4542 t10k-labels-idx1-ubyte.gz
""",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION = _files(
    """
3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84 26421880 train-images-idx3-ubyte.gz
a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845 29515 train-labels-idx1-ubyte.gz
346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073 4422102 t10k-images-idx3-ubyte.gz
67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5 5148 t10k-labels-idx1-ubyte.gz
""",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
_CIFAR_SHA1 = "sha1:fab780a1e191a7eda0f345501ccd62d20f7ed891"
_CIFAR = RemoteFile(CIFAR_ARCHIVE, _CIFAR_SHA1, None, (f"https://www.cs.toronto.edu/~kriz/{CIFAR_ARCHIVE}",))
_CIFAR_SHEETS = _files(
    """
300ffcf194c8f61c75b8c5953a174409b8330fab73d07248898f6ccada5e7cca 17067364 data_batch_1.webp
ea38c21f22083329899457a6a5d4bb6836743cbfa01ee4b534e976b8b16bbb48 10128 data_batch_1_labels.npy
b3c946666f1bd5f3d0836a282e2755dbb4192a4f7382116ee2a4139d456731b7 17098266 test_batch.webp
19004b019bd095265b4ce6637c9ff979c66abcbc8e658a665f791b487cdea5eb 10128 test_batch_labels.npy
"""
)
_NMNIST_SMALL = _files(
    """
f2a769e8f3fbba4dd37133aff89e36529d3fdeb881e000a6f27f676a6bcc850b 18274647 nmnist_small.zip
"""
)
_CIFAR_NOTE = "lossless sheets of batch 1 only: 10,000 of the 50,000 training images, the whole test set"
_CLOTHES = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
_THINGS = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"

KNOWN: tuple[KnownSet, ...] = (
    KnownSet(
        name="digits",
        shape=(1, 8, 8),
        classes=_DIGITS,
        licence="CC BY 4.0 (UCI); shipped with scikit-learn (BSD-3-Clause)",
        citation="Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI 1998",
        forms=(),
        train=1_438,
        test=359,
    ),
    KnownSet(
        name="mnist",
        shape=(1, 28, 28),
        classes=_DIGITS,
        licence="CC BY-SA 3.0 as commonly stated (the files carry no licence text)",
        citation="LeCun, Cortes, Burges, The MNIST database of handwritten digits, 1998",
        forms=(Form(_MNIST, 60_000, 10_000),),
        train=60_000,
        test=10_000,
    ),
    KnownSet(
        name="fashion-mnist",
        shape=(1, 28, 28),
        classes=tuple(_CLOTHES.split(",")),
        licence="MIT (Zalando SE)",
        citation="Xiao, Rasul, Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
        forms=(Form(_FASHION, 60_000, 10_000),),
        train=60_000,
        test=10_000,
    ),
    KnownSet(
        name="cifar10",
        shape=(3, 32, 32),
        classes=tuple(_THINGS.split(",")),
        licence="none stated by the authors (research use, cite)",
        citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        forms=(Form((_CIFAR,), 50_000, 10_000), Form(_CIFAR_SHEETS, 10_000, 10_000, note=_CIFAR_NOTE)),
        train=50_000,
        test=10_000,
    ),
    KnownSet(
        name="n-mnist-small",
        shape=(32, 2, 34, 34),
        classes=_DIGITS,
        licence="CC BY-SA 4.0 as commonly stated by its authors",
        citation="Orchard et al., Converting static image datasets to spiking neuromorphic datasets, 2015",
        forms=(Form(_NMNIST_SMALL, 1_000, 100, note="the first 1,000 and 100 recordings of N-MNIST"),),
        train=1_000,
        test=100,
    ),
)


def find(name: str) -> KnownSet:
    """The known set of that name; :func:`unknown` is raised if there is none."""
    for known in KNOWN:
        if known.name == name:
            return known
    raise unknown(name)


def unknown(name: str) -> DataError:
    """The error for a name that is in no table; it names the closest and all known ones."""
    names = [known.name for known in KNOWN]
    close = difflib.get_close_matches(name.lower().replace("_", "-"), names, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    remedy = f"{hint}known: {', '.join(names)}; or give the path of your own data"
    return DataError("unknown data set, and no file or folder of that name", where=name, remedy=remedy)
