"""Downloads over a real loopback connection: whole, resumed, wrong, offline."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import socket
import threading
from pathlib import Path

import numpy as np
import pytest
from loopback import Server

from leanspike.core.errors import DataError, OutputError
from leanspike.data import fetch, images, load
from leanspike.data.known import Form, KnownSet, RemoteFile, find

CONTENT = np.random.default_rng(1).bytes(300_000)


def remote(server: Server, content: bytes = CONTENT, *addresses: str) -> RemoteFile:
    (server.folder / "file.bin").write_bytes(content)
    checksum = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
    return RemoteFile("file.bin", checksum, len(CONTENT), addresses or (server.address + "file.bin",))


def test_download(server: Server, tmp_path: Path) -> None:
    path = fetch.download(remote(server), tmp_path / "a" / "b")
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["file.bin"]


def test_broken_connection_keeps_what_came_and_the_next_attempt_resumes(server: Server, tmp_path: Path) -> None:
    file, server.cut = remote(server), 100_000
    with pytest.raises(DataError, match=r"the connection ended after 100,000 of 300,000 bytes"):
        fetch.download(file, tmp_path)
    assert not (tmp_path / "file.bin").exists()
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:100_000]
    server.cut = None
    assert fetch.download(file, tmp_path).read_bytes() == CONTENT
    assert server.requests[-1] == ("/file.bin", "bytes=100000-")
    assert not (tmp_path / "file.bin.part").exists()


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    file, server.ranges = remote(server), False
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:5000])
    assert fetch.download(file, tmp_path).read_bytes() == CONTENT


def test_a_whole_part_needs_nothing_more(server: Server, tmp_path: Path) -> None:
    file = remote(server)
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch.download(file, tmp_path).read_bytes() == CONTENT


def test_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    file = remote(server, CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]))
    with pytest.raises(DataError, match=r"its sha256 is [0-9a-f]{64}, expected [0-9a-f]{64}"):
        fetch.download(file, tmp_path)
    assert list(tmp_path.iterdir()) == [server.folder]


def test_second_address_finishes_what_the_first_began(server: Server, tmp_path: Path) -> None:
    file = remote(server, CONTENT, server.address + "missing.bin", server.address + "file.bin")
    assert fetch.download(file, tmp_path).read_bytes() == CONTENT


def test_offline_names_file_address_checksum_and_place(nothing_here: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        known = offline_set(address)
        with pytest.raises(DataError) as caught:
            fetch.obtain(known, known.forms[0])
    line = caught.value.line()
    for part in ("file.bin", address, "sha256 is abc123", str(nothing_here / "offline" / "file.bin")):
        assert part in line
    assert "\n" not in line
    assert list((nothing_here / "offline").iterdir()) == []


def offline_set(address: str) -> KnownSet:
    form = Form((RemoteFile("file.bin", "sha256:abc123", 10, (address,)),), 1, 1)
    return KnownSet("offline", (1,), ("a", "b"), "-", "-", (form,), 1, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_disk_full(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"No space left on device\); free some space or set XDG_CACHE_HOME"):
        fetch.download(remote(server), tmp_path)
    assert not (tmp_path / "file.bin").exists()


def test_cache_that_is_a_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="XDG_CACHE_HOME"):
        fetch.download(remote(server), tmp_path / "taken" / "mnist")


def test_two_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    file, results = remote(server), []
    threads = [threading.Thread(target=lambda: results.append(fetch.download(file, tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes() == CONTENT for path in results] == [True] * 3
    assert len(server.requests) == 1
    assert not (tmp_path / "file.bin.part").exists()


def test_mnist_arrives_in_the_cache_and_loads(real_data: Path, server: Server, nothing_here: Path) -> None:
    shutil.copytree(real_data / "mnist", server.folder, dirs_exist_ok=True)
    known = find("mnist")
    files = tuple(dataclasses.replace(f, addresses=(server.address + f.name,)) for f in known.forms[0].files)
    near = dataclasses.replace(known, forms=(dataclasses.replace(known.forms[0], files=files),))
    dataset = images.load_known(near)
    assert len(server.requests) == 4
    assert sorted(entry.name for entry in (nothing_here / "mnist").iterdir()) == sorted(f.name for f in files)
    server.requests.clear()
    again = load("mnist")
    np.testing.assert_array_equal(again.x_test, dataset.x_test)
    assert server.requests == []
