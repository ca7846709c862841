"""Sets of recordings: every loader on files of its format and layout, names with settings, and the cache on disk."""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from event_writers import WRITERS, aedat2, aedat3, dat, nmnist, npy, recording
from loopback import Server

from leanspike import data
from leanspike.cli import data as cli
from leanspike.core.errors import ConfigError, DataError, OutputError
from leanspike.core.files import write_bytes
from leanspike.data import base, fetch, known_events, recordings
from leanspike.data.events import Events, read
from leanspike.data.events.prepare import Preparation, framed, placed
from leanspike.data.known import find
from leanspike.data.recordings import generated, gesture, heidelberg, sets, store
from leanspike.data.remote import Form, KnownSet

MADE = {number: recording(120, seed=number) for number in range(30)}


def call(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    cli.register(parser.add_subparsers(required=True))
    args = parser.parse_args(["data", *argv])
    code: int = args.run(args)
    return code


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


@pytest.mark.usefixtures("nothing_here")
@pytest.mark.parametrize("case", FILES)
def test_every_set_is_read_from_files_of_its_layout(case: str, server: Server) -> None:
    form, write, train, test = FILES[case]
    name = case.split()[0]
    known = here(name, form, write(), server)
    found = recordings.load_known(known, name)
    assert (found.kind, found.name) == ("events", name)
    assert (found.y_train.tolist(), found.y_test.tolist()) == (train, test)
    assert found.shape == known.shape == find(name).shape
    assert found.x_train.any(axis=(1, 2, 3, 4)).all()
    assert len(server.requests) == len(known.forms[0].files)
    again = recordings.load_known(known, name)
    np.testing.assert_array_equal(again.x_train, found.x_train)


@pytest.mark.usefixtures("nothing_here")
def test_a_set_is_its_recordings_as_frames(server: Server) -> None:
    form, write, _, _ = FILES["n-mnist"]
    known = here("n-mnist", form, write(), server)
    found = recordings.load_known(known, "n-mnist:frames=4,frame_us=3000")
    for row, number in zip(found.x_train, (1, 2, 3, 4, 5, 6), strict=True):
        expected = framed(placed(MADE[number], (34, 34)), Preparation(frames=4, frame_us=3000), start=0)
        np.testing.assert_array_equal(row, expected)
    assert "4 frames of 3 ms" in found.source


@pytest.mark.usefixtures("nothing_here")
def test_times_and_channels_of_heidelbergs_spikes(server: Server) -> None:
    form, write, _, _ = FILES["shd"]
    found = recordings.load_known(here("shd", form, write(), server), "shd:frames=5,frame_us=4000,polarities=1")
    t = (MADE[2].t / 1e6).astype(np.float16).astype(np.float64)
    expected = np.zeros((5, 700), dtype=bool)
    for at, x in zip(np.round(t * 1e6).astype(int) // 4000, MADE[2].x, strict=True):
        if at < 5:
            expected[at, x] = True
    np.testing.assert_array_equal(found.x_train[1, :, 0, 0] > 0, expected)


def test_a_cut_gesture_has_times_of_milliseconds() -> None:
    events = gesture._columns(cut(MADE[1]), "0.npy")
    np.testing.assert_array_equal(events.t, MADE[1].t // 1000 * 1000)
    np.testing.assert_array_equal(events.x, MADE[1].x)


@pytest.mark.usefixtures("nothing_here")
def test_a_download_that_broke_off_is_taken_up_again(server: Server) -> None:
    form, write, train, _ = FILES["n-mnist"]
    known, server.cut = here("n-mnist", form, write(), server), 1000
    with pytest.raises(DataError, match="the connection ended after 1,000 of"):
        recordings.load_known(known, "n-mnist")
    server.cut = None
    assert recordings.load_known(known, "n-mnist").y_train.tolist() == train
    assert ("/Train.zip", "bytes=1000-") in server.requests


DAMAGED = {
    "a recording": ("n-mnist", {"Train.zip": zipped({"Train/1/00001.bin": nmnist(MADE[1])[:-1]}), "Test.zip": b""},
                    r"Train/1/00001.bin: is damaged at byte"),
    "an archive": ("n-mnist", {"Train.zip": zipped(digits("Train"))[:-30], "Test.zip": b""}, "damaged archive"),
    "nothing": ("n-mnist", {"Train.zip": zipped({"a": b""}), "Test.zip": zipped({"a": b""})}, "holds no Train/LABEL"),
    "a gzip": ("dvs128-gesture", {"ibmGestureTrain.tar.gz": gestures("Train")[:-90], "ibmGestureTest.tar.gz": b""},
               "damaged archive"),
    "no class": ("n-cars", {"Prophesee_Dataset_n_cars.zip": zipped({"train/bus/a.dat": b""})}, "holds a folder bus"),
    "no spikes": ("shd", {"shd_train.h5.zip": zipped({"shd_train.h5": b"nothing"}), "shd_test.h5.zip": b""},
                  "no file of spikes"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_damaged_is_told_and_leaves_no_cache(case: str, server: Server, nothing_here: Path) -> None:
    name, files, told = DAMAGED[case]
    with pytest.raises(DataError, match=told):
        recordings.load_known(here(name, 0, files, server), name)
    assert not list((nothing_here / "prepared").glob("*/facts.json"))
    assert not [path for path in nothing_here.iterdir() if path.name.startswith("tmp")]


def folder(root: Path, suffixes: tuple[str, ...] = (".bin", ".npy", ".es", ".dat")) -> Path:
    writers = {suffix: write for suffix, write in WRITERS.values() if suffix in suffixes}
    for label, name in enumerate(("cup", "mouse")):
        (root / name).mkdir(parents=True)
        for n in range(6):
            suffix = suffixes[n % len(suffixes)]
            (root / name / f"{n}{suffix}").write_bytes(writers[suffix](MADE[10 * label + n]))
    (root / "cup" / ".hidden.bin").write_bytes(b"")
    (root / "cup" / "notes.txt").write_bytes(b"")
    return root


@pytest.mark.usefixtures("nothing_here")
def test_a_folder_of_ones_own_recordings_is_a_data_set(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine")
    found = data.load(f"{root}:frames=4,pool=2")
    assert (found.classes, found.shape) == (("cup", "mouse"), (4, 2, 12, 16))
    assert (len(found.y_train), len(found.y_test)) == (10, 2)
    held = base.held_out(np.repeat(np.arange(2), 6), 0.2, 0)
    first = framed(MADE[np.flatnonzero(~held)[0]], Preparation(frames=4, pool=2))
    np.testing.assert_array_equal(found.x_train[0], first)
    assert data.load(str(root)).shape == (10, 2, 24, 32)


@pytest.mark.usefixtures("nothing_here")
def test_a_changed_recording_is_prepared_anew(tmp_path: Path) -> None:
    root = folder(tmp_path / "mine")
    before = data.load(str(root))
    changed = next(path for path in (root / "mouse").iterdir() if path.suffix == ".npy")
    changed.write_bytes(npy(MADE[29]))
    after = data.load(str(root))
    assert sum(not np.array_equal(a, b) for a, b in zip(before.x_train, after.x_train, strict=True)) <= 1
    assert not np.array_equal(np.array(before.x_train), np.array(after.x_train)) or not np.array_equal(
        np.array(before.x_test), np.array(after.x_test)
    )


@pytest.mark.usefixtures("nothing_here")
def test_a_folder_with_its_own_test_set(tmp_path: Path) -> None:
    folder(tmp_path / "set" / "train")
    with pytest.raises(DataError, match="has train/ but no test/"):
        data.load(str(tmp_path / "set"))
    folder(tmp_path / "set" / "test")
    found = data.load(str(tmp_path / "set"))
    assert (len(found.y_train), len(found.y_test)) == (12, 12)
    (tmp_path / "set" / "test" / "mouse").rename(tmp_path / "set" / "test" / "rat")
    with pytest.raises(DataError, match="test class rat does not occur"):
        data.load(str(tmp_path / "set"))


def test_a_damaged_recording_of_ones_own_is_named(tmp_path: Path, nothing_here: Path) -> None:
    root = folder(tmp_path / "mine", (".bin",))
    (root / "cup" / "3.bin").write_bytes(nmnist(MADE[3])[:-2])
    with pytest.raises(DataError, match=r"cup/3.bin: is damaged at byte"):
        data.load(str(root))
    assert not list((nothing_here / "prepared").glob("*/facts.json"))


@pytest.mark.usefixtures("nothing_here")
def test_images_before_the_camera_are_a_data_set(tmp_path: Path) -> None:
    name = "events-of:digits:frames=3,train=60,test=20,margin=2,threshold=0.2"
    found = data.load(name)
    assert (found.shape, found.x_train.shape[0], found.x_test.shape[0]) == ((3, 2, 12, 12), 60, 20)
    assert "simulated camera" in found.source
    assert "60,000" not in found.source
    images = data.load("digits")
    np.testing.assert_array_equal(found.y_train, images.y_train[:60])
    camera = generated.CameraConfig(margin=2, threshold=0.2)
    (events,) = generated.film(generated.grey(images.x_test[4:5]), [generated._TEST_NUMBERS + 4], camera)
    np.testing.assert_array_equal(found.x_test[4], framed(events, Preparation(frames=3), start=0))
    assert not np.array_equal(data.load(f"{name},seed=1").x_train, found.x_train)
    path = tmp_path / "rgb.npz"
    x, y = np.random.default_rng(0).integers(0, 256, (8, 3, 10, 10), dtype=np.uint8), np.arange(8) % 2
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    assert data.load(f"events-of:{path}:frames=2").shape == (2, 2, 16, 16)


def test_names_may_have_settings() -> None:
    assert recordings.split_name("mnist") == ("mnist", {})
    assert recordings.split_name("n-mnist:by=count,frames=4") == ("n-mnist", {"by": "count", "frames": 4})
    assert recordings.split_name("events-of:mnist") == ("events-of:mnist", {})
    assert recordings.split_name("C:/a=b/c") == ("C:/a=b/c", {})
    assert recordings.preparation("n-mnist-small") == Preparation(frames=32, frame_us=10_000)
    assert recordings.preparation("events-of:mnist:frames=4,threshold=1") == Preparation(frames=4)
    assert recordings.preparation("mnist") is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("n-mnist:frmes=4", "did you mean frames"),
        ("n-mnist:frames=0", "frames"),
        ("n-mnist:frames=4,frames=5", "each key once"),
        ("events-of:digits:treshold=1", "unknown configuration key"),
        ("events-of:digits:threshold=0", "threshold"),
        ("events-of:iris", "unknown data set"),
        ("mnist:frames=4", "takes no settings"),
        ("nmnist:frames=4", "did you mean n-mnist"),
    ],
)
def test_names_that_cannot_be_are_told(name: str, told: str) -> None:
    with pytest.raises((ConfigError, DataError), match=told):
        data.load(name)


def tiny() -> recordings.sets.Source:
    rows = [("train" if n % 3 else "test", n % 2, MADE[n]) for n in range(12)]
    return sets.Source("tiny", ("a", "b"), None, {"n": 1}, lambda: iter(rows), "-", "-", len(rows), 0)


def test_the_cache_is_made_once_and_checked(nothing_here: Path) -> None:
    found = store.load(tiny(), Preparation(frames=2), "tiny")
    (folder,) = (nothing_here / "prepared").glob("tiny-*[0-9a-f]")
    assert json.loads((folder / "facts.json").read_text())["size"] == [32, 24]
    broken = dataclasses.replace(tiny(), read=lambda: pytest.fail("read again"))
    np.testing.assert_array_equal(store.load(broken, Preparation(frames=2), "tiny").x_test, found.x_test)
    assert store.load(tiny(), Preparation(frames=3), "tiny").shape[0] == 3
    short = (folder / "x_train.u8").read_bytes()[:-1]
    write_bytes(folder / "x_train.u8", short)
    with pytest.raises(DataError, match=r"is damaged .* remove it"):
        store.load(tiny(), Preparation(frames=2), "tiny")


def test_what_a_killed_preparation_left_is_made_again(nothing_here: Path) -> None:
    expected = store.load(tiny(), Preparation(frames=2), "tiny")
    (folder,) = (nothing_here / "prepared").glob("tiny-*[0-9a-f]")
    part = folder.with_name(folder.name + ".part")
    folder.rename(part)
    (part / "facts.json").unlink()
    np.testing.assert_array_equal(store.load(tiny(), Preparation(frames=2), "tiny").x_train, expected.x_train)
    assert not part.exists()


def test_the_first_so_many_of_each_part(nothing_here: Path) -> None:
    assert nothing_here
    whole = store.load(tiny(), Preparation(frames=2), "tiny")
    few = store.load(tiny(), Preparation(frames=2, train=3, test=2), "tiny")
    np.testing.assert_array_equal(few.x_train, whole.x_train[:3])
    np.testing.assert_array_equal(few.y_test, whole.y_test[:2])


def test_a_large_part_of_a_set_on_disk_stays_on_disk(nothing_here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = store.load(tiny(), Preparation(frames=2), "tiny")
    training = found.training_only()
    assert isinstance(training.x, np.memmap)
    expected, _ = base.split(training, 0.25, 0)
    monkeypatch.setattr(base, "IN_MEMORY", 0)
    monkeypatch.setattr(base, "_AT_ONCE", 3)
    kept, held = base.split(training, 0.25, 0)
    assert isinstance(kept.x, np.memmap)
    np.testing.assert_array_equal(kept.x, expected.x)
    assert len(kept) + len(held) == len(training.y)
    assert not list((nothing_here / "prepared").rglob("tmp*"))


def test_the_table_of_event_sets() -> None:
    for known in known_events.EVENT_SETS:
        how = sets.preparation(known.name)
        assert how is not None
        assert known.shape[0] == how.frames
        for form in known.forms:
            for file in form.files:
                algorithm, _, checksum = file.checksum.partition(":")
                assert len(checksum) == {"md5": 32, "sha256": 64}[algorithm]
    assert heidelberg.CHANNELS == 700
    assert fetch.cache().name == "leanspike"


@pytest.mark.usefixtures("nothing_here")
def test_made_recordings_are_a_data_set_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, out = "events-of:digits:train=40,test=20", tmp_path / "made"
    call("make", name, "--out", str(out), "--json")
    assert json.loads(capsys.readouterr().out) == {"folder": str(out), "recordings": 60}
    made, direct = data.load(f"{out}:frames=5"), data.load(f"{name},frames=5")
    assert made.classes == direct.classes
    order = np.argsort(direct.y_train, kind="stable")
    np.testing.assert_array_equal(made.x_train, direct.x_train[order])
    with pytest.raises(OutputError, match="is there already"):
        call("make", name, "--out", str(out))
    with pytest.raises(DataError, match="events-of:digits"):
        call("make", "digits", "--out", str(tmp_path / "other"))
    with pytest.raises(DataError, match=r"do not fit a \.bin"):
        call("make", f"{name},duration_us=9000000", "--out", str(tmp_path / "other"))
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("real_data")
def test_real_recordings_in_their_sets_layout(real_data: Path, server: Server, tmp_path: Path, monkeypatch) -> None:
    files = real_data / "event-files"
    if not files.is_dir():
        pytest.skip("needs LEANSPIKE_DATA with event-files/")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    car, walk = (files / name for name in ("ncars_obj_004397_td.dat", "dvs128_walking_crlf.aedat"))
    names = [
        f"n-cars_{part}/{kind}/obj_{n}_td.dat"
        for part in ("train", "test")
        for n, kind in enumerate(("cars", "background"))
    ]
    archive = {"Prophesee_Dataset_n_cars.zip": zipped({name: car.read_bytes() for name in names})}
    found = recordings.load_known(here("n-cars", 0, archive, server), "n-cars:frames=1,pool=1")
    events = read(car)
    expected = np.zeros((2, 100, 120), dtype=bool)
    expected[events.p.astype(int), events.y, events.x] = True
    np.testing.assert_array_equal(found.x_train[0, 0] > 0, expected)
    archive = {
        f"{name}.zip": zipped({f"{name}/cifar10_{name}_{n}.aedat": walk.read_bytes() for n in range(2)})
        for name in find("cifar10-dvs").classes
    }
    found = recordings.load_known(here("cifar10-dvs", 0, archive, server), "cifar10-dvs:frames=2")
    np.testing.assert_array_equal(found.x_test[3], framed(read(walk), Preparation(frames=2, pool=2)))
