"""The seal of a model file: whose it is, which program it was made from, and whether it is whole.

    leanspike FORMAT VERSION program=SHA-256 of the program  file=SHA-256 of the file with this field all zeros

A writer puts the open seal into the format's metadata and closes it over the finished bytes; a reader checks it before
a runtime sees the file, because runtimes trust what they load.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from leanspike.core.errors import TargetError
from leanspike.ir import Program
from leanspike.ir.store import content_hash

VERSION = 1
MOST_BYTES = (1 << 31) - 1
_SEAL = re.compile(rb"leanspike ([a-z]+) ([0-9]{1,9}) program=([0-9a-f]{64}) file=([0-9a-f]{64})")
_OPEN = b"0" * 64


def open_seal(form: str, program: Program) -> str:
    """The text for the metadata of a file of this format, before the file's own hash is known."""
    return f"leanspike {form} {VERSION} program={content_hash(program)} file={_OPEN.decode()}"


def close(content: bytes) -> bytes:
    """The file's bytes with the open seal in them closed."""
    found = list(_SEAL.finditer(content))
    if len(found) != 1 or found[0][4] != _OPEN:
        raise ValueError("the content holds no open seal, or several")
    start, end = found[0].span(4)
    return content[:start] + hashlib.sha256(content).hexdigest().encode() + content[end:]


def is_whole(content: bytes) -> bool | None:
    """Whether sealed bytes are what was written; None where they hold no seal, or several."""
    found = list(_SEAL.finditer(content))
    if len(found) != 1:
        return None
    start, end = found[0].span(4)
    return hashlib.sha256(content[:start] + _OPEN + content[end:]).hexdigest().encode() == found[0][4]


def read(path: Path, form: str, program: Program) -> bytes:
    """The bytes of a file that was made from this program and is whole.

    Raises:
        TargetError: missing, foreign, damaged, of another version, or made from another program.
    """
    remedy = f"give a file that leanspike emit --target {form} wrote, or emit it anew"
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MOST_BYTES else b""
    except OSError as error:
        raise TargetError(f"cannot be read ({error.strerror})", where=path, remedy=remedy) from error
    found = list(_SEAL.finditer(content))
    if len(found) != 1 or found[0][1].decode() != form:
        raise TargetError(f"is no {form} model of leanspike, or was cut short", where=path, remedy=remedy)
    if int(found[0][2]) != VERSION:
        what = f"is of version {found[0][2].decode()}, this leanspike reads {VERSION}"
        raise TargetError(what, where=path, remedy=remedy)
    if not is_whole(content):
        raise TargetError("is damaged: its content does not have its SHA-256", where=path, remedy=remedy)
    if found[0][3].decode() != content_hash(program):
        raise TargetError(f"was made from another program than {program.name}", where=path, remedy=remedy)
    return content
