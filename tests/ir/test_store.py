"""The file form: back as it was, whole or not at all, and nothing but a ProgramError from a damaged or hostile file."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from small_programs import dense, every_operation, with_array, with_input

from leanspike import ir
from leanspike.core.errors import OutputError, ProgramError
from leanspike.ir import store

PROGRAM = every_operation()
ORIGIN = {"dataset": "digits", "config": {"timesteps": 3}, "accuracy": 0.5}


def sealed(text: str, arrays: dict[str, np.ndarray[Any, Any]], told: str = "{}", **other: str) -> bytes:
    """A file of this content with the hash that belongs to it."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0" + arrays[name].tobytes())
    whole = hashlib.sha256(f"{digest.hexdigest()}\n{told}".encode()).hexdigest()
    metadata = {"format": store.FORMAT, "version": "1", "text": text, "origin": told, "sha256": whole, **other}
    return safetensors.numpy.save(arrays, metadata)


def small() -> tuple[str, dict[str, np.ndarray[Any, Any]]]:
    program = dense([[1], [-2]])
    return ir.render(program), {name: found.values for name, found in program.arrays.items()}


def headed(header: object) -> bytes:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(content)) + content


def refused(content: bytes, *words: str) -> None:
    with pytest.raises(ProgramError) as caught:
        store.unpack(content)
    for word in words:
        assert word in caught.value.line()
    assert len(caught.value.line()) < 20_000
    assert caught.value.line().isprintable()


def test_a_file_brings_back_program_and_origin(tmp_path: Path) -> None:
    path = tmp_path / "net.lsp"
    ir.save(PROGRAM, path, ORIGIN)
    assert ir.load_with_origin(path) == (PROGRAM, ORIGIN)
    assert ir.load(path) == PROGRAM
    assert path.read_bytes() == store.pack(PROGRAM, ORIGIN)
    ir.save(PROGRAM, path)
    assert ir.load_with_origin(path)[1] == {}
    assert [found.name for found in tmp_path.iterdir()] == ["net.lsp"]


def test_the_hash_is_of_the_meaning() -> None:
    assert ir.content_hash(PROGRAM) == ir.content_hash(every_operation())
    assert len(ir.content_hash(PROGRAM)) == 64
    others = (
        replace(PROGRAM, name="other"),
        with_array(PROGRAM, "t2", "u3", [[4]]),
        with_array(PROGRAM, "t2", "u4", [[5]]),
        with_input(PROGRAM, encoding=ir.Rate(8, "table")),
    )
    assert len({ir.content_hash(program) for program in (PROGRAM, *others)}) == 5


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    """Whatever save accepts, load accepts."""
    program = with_input(PROGRAM, encoding=ir.Rate(4294967295, "table"))
    program = replace(program, readout=replace(program.readout, exit=ir.Exit((1 << 31) - 1, 3)))
    ir.save(program, tmp_path / "net.lsp")
    assert ir.load(tmp_path / "net.lsp") == program


def test_an_unsound_program_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="steps: 0"):
        ir.save(replace(PROGRAM, steps=0), tmp_path / "net.lsp")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["missing/net.lsp", "file/net.lsp", "folder"])
def test_a_place_that_cannot_be_written_is_refused_and_left_alone(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        ir.save(PROGRAM, tmp_path / place)
    assert (tmp_path / "file").read_text() == "kept"
    assert sorted(found.name for found in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_write_that_fails_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.lsp"
    ir.save(PROGRAM, path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left on device"):
        ir.save(replace(PROGRAM, name="other"), path)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["net.lsp"]


def test_a_file_cut_short_at_any_length_is_refused() -> None:
    content = store.pack(PROGRAM)
    for length in range(len(content)):
        refused(content[:length])


def test_every_flipped_bit_is_refused() -> None:
    """One bit of each byte in turn, and every bit of the first and last: nothing changed passes as it was."""
    content = store.pack(dense([[1], [-2]]), {"dataset": "digits"})
    for place in range(len(content)):
        bits = range(8) if place < 16 or place >= len(content) - 8 else [place % 8]
        for bit in bits:
            flipped = bytearray(content)
            flipped[place] ^= 1 << bit
            refused(bytes(flipped))


def test_bytes_behind_the_end_are_refused() -> None:
    refused(store.pack(PROGRAM) + b"\0")
    refused(store.pack(PROGRAM) * 2)


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\xff" * 64, b"PK\x03\x04" + b"\0" * 100, b"#!/bin/sh\necho\n"])
def test_what_is_no_program_is_refused(content: bytes) -> None:
    refused(content)


def test_other_safetensors_files_are_refused(tmp_path: Path) -> None:
    weights = {"layers.0.weight": np.zeros((3, 2), dtype=np.float32)}
    refused(safetensors.numpy.save(weights), "is not a leanspike program")
    refused(safetensors.numpy.save(weights, {"format": "pt"}), "is not a leanspike program; give a file written by")
    text, arrays = small()
    refused(sealed(text, arrays, version="4"), "has version '4', this leanspike reads 3 and older; lower the run again")
    refused(sealed(text, arrays, version="2"), "its text is not as leanspike writes it")
    path = tmp_path / "net.lsp"
    path.write_bytes(sealed(text, arrays, version="x" * 1000))
    with pytest.raises(ProgramError, match=r"net\.lsp: has version 'x{20}', this"):
        ir.load(path)


def test_what_is_no_file_is_refused_without_being_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ProgramError, match="is no file; give a file written by leanspike lower"):
            ir.load(path)
    with pytest.raises(ProgramError, match=r"nosuch\.lsp: cannot be read \(No such file"):
        ir.load(tmp_path / "nosuch.lsp")
    ir.save(PROGRAM, tmp_path / "net.lsp")
    monkeypatch.setattr(store, "MOST_BYTES", 100)
    with pytest.raises(ProgramError, match="is larger than any program"):
        ir.load(tmp_path / "net.lsp")


def test_a_text_that_render_would_not_write_is_refused() -> None:
    text, arrays = small()
    assert store.unpack(sealed(text, arrays))[0] == dense([[1], [-2]])
    for old, new in (("steps 4", "steps 04"), ("shift=0", "shift=-0"), ("leak=m shift=0", "shift=0 leak=m")):
        refused(sealed(text.replace(old, new), arrays), "its text is not as leanspike writes it")
    refused(sealed(text[:-1], arrays), "its text is not as leanspike writes it")
    refused(sealed(text.replace("weight=w", "weight=w stride=1"), arrays), "line 6: 'stride' is no setting")


def test_an_unsound_program_with_a_right_hash_is_refused() -> None:
    text, arrays = small()
    refused(sealed(text.replace("steps 4", "steps 0"), arrays), "steps: 0 is no number of steps")
    refused(sealed(text.replace("i: i10", "i: i5"), arrays), "i: gives -510 to 255, which i5 does not hold")
    refused(sealed(text, {**arrays, "w": np.array([[1], [-128]], dtype=np.int8)}), "i: gives")


def hostile_texts() -> Iterator[tuple[str, str]]:
    text = small()[0]
    yield "steps", text.replace("steps 4", "steps 9999999999")
    yield "shape", text.replace("u8[2]", "u8[999999999x999999999x999999999]")
    yield "axes", text.replace("i20[1]", "i20[" + "1x" * 100_000 + "1]")
    yield "array", text.replace("i8[2x1]", "i8[999999999x999999999]")
    yield "operations", text.replace("state", "".join(f"r{i}: i10[1] = reshape i\n" for i in range(30_000)) + "state")
    yield "states", text.replace("state v", "".join(f"state z{i} i2[4194304]\n" for i in range(30_000)) + "state v")
    yield "name", text.replace("name dense", "name " + "x" * 900_000)
    yield "number", text.replace("steps 4", "steps " + "9" * 900_000)
    yield "setting", text.replace("shift=0", "shift=" + "=" * 900_000)
    yield "unicode", text.replace("name dense", "name \u0661\u202e\x1b[31m")
    yield "null", text.replace("dense x", "dense \0")
    big = "".join(f"r{i}: u8[4194304] = reshape {f'r{i - 1}' if i else 'x'}\n" for i in range(4000))
    yield "elements", text.replace("u8[2]", "u8[4194304]").replace("i: ", big + "i: ")


@pytest.mark.parametrize("what", [what for what, _ in hostile_texts()])
@pytest.mark.timeout(20)
def test_hostile_sizes_are_refused_quickly(what: str) -> None:
    arrays = small()[1]
    refused(sealed(dict(hostile_texts())[what], arrays))


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 5_000_000) + b" " * 5_000_000,
        headed([]),
        headed({"__metadata__": []}),
        headed({"__metadata__": {"format": 3}}),
        headed(b"[" * 3_000_000),
        headed(b'{"a":' * 500_000),
        headed(b'{"__metadata__": ' + b"9" * 1_000_000 + b"}"),
        headed(b'{"__metadata__": {"format": "leanspike-program", "version": "1", "text": "\\ud800"}}'),
        headed(b"\xff\xfe{}"),
        headed({"__metadata__": {"format": store.FORMAT, "version": "1"}}),
        headed(
            {
                "__metadata__": {"format": store.FORMAT, "version": "1", "text": small()[0]},
                "m": {"dtype": "U16", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 1 << 62]},
                "w": {"dtype": "I8", "shape": [2, 1], "data_offsets": [2, 4]},
            }
        ),
        headed(
            {
                "__metadata__": {"format": store.FORMAT, "version": "1", "text": small()[0]},
                "m": {"dtype": "BF16", "shape": [], "data_offsets": [0, 0]},
            }
        ),
    ],
    ids=range(13),
)
@pytest.mark.timeout(20)
def test_hostile_headers_are_refused_quickly(content: bytes) -> None:
    refused(content)


def test_arrays_that_do_not_fit_are_refused() -> None:
    text, arrays = small()
    refused(sealed(text, {"m": arrays["m"]}), "its text and its arrays do not belong together")
    refused(sealed(text, {**arrays, "z": arrays["m"]}), "do not belong together")
    refused(sealed(text, {**arrays, "w": arrays["w"].astype(np.int16)}), "array w is int16 [2, 1]")
    refused(sealed(text, {**arrays, "w": arrays["w"].T.copy()}), "array w is int8 [1, 2]")
    refused(sealed(text, {**arrays, "w": arrays["w"].astype(np.float32)}), "array w is float32")
    narrow = text.replace("array w i8", "array w i2").replace("i: i10", "i: i11")
    refused(sealed(narrow, {**arrays, "w": np.array([[1], [3]], dtype=np.int8)}), "array w: values from 1 to 3 do not")


@pytest.mark.parametrize("told", ["", "{", "[" * 100_000, "9" * 100_000])
def test_an_origin_that_cannot_be_read_is_refused(told: str) -> None:
    refused(sealed(*small(), told=told), "is damaged: its origin cannot be read")


def test_an_origin_that_is_no_record_tells_nothing() -> None:
    assert store.unpack(sealed(*small(), told="[1, 2]"))[1] == {}
