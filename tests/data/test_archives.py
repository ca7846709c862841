"""The UCR and UEA sets by name, and the EEG's windows."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from loopback import Server

from leanspike.core.errors import DataError
from leanspike.data import archive, archives, known, load
from leanspike.data.known import KNOWN, find


@pytest.mark.usefixtures("real_data")
@pytest.mark.parametrize("name", ["ecg200", "GunPoint", "smoothsubspace", "basicmotions", "JapaneseVowels"])
def test_by_name(name: str) -> None:
    dataset, told = load(name), find(name)
    assert (dataset.shape, len(dataset.y_train), len(dataset.y_test)) == (told.shape, told.train, told.test)
    assert dataset.name == name.lower()
    assert "free for research" in dataset.licence


def test_every_name_of_both_archives_is_known() -> None:
    names = [name for _, name, *_ in archive.seen()] + [n for kind in archive.OTHERS.values() for n in kind.split()]
    assert len(set(names)) == len(names) == 128 + 30
    assert sum(known.folder in ("ucr", "uea") for known in KNOWN) == 34
    assert find("beef").forms[0].files[0].addresses == (f"{archive.ADDRESS}Beef.zip",)
    with pytest.raises(DataError, match="did you mean beef"):
        find("beeff")


def test_fetched_from_its_address_and_said_to_be_unverified(
    real_data: Path, server: Server, nothing_here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = (real_data / "ucr").glob("*.zip")
    with zipfile.ZipFile(path) as whole, zipfile.ZipFile(server.folder / "Coffee.zip", "w") as small:
        for part in ("TRAIN", "TEST"):
            small.writestr(f"Coffee_{part}.txt", whole.read(f"Coffee/Coffee_{part}.tsv"))
    monkeypatch.setattr(archive, "ADDRESS", server.address)
    here = known._archived("ucr", "Coffee", 28, 28, 1, 286)
    dataset = archives.load_known(here)
    assert dataset.shape == (1, 286)
    assert "not verified: no checksum is published" in dataset.source
    assert (nothing_here / "ucr" / "Coffee.zip").is_file()


@pytest.mark.usefixtures("nothing_here")
def test_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ADDRESS", "http://127.0.0.1:9/")
    here = known._archived("ucr", "Beef")
    with pytest.raises(DataError, match=r"Beef\.zip: is not here and cannot be fetched .* no checksum is published"):
        archives.load_known(here)


def test_damaged_archive(nothing_here: Path) -> None:
    (nothing_here / "ucr").mkdir(parents=True)
    path = nothing_here / "ucr" / "Beef.zip"
    path.write_bytes(b"PK not a zip")
    with pytest.raises(DataError, match=r"Beef\.zip: is a damaged archive"):
        load("beef")
    with zipfile.ZipFile(path, "w") as empty:
        empty.writestr("readme.txt", "nothing")
    with pytest.raises(DataError, match="holds no beef_TRAIN and _TEST"):
        load("Beef")


@pytest.mark.usefixtures("real_data")
def test_eye_state_is_split_by_time() -> None:
    dataset = load("eeg-eye-state")
    assert (dataset.x_train.shape, dataset.x_test.shape) == ((187, 14, 64), (47, 14, 64))
    assert dataset.classes == ("open", "closed")
    assert np.bincount(dataset.y_test).max() / 47 > 0.8, "one state fills most of the last fifth"
