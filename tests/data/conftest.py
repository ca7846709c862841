"""A loopback server, and data folders of a test's own."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from loopback import Server, serving


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A running server on an empty folder."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "served").mkdir()
    with serving(Server(tmp_path / "served")) as state:
        yield state


@pytest.fixture
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data folder and an empty cache; returns the cache folder of leanspike."""
    monkeypatch.delenv("LEANSPIKE_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "leanspike"


@pytest.fixture
def unpack(real_data: Path, tmp_path: Path) -> Callable[[str, str], Path]:
    """Unpack one set of the real UCR or UEA archive, ``unpack("ucr", "GunPoint")``; returns its folder."""

    def unpacked(archive: str, name: str) -> Path:
        (path,) = (real_data / archive).glob("*.zip")
        with zipfile.ZipFile(path) as opened:
            opened.extractall(tmp_path, [entry for entry in opened.namelist() if entry.startswith(f"{name}/")])
        return tmp_path / name

    return unpacked
