"""The seal of a model file: every damage is seen before a runtime sees the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_networks import mlp
from hypothesis import given, settings
from hypothesis import strategies as st

from leanspike.core.errors import TargetError
from leanspike.targets import seal

PROGRAM = mlp(steps=2)
SEALED = seal.close(b"head " + seal.open_seal("onnx", PROGRAM).encode() + bytes(range(256)))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seal") / "file"


def test_a_whole_file_is_read(path: Path) -> None:
    path.write_bytes(SEALED)
    assert seal.read(path, "onnx", PROGRAM) == SEALED


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_every_change_is_seen(path: Path, data: st.DataObject) -> None:
    changed = bytearray(SEALED)
    at = data.draw(st.integers(0, len(SEALED) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "remove"]))
    if kind == "flip":
        changed[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del changed[at:]
    elif kind == "insert":
        changed[at:at] = data.draw(st.binary(min_size=1, max_size=200))
    else:
        del changed[at : at + data.draw(st.integers(1, 50))]
    path.write_bytes(changed)
    with pytest.raises(TargetError, match="give a file that leanspike emit --target onnx wrote, or emit it anew"):
        seal.read(path, "onnx", PROGRAM)


def test_another_format_version_or_program_is_refused(path: Path) -> None:
    path.write_bytes(SEALED)
    with pytest.raises(TargetError, match="is no tflite model of leanspike"):
        seal.read(path, "tflite", PROGRAM)
    with pytest.raises(TargetError, match="made from another program than mlp"):
        seal.read(path, "onnx", mlp(steps=3))
    path.write_bytes(SEALED.replace(b"leanspike onnx 1 ", b"leanspike onnx 2 "))
    with pytest.raises(TargetError, match="is of version 2, this leanspike reads 1"):
        seal.read(path, "onnx", PROGRAM)


def test_only_one_open_seal_is_closed() -> None:
    for content in (b"", SEALED, 2 * seal.open_seal("onnx", PROGRAM).encode()):
        with pytest.raises(ValueError, match="no open seal"):
            seal.close(content)
