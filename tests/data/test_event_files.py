"""Readers of events: what was written comes back, real files are as they are known, and damage is told by its byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import event_writers as writers
import numpy as np
import pytest
from event_mutations import mutated, seeds, tried

from leanspike.core.errors import DataError
from leanspike.data.events import Events, Layout, read

REAL = Path(os.environ.get("LEANSPIKE_DATA", "nowhere")) / "event-files"
EXPECTED = json.loads((REAL / "expected.json").read_text()) if REAL.is_dir() else {}
SIZE = (writers.WIDTH, writers.HEIGHT)


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / f"recording{writers.WRITERS[name][0]}"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", writers.WRITERS)
def test_what_was_written_comes_back(name: str, tmp_path: Path) -> None:
    events = writers.recording()
    found = read(written(tmp_path, name, writers.WRITERS[name][1](events)), Layout(SIZE))
    assert not found.notes
    np.testing.assert_array_equal(found.t, events.t)
    np.testing.assert_array_equal(found.x, events.x)
    if name not in writers.FLAT:
        np.testing.assert_array_equal(found.y, events.y)
        np.testing.assert_array_equal(found.p, events.p)


@pytest.mark.parametrize("name", ["evt2", "evt3", "dat", "es", "aedat2", "davis", "npz"])
def test_a_file_that_names_its_sensor_needs_no_layout(name: str, tmp_path: Path) -> None:
    found = read(written(tmp_path, name, writers.WRITERS[name][1](writers.recording())))
    sizes = {"aedat2": (128, 128), "davis": (346, 260)}
    assert (found.width, found.height) == sizes.get(name, SIZE)


@pytest.mark.parametrize("name", sorted(EXPECTED) or [pytest.param("", marks=pytest.mark.skip("no LEANSPIKE_DATA"))])
def test_real_files_hold_what_they_are_known_to_hold(name: str) -> None:
    found, known = read(REAL / name), EXPECTED[name]
    t, x, y = found.t, found.x.astype(np.int64), found.y.astype(np.int64)
    counted: dict[str, object] = {"n": len(found), "n_on": int(found.p.sum())}
    if len(found):
        counted |= {"t_first": int(t[0]), "t_last": int(t[-1]), "t_min": int(t.min()), "t_max": int(t.max())}
        counted |= {"x_min": x.min(), "x_max": x.max(), "y_min": y.min(), "y_max": y.max()}
        counted |= {"id_min": x.min(), "id_max": x.max(), "sum_id": x.sum(), "payload_bytes": x.sum()}
        counted |= {"sum_t": t.sum(), "sum_t_rel": (t - t[0]).sum(), "sum_x": x.sum(), "sum_y": y.sum()}
    if name.endswith(".mat"):
        assert (len(found), int(found.p.sum())) == (known["n_on"] + known["n_off"], known["n_on"])
        assert found.t[0] == round(known["t_first_s"] * 1e6)
        assert found.t[-1] == round(known["t_last_s"] * 1e6)
        return
    shared = counted.keys() & known.keys()
    assert "n" in shared
    assert {key: int(str(counted[key])) for key in shared} == {key: known[key] for key in shared}


def test_a_header_without_events_is_an_empty_recording() -> None:
    if not EXPECTED:
        pytest.skip("no LEANSPIKE_DATA")
    assert len(read(REAL / "davis346_header_only.aedat")) == 0


def test_the_time_of_evt3_goes_on_where_its_counter_wraps(tmp_path: Path) -> None:
    events = writers.recording(longest=2000)
    base = (1 << 24) - int(events.t[200])
    found = read(written(tmp_path, "evt3", writers.evt3(events, base)))
    np.testing.assert_array_equal(found.t, events.t + base)


CUT = {
    "nmnist": 5, "evt2": 4, "evt3": 2, "dat": 8, "dat1": 8, "es": 5, "aedat2": 8, "davis": 8, "bs1": 5,
}  # fmt: skip


@pytest.mark.parametrize("name", CUT)
def test_a_cut_file_is_refused_with_the_byte_and_its_good_part_can_be_read(name: str, tmp_path: Path) -> None:
    content = writers.WRITERS[name][1](writers.recording())
    path = written(tmp_path, name, content[:-1])
    with pytest.raises(DataError, match=f"damaged at byte {len(content) - CUT[name]:,}: .*partial=True"):
        read(path, Layout(SIZE))
    part = read(path, Layout(SIZE), partial=True)
    assert len(part) == 399
    assert "399 events read" in part.notes[0]


def test_a_cut_packet_of_aedat3_is_told_and_the_packets_before_it_are_read(tmp_path: Path) -> None:
    path = written(tmp_path, "aedat3", writers.aedat3(writers.recording())[:-800])
    with pytest.raises(DataError, match=r"damaged at byte [\d,]+: a packet of 101 events of 8 bytes does not fit"):
        read(path)
    assert len(read(path, partial=True)) == 300


def test_a_cut_aedat4_keeps_the_packets_before_the_cut(tmp_path: Path) -> None:
    source = REAL / "inivation_320x240.aedat4"
    if not source.exists():
        pytest.skip("no LEANSPIKE_DATA")
    path = tmp_path / "cut.aedat4"
    path.write_bytes(source.read_bytes()[:500_000])
    with pytest.raises(DataError, match="damaged at byte 494,090"):
        read(path)
    part, whole = read(path, partial=True), read(source)
    np.testing.assert_array_equal(part.t, whole.t[: len(part)])
    assert 0 < len(part) < len(whole)


def test_events_outside_the_sensor_are_told(tmp_path: Path) -> None:
    events = writers.recording()
    path = written(tmp_path, "dat1", writers.dat1(events))
    with pytest.raises(DataError, match=r"lies outside 16 x 16"):
        read(path, Layout((16, 16)))
    part = read(path, Layout((16, 16)), partial=True)
    assert len(part) == int(((events.x < 16) & (events.y < 16)).sum())


def test_times_that_fall_are_sorted_and_told(tmp_path: Path) -> None:
    content = writers.bs1(writers.recording())
    found = read(written(tmp_path, "bs1", content[-50:] + content[:-50]))
    assert "times fall 1 times: sorted" in found.notes[0]
    assert (np.diff(found.t) >= 0).all()


def test_a_headerless_file_tells_the_size_of_its_addresses_by_its_times(tmp_path: Path) -> None:
    events = writers.recording(99)
    for kind in (">u2", ">u4"):
        records = np.zeros(len(events), dtype=f"{kind},>i4")
        records["f0"], records["f1"] = events.x << 1 | events.p, events.t
        path = tmp_path / "cochlea.aedat"
        path.write_bytes(records.tobytes())
        found = read(path, Layout(tick_us=0.2))
        np.testing.assert_array_equal(found.x, events.x)
        assert found.duration_us == pytest.approx(0.2 * (events.t[-1] - events.t[0]))


@pytest.mark.parametrize(
    ("suffix", "content", "told"),
    [
        (".txt", b"hello", "no known format"),
        (".raw", b"", "is empty"),
        (".es", b"Event Stream\x03\x00\x00\x01" + bytes(10), "version 3.0.0"),
        (".aedat", b"#!AER-DAT2.0\n# AEChip: Cochlea\n", "chip cochlea"),
        (".npy", writers.npy(writers.recording())[:60], "no NumPy file"),
        (".npz", writers.npz(writers.recording())[:-40], "no NumPy file"),
        (".h5", b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5's library gave up"),
        (".mat", b"MATLAB 5.0 MAT-file" + bytes(150), "not read as MATLAB's"),
    ],
)
def test_what_is_no_recording_is_told_in_one_line(suffix: str, content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=told) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "objects.npy"
    np.save(path, np.array([{"t": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="no NumPy file of plain numbers"):
        read(path)


def test_a_recording_holds_its_rules() -> None:
    one = np.zeros(2, dtype=int)
    with pytest.raises(DataError, match="times fall"):
        Events(np.array([1, 0]), one, one, one > 0, 1, 1)
    with pytest.raises(DataError, match="event 0 has x = 3"):
        Events(one, one + 3, one, one > 0, 3, 1)
    events = writers.recording()
    middle = events.between(1000, 2000)
    assert middle.t.min() >= 1000
    assert middle.t.max() < 2000


def test_mutated_files_are_read_or_refused(tmp_path: Path) -> None:
    files = seeds()
    for case in range(1, 500):
        tried(tmp_path / "file", *mutated(np.random.default_rng(case), files, case))
