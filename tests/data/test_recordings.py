"""Names with settings, recordings of one's own, images before the camera, and the cache on disk."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from event_writers import WRITERS, nmnist, npy
from set_writers import MADE

from leanspike import data
from leanspike.cli import data as cli
from leanspike.core.errors import ConfigError, DataError, OutputError
from leanspike.core.files import write_bytes
from leanspike.data import base, recordings
from leanspike.data.events.prepare import Preparation, framed
from leanspike.data.recordings import generated, sets, store


def call(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    cli.register(parser.add_subparsers(required=True))
    args = parser.parse_args(["data", *argv])
    code: int = args.run(args)
    return code


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
