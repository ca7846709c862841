"""NAME.nir: the physical graph, with the exact program as metadata, and back.

    metadata   dt                      seconds
               leanspike/version       of this layout
               leanspike/text          the program's text, for people
               leanspike/program       the bytes of its .lsp file, with their hash
    nodes      metadata/leanspike      the operation, as it stands in the text

Whoever edits a parameter of the graph, or the text, leaves it at odds with the program; reading says so. A seal stands
behind the end of the HDF5 file, where readers do not look and tools that write the graph anew leave it out: bytes that
are not what was written are refused before the HDF5 library sees them, which some damage leads into an endless loop.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from leanspike.core.errors import MissingTool, ProgramError, TargetError
from leanspike.ir import Program, render, store
from leanspike.targets import seal
from leanspike.targets.nir.graph import DT, physical
from leanspike.targets.nir.limits import refusals

VERSION = "1"
MOST_BYTES = 1 << 30


def package() -> Any:
    """The ``nir`` package.

    Raises:
        MissingTool: it is not installed.
    """
    try:
        import nir
    except ImportError as error:
        remedy = "pip install 'leanspike[nir]'"
        raise MissingTool("the package nir is not installed", where="target nir", remedy=remedy) from error
    return nir


def graph_of(program: Program) -> Any:
    """The graph with all metadata."""
    graph = physical(package(), program)
    told = {"version": VERSION, "text": render(program), "program": np.frombuffer(store.pack(program), dtype=np.uint8)}
    graph.metadata = {"dt": DT, "leanspike": told}
    return graph


def content(program: Program, graph: Any) -> bytes:
    """The sealed bytes of a graph's file."""
    buffer = io.BytesIO()
    package().write(buffer, graph)
    return seal.close(buffer.getvalue() + seal.open_seal("nir", program).encode())


def read(path: Path) -> Any:
    """A graph as it stands in a file.

    Raises:
        TargetError: missing, damaged, too large, or no NIR file.
    """
    nir = package()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TargetError("is larger than any graph", where=path)
        held = path.read_bytes()
    except OSError as error:
        raise TargetError(f"cannot be read ({error.strerror})", where=path) from error
    if seal.is_whole(held) is False:
        raise TargetError("is damaged: its content does not have its SHA-256", where=path, remedy="emit it anew")
    try:
        _refuse_large(held)
        graph = nir.read(io.BytesIO(held))
        if not isinstance(graph, nir.NIRGraph):
            raise TypeError(f"holds a {type(graph).__name__}")
    except Exception as error:  # h5py and nir raise whatever a damaged file leads them to
        what = f"is no NIR graph that can be read ({type(error).__name__}: {str(error)[:200]})"
        raise TargetError(what, where=path, remedy="emit it anew") from error
    return graph


def _refuse_large(held: bytes) -> None:
    """Compressed data may unfold to anything: count what they declare before they are read."""
    import h5py

    total = 0

    def count(_: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += int(item.size or 0) * max(1, item.dtype.itemsize)

    with h5py.File(io.BytesIO(held), "r") as file:
        file.visititems(count)
    if total > MOST_BYTES:
        raise ValueError(f"declares {total} bytes of arrays")


def load(path: Path) -> Program:
    """The exact program of a file that this target wrote.

    Raises:
        TargetError: no such file, or one whose graph was edited, with every node that is at odds with the program.
        MissingTool: nir is not installed.
    """
    graph = read(path)
    told = graph.metadata.get("leanspike")
    if not isinstance(told, dict) or not isinstance(told.get("program"), np.ndarray):
        remedy = "read it as a network with leanspike.lower.importers.from_nir"
        raise TargetError("is a NIR graph that leanspike did not write", where=path, remedy=remedy)
    if told.get("version") != VERSION:
        what = f"has layout {str(told.get('version'))[:20]!r}, this leanspike reads {VERSION}"
        raise TargetError(what, where=path, remedy="emit it anew")
    try:
        program, _ = store.unpack(told["program"].tobytes())
    except ProgramError as error:
        raise TargetError(f"its program {error.what}", where=path, remedy="emit it anew") from error
    if refusals(program):
        raise TargetError("holds a program of which no graph can be drawn", where=path, remedy="emit it anew")
    wrong = differences(graph_of(program), graph)
    if wrong:
        what = f"its graph and its program disagree: {', '.join(wrong[:20])} changed since it was written"
        remedy = "emit it anew, or delete the leanspike metadata and read it with leanspike.lower.importers.from_nir"
        raise TargetError(what, where=path, remedy=remedy)
    return program


def differences(expected: Any, found: Any) -> list[str]:
    """What of a graph differs: ``node.parameter`` by name, ``edges``, ``text``."""
    wrong = sorted(f"node {name}" for name in expected.nodes.keys() ^ found.nodes.keys())
    for name in sorted(expected.nodes.keys() & found.nodes.keys()):
        a, b = expected.nodes[name], found.nodes[name]
        if type(a) is not type(b):
            wrong.append(f"node {name}")
            continue
        parts = [field.name for field in dataclasses.fields(a)]
        wrong += [f"{name}.{part}" for part in parts if not _same(getattr(a, part), getattr(b, part))]
    wrong += [] if sorted(expected.edges) == sorted(found.edges) else ["edges"]
    wrong += [] if _same(expected.metadata.get("dt"), found.metadata.get("dt")) else ["dt"]
    texts = (graph.metadata["leanspike"].get("text") for graph in (expected, found))
    return wrong if len(set(texts)) == 1 else [*wrong, "text"]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return bool(a == b)
    try:
        return bool(np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True))
    except (TypeError, ValueError):
        return False
