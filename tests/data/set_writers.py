"""Files of the known event sets, written for tests: every format and layout."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from event_writers import aedat2, aedat3, dat, nmnist, recording
from loopback import Server

from leanspike.data.events import Events
from leanspike.data.known import find
from leanspike.data.remote import Form, KnownSet

MADE = {number: recording(120, seed=number) for number in range(30)}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as file:
        for name, content in files.items():
            told = tarfile.TarInfo(name)
            told.size = len(content)
            file.addfile(told, io.BytesIO(content))
    return out.getvalue()


def spikes(rows: list[tuple[int, Events]]) -> bytes:
    """A file of Heidelberg's, with its lists of half-precision seconds."""
    h5py = pytest.importorskip("h5py")
    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        times = file.create_dataset("spikes/times", (len(rows),), dtype=h5py.vlen_dtype(np.float16))
        units = file.create_dataset("spikes/units", (len(rows),), dtype=h5py.vlen_dtype(np.uint16))
        for i, (_, events) in enumerate(rows):
            times[i], units[i] = (events.t / 1e6).astype(np.float16), events.x
        file["labels"] = np.array([label for label, _ in rows], dtype=np.uint16)
        file["extra/keys"] = [b"zero", b"one"]
    return out.getvalue()


def cut(events: Events) -> bytes:
    """A gesture of the cut form: [N, 4], milliseconds."""
    out = io.BytesIO()
    np.save(out, np.stack([events.x, events.y, events.p, events.t // 1000], axis=1).astype(np.int32))
    return out.getvalue()


def digits(part: str) -> dict[str, bytes]:
    return {f"{part}/{n % 3}/{n:05}.bin": nmnist(MADE[n]) for n in (3, 1, 2, 4, 5, 6)} | {f"{part}/readme.txt": b""}


def gestures(part: str) -> bytes:
    return tarred({f"ibmGesture{part}/user0{n}_led/{n}.npy": cut(MADE[n]) for n in range(3)})


ORIGINAL = tarred(
    {
        "DvsGesture/user01_led.aedat": aedat3(MADE[1]),
        "DvsGesture/user01_led_labels.csv": b"class,startTime_usec,endTime_usec\n2,0,5000\n11,5000,9000\n",
        "DvsGesture/user02_lab.aedat": aedat3(MADE[2]),
        "DvsGesture/user02_lab_labels.csv": b"class,startTime_usec,endTime_usec\n1,1000,9000\n",
        "DvsGesture/trials_to_train.txt": b"user01_led.aedat\n",
        "DvsGesture/trials_to_test.txt": b"user02_lab.aedat\n",
    }
)
CIFAR = {
    f"{name}.zip": zipped({f"{name}/cifar10_{name}_{n}.aedat": aedat2(MADE[n]) for n in range(2 + (name == "cat"))})
    for name in find("cifar10-dvs").classes
}
CALTECH = zipped(
    {
        "archive/Caltech101.zip": zipped(
            {f"Caltech101/{name}/image_{n:04}.bin": nmnist(MADE[n]) for name in ("yin_yang", "ant") for n in range(5)}
        ),
        "archive/Caltech101_annotations.zip": zipped({"ant/annotation_0001.bin.txt": b"0"}),
    }
)
CARS = zipped(
    {
        f"n-cars_{part}.zip": zipped({f"{part}/{kind}/obj_00{n}_td.dat": dat(MADE[n]) for n, kind in enumerate(kinds)})
        for part, kinds in (("train", ("cars", "background", "cars")), ("test", ("background", "cars")))
    }
)
SOUNDS = [(0, MADE[1]), (1, MADE[2]), (1, MADE[3])]
FILES: dict[str, tuple[int, Callable[[], dict[str, bytes]], list[int], list[int]]] = {
    "n-mnist": (
        0, lambda: {"Train.zip": zipped(digits("Train")), "Test.zip": zipped(digits("Test"))},
        [1, 2, 0, 1, 2, 0], [1, 2, 0, 1, 2, 0],
    ),
    "n-mnist-small": (
        0, lambda: {"nmnist_small.zip": zipped(digits("Train") | digits("Test"))},
        [1, 2, 0, 1, 2, 0], [1, 2, 0, 1, 2, 0],
    ),
    "dvs128-gesture": (
        0, lambda: {f"ibmGesture{part}.tar.gz": gestures(part) for part in ("Train", "Test")}, [0, 1, 2], [0, 1, 2]
    ),
    "dvs128-gesture original": (1, lambda: {"DvsGesture.tar.gz": ORIGINAL}, [1, 10], [0]),
    "cifar10-dvs": (0, lambda: CIFAR, [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9], list(range(10))),
    "n-caltech101": (0, lambda: {"N-Caltech101-archive.zip": CALTECH}, [0] * 4 + [1] * 4, [0, 1]),
    "n-cars": (0, lambda: {"Prophesee_Dataset_n_cars.zip": CARS}, [0, 1, 1], [0, 1]),
    "shd": (0, lambda: {f"shd_{p}.h5.zip": zipped({f"shd_{p}.h5": spikes(SOUNDS)}) for p in ("train", "test")},
            [0, 1, 1], [0, 1, 1]),
    "ssc": (0, lambda: {f"ssc_{p}.h5.zip": zipped({f"ssc_{p}.h5": spikes(SOUNDS)}) for p in ("train", "valid", "test")},
            [0, 1, 1] * 2, [0, 1, 1]),
}  # fmt: skip


def here(name: str, form: int, files: dict[str, bytes], server: Server) -> KnownSet:
    """The known set with files of a test, to be fetched from the loopback."""
    known = find(name)
    assert [file.name for file in known.forms[form].files] == list(files)
    remote = []
    for file in known.forms[form].files:
        (server.folder / file.name).write_bytes(files[file.name])
        checksum = f"md5:{hashlib.md5(files[file.name]).hexdigest()}"
        remote.append(dataclasses.replace(file, checksum=checksum, size=None, addresses=(server.address + file.name,)))
    return dataclasses.replace(known, forms=(Form(tuple(remote), 1, 1),))
