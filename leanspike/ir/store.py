"""A program as one file, ``.lsp``: safetensors with the text as metadata, a version and a content hash. No pickles.

    metadata   format "leanspike-program", version (of the text), text, origin, sha256
    tensors    the arrays, each in the narrowest integers that hold its type
    origin     what the program was made from, as JSON: for people and tables, no part of its meaning
    sha256     of the text, of every array's name and bytes in the order of the names, and of the origin

A file that was cut short, changed or never was a program is refused before anything is computed from it.
"""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from leanspike.core.errors import ProgramError
from leanspike.core.files import write_bytes
from leanspike.ir.program import Array, Program
from leanspike.ir.text import VERSIONS, Declared, declared, parse, render, version
from leanspike.ir.verify import verify

FORMAT = "leanspike-program"
MOST_BYTES = 1 << 28
_MOST_HEADER = 1 << 22


def content_hash(program: Program) -> str:
    """SHA-256 of what the program means: its text and its arrays; equal programs, equal hash."""
    return _digest(render(program), program.arrays)


def _digest(text: str, arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(name.encode() + b"\0" + np.ascontiguousarray(arrays[name].values).tobytes())
    return digest.hexdigest()


def _file_digest(text: str, arrays: Mapping[str, Array], origin: str) -> str:
    return hashlib.sha256(f"{_digest(text, arrays)}\n{origin}".encode()).hexdigest()


def _origin(told: str) -> dict[str, Any]:
    try:
        origin = json.loads(told)
    except (ValueError, RecursionError) as error:
        raise ProgramError("is damaged: its origin cannot be read") from error
    return origin if isinstance(origin, dict) else {}


def pack(program: Program, origin: Mapping[str, Any] | None = None) -> bytes:
    """The file's bytes; equal programs of equal origin give equal bytes."""
    text, told = render(program), json.dumps(origin or {}, sort_keys=True)
    digest = _file_digest(text, program.arrays, told)
    metadata = {"format": FORMAT, "version": str(version(program)), "text": text, "origin": told, "sha256": digest}
    arrays = {name: np.ascontiguousarray(program.arrays[name].values) for name in sorted(program.arrays)}
    return _ordered(safetensors.numpy.save(arrays, metadata))


def _ordered(content: bytes) -> bytes:
    """The same file with its metadata in order: safetensors writes them in another order every time."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    told = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    told += b" " * (-len(told) % 8)
    return len(told).to_bytes(8, "little") + told + content[end:]


def save(program: Program, path: Path, origin: Mapping[str, Any] | None = None) -> None:
    """Verify the program and write it, whole or not at all.

    Args:
        origin: JSON facts on what it was made from: data set, configuration, accuracy of the float network.

    Raises:
        ProgramError: it breaks a rule. OutputError: disk full or read-only.
    """
    write_bytes(path, pack(verify(program), origin))


def load(path: Path) -> Program:
    """The program of a file; see :func:`load_with_origin`."""
    return load_with_origin(path)[0]


def load_with_origin(path: Path) -> tuple[Program, dict[str, Any]]:
    """Read, check against its hash, and verify; the origin is ``{}`` where the writer told none.

    Raises:
        ProgramError: missing, damaged, foreign, of another version, or not a sound program.
    """
    try:
        found = path.stat()
        if stat.S_ISREG(found.st_mode) and found.st_size <= MOST_BYTES:
            content = path.read_bytes()
        else:
            what = f"is larger than any program, {MOST_BYTES >> 20} MiB" if found.st_size > MOST_BYTES else "is no file"
            raise ProgramError(what, where=path, remedy="give a file written by leanspike lower")
    except OSError as error:
        raise ProgramError(f"cannot be read ({error.strerror})", where=path) from error
    try:
        return unpack(content)
    except ProgramError as error:
        raise ProgramError(error.line(), where=path, remedy=error.remedy or "write it anew") from error


def unpack(content: bytes) -> tuple[Program, dict[str, Any]]:
    """The inverse of :func:`pack`: program and origin.

    Raises:
        ProgramError: anything but the bytes of a sound program.
    """
    metadata = _metadata(content)
    if metadata.get("format") != FORMAT:
        raise ProgramError("is not a leanspike program", remedy="give a file written by leanspike lower")
    if metadata.get("version") not in [str(known) for known in VERSIONS]:
        what = f"has version {metadata.get('version', '')[:20]!r}, this leanspike reads {VERSIONS[-1]} and older"
        raise ProgramError(what, remedy="lower the run again")
    text, told = metadata.get("text", ""), metadata.get("origin", "")
    wanted = declared(text)
    arrays = _arrays(content, wanted)
    if _file_digest(text, arrays, told) != metadata.get("sha256"):
        raise ProgramError("is damaged: its content does not have its SHA-256", remedy="lower the run again")
    program = verify(parse(text, arrays))
    if render(program) != text or str(version(program)) != metadata["version"]:
        raise ProgramError("is damaged: its text is not as leanspike writes it", remedy="lower the run again")
    return program, _origin(told)


def _metadata(content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(len(content) - 8, _MOST_HEADER):
        raise ProgramError("is not a leanspike program, or was cut short")
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise ProgramError("is damaged: its header cannot be read") from error
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    if not isinstance(metadata, dict) or not all(map(_is_text, metadata.values())):
        raise ProgramError("is not a leanspike program")
    return metadata


def _is_text(value: object) -> bool:
    """Whether it is a string of whole characters: JSON can also name halves, which no UTF-8 has."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


def _arrays(content: bytes, wanted: Mapping[str, Declared]) -> dict[str, Array]:
    try:
        tensors = safetensors.numpy.load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise ProgramError("is damaged: its arrays cannot be read") from error
    if tensors.keys() != wanted.keys():
        raise ProgramError("is damaged: its text and its arrays do not belong together")
    arrays = {}
    for name, kind in wanted.items():
        values = tensors[name]
        if values.dtype != kind.type.dtype or values.shape != kind.shape:
            raise ProgramError(f"is damaged: array {name} is {values.dtype} {list(values.shape)}")
        try:
            arrays[name] = kind.filled(values)
        except ValueError as error:
            raise ProgramError(f"is damaged: array {name}: {error}") from error
    return arrays
