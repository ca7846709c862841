"""The known event sets, read from files of their format and layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from event_writers import nmnist
from loopback import Server
from set_writers import FILES, MADE, cut, digits, gestures, here, zipped

from leanspike.core.errors import DataError
from leanspike.data import fetch, known_events, recordings
from leanspike.data.events import read
from leanspike.data.events.prepare import Preparation, framed, placed
from leanspike.data.known import find
from leanspike.data.recordings import gesture, heidelberg, sets


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
