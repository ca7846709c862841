"""The sets of event recordings known by name; shapes are those of the preparation that a name alone stands for.

Checksums other than SHA-256 are those that the usual loaders publish (tonic, spikingjelly).
"""

from __future__ import annotations

from leanspike.data.recordings.gesture import CLASSES as GESTURES
from leanspike.data.remote import Form, KnownSet, RemoteFile

_MENDELEY = "https://data.mendeley.com/public-files/datasets"
_FIGSHARE = "https://figshare.com/ndownloader/files"
_ZENKE = "https://zenkelab.org/datasets"
_PROPHESEE = "http://www.prophesee.ai/resources"
_NMNIST_TRAIN = f"{_MENDELEY}/468j46mzdv/files/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded"
_NMNIST_TEST = f"{_MENDELEY}/468j46mzdv/files/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded"
_CALTECH_WHOLE = f"{_MENDELEY}/cy6cvx3ryv/files/36b5c52a-b49d-4853-addb-a836a8883e49/file_downloaded"
_DIGITS = tuple("0123456789")
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _files(table: str) -> tuple[RemoteFile, ...]:
    """Files from lines of ``MD5 name address``; without an address there is none."""
    rows = [line.split() for line in table.strip().splitlines()]
    return tuple(RemoteFile(name, f"md5:{md5}", None, tuple(address)) for md5, name, *address in rows)


_SMALL_SHA = "sha256:f2a769e8f3fbba4dd37133aff89e36529d3fdeb881e000a6f27f676a6bcc850b"
_SMALL = (RemoteFile("nmnist_small.zip", _SMALL_SHA, 18_274_647),)
_NMNIST = _files(
    f"""
20959b8e626244a1b502305a9e6e2031 Train.zip {_NMNIST_TRAIN}
69ca8762b2fe404d9b9bad1103e97832 Test.zip {_NMNIST_TEST}
"""
)
_GESTURE_CUT = _files(
    f"""
3a8f0d4120a166bac7591f77409cb105 ibmGestureTrain.tar.gz {_FIGSHARE}/38022171
56070e45dadaa85fff82e0fbfbc06de5 ibmGestureTest.tar.gz {_FIGSHARE}/38020584
"""
)
_GESTURE = _files("8a5c71fb11e24e5ca5b11866ca6c00a1 DvsGesture.tar.gz")
_CIFAR_BY_CLASS = _files(
    f"""
0afd5c4bf9ae06af762a77b180354fdd airplane.zip {_FIGSHARE}/7712788
8438dfeba3bc970c94962d995b1b9bdd automobile.zip {_FIGSHARE}/7712791
a9c207c91c55b9dc2002dc21c684d785 bird.zip {_FIGSHARE}/7712794
52c63c677c2b15fa5146a8daf4d56687 cat.zip {_FIGSHARE}/7712812
b6bf21f6c04d21ba4e23fc3e36c8a4a3 deer.zip {_FIGSHARE}/7712815
f379ebdf6703d16e0a690782e62639c3 dog.zip {_FIGSHARE}/7712818
cad6ed91214b1c7388a5f6ee56d08803 frog.zip {_FIGSHARE}/7712842
e7cbbf77bec584ffbf913f00e682782a horse.zip {_FIGSHARE}/7712851
41c7bd7d6b251be82557c6cce9a7d5c9 ship.zip {_FIGSHARE}/7712836
89f3922fd147d9aeff89e76a2b0b70a7 truck.zip {_FIGSHARE}/7712839
"""
)
_CIFAR_WHOLE = _files(f"ce3a4a0682dc0943703bd8f749a7701c CIFAR10DVS.zip {_FIGSHARE}/38023437")
_CALTECH = _files(f"66201824eabb0239c7ab992480b50ba3 N-Caltech101-archive.zip {_CALTECH_WHOLE}")
_CARS = _files(
    f"553ce464d6e5b617b3c21ce27c19368e Prophesee_Dataset_n_cars.zip {_PROPHESEE}/Prophesee_Dataset_n_cars.zip"
)
_SHD = _files(
    f"""
f3252aeb598ac776c1b526422d90eecb shd_train.h5.zip {_ZENKE}/shd_train.h5.zip
1503a5064faa34311c398fb0a1ed0a6f shd_test.h5.zip {_ZENKE}/shd_test.h5.zip
"""
)
_SSC = _files(
    f"""
d102be95e7144fcc0553d1f45ba94170 ssc_train.h5.zip {_ZENKE}/ssc_train.h5.zip
b4eee3516a4a90dd0c71a6ac23a8ae43 ssc_valid.h5.zip {_ZENKE}/ssc_valid.h5.zip
a35ff1e9cffdd02a20eb850c17c37748 ssc_test.h5.zip {_ZENKE}/ssc_test.h5.zip
"""
)
_ORCHARD = "Orchard et al., Converting static image datasets to spiking neuromorphic datasets, 2015"
_CRAMER = "Cramer et al., The Heidelberg spiking data sets, IEEE TNNLS 33, 2022"
_STATED = "CC BY-SA 4.0 as commonly stated by its authors"


def _set(
    name: str,
    shape: tuple[int, ...],
    classes: tuple[str, ...],
    licence: str,
    citation: str,
    counts: tuple[int, int],
    *forms: Form,
) -> KnownSet:
    return KnownSet(name, shape, classes, licence, citation, forms, *counts, reader="recordings")


EVENT_SETS: tuple[KnownSet, ...] = (
    _set(
        *("n-mnist-small", (32, 2, 34, 34), _DIGITS, _STATED, _ORCHARD, (1_000, 100)),
        Form(_SMALL, 1_000, 100, note="the first 1,000 and 100 recordings of N-MNIST"),
    ),
    _set("n-mnist", (10, 2, 34, 34), _DIGITS, _STATED, _ORCHARD, (60_000, 10_000), Form(_NMNIST, 60_000, 10_000)),
    _set(
        *("dvs128-gesture", (20, 2, 32, 32), GESTURES, "CC BY 4.0 (IBM)"),
        *("Amir et al., A low power, fully event-based gesture recognition system, CVPR 2017", (1_077, 264)),
        Form(_GESTURE_CUT, 1_077, 264, note="cut into gestures, times in whole milliseconds"),
        Form(_GESTURE, 1_176, 288, note="whole recordings, cut by their labels"),
    ),
    _set(
        *("cifar10-dvs", (10, 2, 64, 64), _THINGS, "CC BY 4.0 (figshare)"),
        *("Li et al., CIFAR10-DVS: an event-stream dataset for object classification, 2017", (9_000, 1_000)),
        Form(_CIFAR_BY_CLASS, 9_000, 1_000, note="no official split: a stratified tenth tests, seed 0"),
        Form(_CIFAR_WHOLE, 9_000, 1_000, note="AEDAT 4; no official split: a stratified tenth tests, seed 0"),
    ),
    _set(
        *("n-caltech101", (10, 2, 45, 60), (), _STATED, _ORCHARD, (6_967, 1_742)),
        Form(_CALTECH, 6_967, 1_742, note="no official split: about a fifth of every class tests, seed 0"),
    ),
    _set(
        *("n-cars", (10, 2, 50, 60), ("background", "cars"), "research use (Prophesee)"),
        *("Sironi et al., HATS: histograms of averaged time surfaces, CVPR 2018", (15_422, 8_607)),
        Form(_CARS, 15_422, 8_607),
    ),
    _set(
        *("shd", (100, 1, 1, 700), tuple(map(str, range(20))), "CC BY 4.0", _CRAMER, (8_156, 2_264)),
        Form(_SHD, 8_156, 2_264),
    ),
    _set(
        *("ssc", (100, 1, 1, 700), tuple(map(str, range(35))), "CC BY 4.0", _CRAMER, (85_447, 20_382)),
        Form(_SSC, 85_447, 20_382, note="the validation file belongs to the training set"),
    ),
)
