"""Checkpoints without pickles, whole at every moment: tensors as safetensors, and a JSON page that points to them.

    RUN/checkpoint.json                 the last checkpoint: file name, SHA-256, epoch, step, versions
    RUN/checkpoint-previous.json        the one before
    RUN/checkpoint-EPOCH-STEP.safetensors   tensors, and the facts (configuration, history, position) as metadata
    RUN/network.json, RUN/network.safetensors   the finished run: the weights of the best epoch

A save notes the last page as the previous one, writes a new file, replaces the page, and removes what no page points
to. A process that is killed anywhere in between leaves the old page with the old file, or the new with the new.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from leanspike import __version__
from leanspike.core.errors import CheckpointError
from leanspike.core.files import write_bytes, write_json

LAST = "checkpoint.json"
PREVIOUS = "checkpoint-previous.json"
SCHEMA = 1


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name and the JSON facts that belong to them."""

    tensors: dict[str, Tensor]
    facts: dict[str, Any]


def pack(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """One safetensors file, the facts in its metadata; equal content gives equal bytes."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(whole, {"facts": json.dumps(facts, sort_keys=True)})


def unpack(content: bytes) -> Checkpoint:
    """The inverse of :func:`pack`; any damage raises ``ValueError`` or ``SafetensorError``."""
    length = int.from_bytes(content[:8], "little")
    facts = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["facts"])
    return Checkpoint(safetensors.torch.load(content), facts)


def write(folder: Path, page: str, file: str, checkpoint: Checkpoint, **told: Any) -> None:
    """Write ``file`` with the content and then ``page``, which holds its SHA-256 and what is ``told`` beside.

    Raises:
        OutputError: disk full or read-only; what was there stays as it was.
    """
    content = pack(checkpoint.tensors, checkpoint.facts)
    write_bytes(folder / file, content)
    head = {"schema": SCHEMA, "leanspike": __version__, "torch": torch.__version__, **told}
    write_json(folder / page, {**head, "file": file, "sha256": hashlib.sha256(content).hexdigest()})


def save(folder: Path, checkpoint: Checkpoint, epoch: int, step: int) -> None:
    """Make ``checkpoint`` the folder's last one; the one before is kept, older ones are removed.

    Raises:
        OutputError: see :func:`write`.
    """
    if (folder / LAST).exists():
        write_bytes(folder / PREVIOUS, (folder / LAST).read_bytes())
    name = f"checkpoint-{epoch:05d}-{step:07d}.safetensors"
    write(folder, LAST, name, checkpoint, epoch=epoch, step=step)
    _sweep(folder)


def load(folder: Path) -> tuple[Checkpoint | None, str | None]:
    """The folder's last checkpoint, if it has one, and a warning if it had to be the one before.

    Raises:
        CheckpointError: there are checkpoints, and all are damaged.
    """
    if not (folder / LAST).exists():
        return None, None
    try:
        return read(folder, LAST), None
    except CheckpointError as damage:
        if not (folder / PREVIOUS).exists():
            raise
        checkpoint = read(folder, PREVIOUS)
        return checkpoint, f"{damage.line()}; going on from the checkpoint before it"


def promote_previous(folder: Path) -> None:
    """Let the checkpoint before take the place of a damaged last one."""
    (folder / PREVIOUS).replace(folder / LAST)


def read(folder: Path, page_name: str) -> Checkpoint:
    """What :func:`write` wrote, checked against its SHA-256.

    Raises:
        CheckpointError: missing, damaged, or of another layout.
    """
    remedy = f"remove {folder} to train anew"
    try:
        page = json.loads((folder / page_name).read_text(encoding="utf-8"))
        schema, name, digest = page["schema"], str(page["file"]), page["sha256"]
    except FileNotFoundError as error:
        told = "give the folder of a finished run"
        raise CheckpointError("is not here", where=folder / page_name, remedy=told) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError("is damaged: not a checkpoint page", where=folder / page_name, remedy=remedy) from error
    if schema != SCHEMA:
        what = f"has layout {schema}, this leanspike reads {SCHEMA}"
        raise CheckpointError(what, where=folder / page_name, remedy=remedy)
    path = folder / Path(name).name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})", where=path, remedy=remedy) from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        what = f"is damaged: its SHA-256 starts with {found[:12]}, expected {str(digest)[:12]}"
        raise CheckpointError(what, where=path, remedy=remedy)
    return unpack(content)


def _sweep(folder: Path) -> None:
    pages = [json.loads((folder / page).read_text()) for page in (LAST, PREVIOUS) if (folder / page).exists()]
    kept = {page["file"] for page in pages}
    for path in (*folder.glob("checkpoint-*.safetensors"), *folder.glob(".*.json.*"), *folder.glob(".*.safetensors.*")):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def differences(there: Any, asked: Any, key: str = "") -> list[str]:
    """Where two configurations differ, one ``key: there -> asked`` a setting."""
    if isinstance(there, dict) and isinstance(asked, dict):
        keys = sorted(there.keys() | asked.keys())
        return [line for k in keys for line in differences(there.get(k), asked.get(k), f"{key}.{k}" if key else k)]
    if isinstance(there, list) and isinstance(asked, list) and len(there) == len(asked):
        pairs = enumerate(zip(there, asked, strict=True))
        inner = [line for i, (a, b) in pairs if isinstance(a, dict) for line in differences(a, b, f"{key}[{i}]")]
        if inner:
            return inner
    return [] if there == asked else [f"{key} is {there} there and {asked} now"]
