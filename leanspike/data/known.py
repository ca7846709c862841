"""The data sets known by name: one table of files, checksums, addresses, licences and citations."""

from __future__ import annotations

import difflib

from leanspike.core.errors import DataError
from leanspike.data import archive
from leanspike.data.known_events import EVENT_SETS
from leanspike.data.remote import Form, KnownSet, RemoteFile

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
    *EVENT_SETS,
)


def _archived(kind: str, name: str, train: int = 0, test: int = 0, channels: int = 0, length: int = 0) -> KnownSet:
    """A set of an archive; of one whose files were not read here only the name is known."""
    forms = [Form((RemoteFile(f"{name}.zip", "", None, (f"{archive.ADDRESS}{name}.zip",)),), train, test)]
    if train:
        file, sha256, size = archive.SUBSETS[kind]
        forms.append(Form((RemoteFile(file, f"sha256:{sha256}", size),), train, test))
    shape = (channels, length) if train else ()
    citation = archive.CITATIONS[kind]
    return KnownSet(name.lower(), shape, (), archive.LICENCE, citation, tuple(forms), train, test, kind, "archives")


_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
_FSDD_TAG = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
_FSDD_FILES = (
    RemoteFile("free-spoken-digit-dataset-1.0.10.zip", "", None, (_FSDD_TAG,)),
    *_files("c822ce0499f20950663d17c18099fd62503b6420a5e5e7c27bea2037ffc6616b 16157653 fsdd_recordings.zip"),
)
_SPEECH = RemoteFile(
    "speech_commands_v0.02.tar.gz",
    "sha256:af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    None,
    ("https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",),
)
_QTDB = _files(
    """
72d1a10c96f1540880447e07256835d66da419c0b34f3dff495731a7928c5bc7 537262 QTDB_train.mat
916f11e21679a5b61988305bbb7cd1e6df8b34f1ed4a157a7a4e295d400ef232 112720 QTDB_test.mat
"""
)
_EEG = _files("7995d5910a1d23a698a238d86e99328f1a235733a5805b080ae1df0bff6ad000 418002 eeg_eye_state.zip")


def _digits_spoken(name: str, train: int, test: int, note: str) -> KnownSet:
    forms = tuple(Form((file,), train, test, note) for file in _FSDD_FILES)
    citation = "Jackson et al., Free Spoken Digit Dataset, 8 kHz"
    return KnownSet(name, (32, 40), _DIGITS, "CC BY-SA 4.0", citation, forms, train, test, "fsdd", "sounds")


KNOWN += (
    _digits_spoken("fsdd", 2_700, 300, "official split: recordings 0 to 4 of each speaker and digit test"),
    *(_digits_spoken(f"fsdd-without-{who}", 2_500, 500, f"{who} tests, the five others train") for who in _SPEAKERS),
    KnownSet(
        name="speech-commands",
        shape=(32, 50),
        classes=(),
        licence="CC BY 4.0",
        citation="Warden, Speech Commands: a dataset for limited-vocabulary speech recognition, arXiv:1804.03209, 2018",
        forms=(Form((_SPEECH,), 94_824, 11_005, note="v0.02; train is its training and validation lists"),),
        train=94_824,
        test=11_005,
        reader="sounds",
    ),
    KnownSet(
        name="eeg-eye-state",
        shape=(14, 64),
        classes=("open", "closed"),
        licence="CC BY 4.0 (UCI)",
        citation="Roesler, EEG Eye State, UCI 2013",
        forms=(Form(_EEG, 187, 47, note="windows of half a second; the last fifth of the recording tests"),),
        train=187,
        test=47,
        reader="archives",
    ),
    KnownSet(
        name="ecg-qtdb",
        shape=(1301, 4, 1, 1),
        classes=("P", "PQ", "QR", "RS", "ST", "TP"),
        licence="ODC-BY 1.0 (QT Database); the spikes' repository: MIT",
        citation="Laguna et al., QT Database, Computers in Cardiology 1997; spikes: Yin, Corradi, Bohte 2021",
        forms=(Form(_QTDB, 618, 141, note="level crossings of two leads; labels of steps, 8 % have none"),),
        train=618,
        test=141,
        reader="waves",
    ),
    *(_archived(*row) for row in archive.seen()),
)


def find(name: str) -> KnownSet:
    """The known set of that name, or the set of the UCR and UEA archives (in their spelling or in small letters).

    Raises:
        DataError: :func:`unknown`.
    """
    for known in KNOWN:
        if known.name == name:
            return known
    for kind, others in archive.OTHERS.items():
        for other in others.split():
            if name in (other, other.lower()):
                return _archived(kind, other)
    for _, seen, *_ in archive.seen():
        if name == seen:
            return find(seen.lower())
    raise unknown(name)


def is_known(name: str) -> bool:
    """Whether :func:`find` finds it."""
    try:
        find(name)
    except DataError:
        return False
    return True


def unknown(name: str) -> DataError:
    """The error for a name that is in no table; it names the closest and all known ones."""
    others = [other.lower() for kind in archive.OTHERS.values() for other in kind.split()]
    names = [known.name for known in KNOWN]
    close = difflib.get_close_matches(name.lower().replace("_", "-"), names + others, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    told = [known.name for known in KNOWN if known.folder not in archive.SUBSETS]
    remedy = (
        f"{hint}known: {', '.join(told)}, every name of the UCR and UEA archives; or give the path of your own data"
    )
    return DataError("unknown data set, and no file or folder of that name", where=name, remedy=remedy)
