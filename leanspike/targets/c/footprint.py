"""What the emitted files take on a board, from the compiler, without running them.

flash    code and constants of the object; the C library's memset comes on top
RAM      the state, and whatever variables the object has of its own: none
stack    the deepest chain of calls from the whole-sample API, by the frames that the compiler states
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leanspike.targets.base import Artefact
from leanspike.targets.c import toolchain
from leanspike.targets.c.boards import OPTIMISE, board

LIBRARY_STACK = 16
"""For a function of the C library at the end of a chain: memset of newlib pushes 12 bytes, of picolibc none."""
_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "[^"]*?(\d+) bytes')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')


@dataclass(frozen=True)
class Footprint:
    """Bytes on a board: ``flash_bytes`` are ``code_bytes`` and ``const_bytes``."""

    board: str
    compiler: str
    flags: str
    code_bytes: int
    const_bytes: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


def footprint(artefact: Artefact, name: str = "m4") -> Footprint:
    """Compile the artefact's source for a board, with the flags that boards are measured with.

    Raises:
        TargetError: no such board. MissingTool: its compiler is not installed.
    """
    place = board(name)
    compiler = toolchain.find(place.compiler, place.packages)
    flags = [*place.flags, *OPTIMISE]
    with tempfile.TemporaryDirectory(prefix="leanspike-c-") as folder:
        product = Path(folder) / "network.o"
        source = artefact.folder / artefact.files[1]
        toolchain.compile_c(compiler, [*flags, "-fcallgraph-info=su", "-c"], [source], product)
        flash, own = toolchain.flash_bytes(compiler, product), toolchain.variable_bytes(compiler, product)
        stack = _deepest(product.with_suffix(".ci").read_text(encoding="utf-8"), "_classify")
    const = artefact.facts["const_bytes"]
    ram = artefact.facts["ram_bytes"] + own
    return Footprint(name, place.compiler, " ".join(flags), flash - const, const, flash, ram, stack)


def _deepest(graph: str, ending: str) -> int:
    """Bytes of the deepest chain of calls from the function whose name ends so."""
    frames = {name: int(size) for name, size in _NODE.findall(graph)}
    calls: dict[str, set[str]] = {}
    for caller, callee in _EDGE.findall(graph):
        calls.setdefault(caller, set()).add(callee)
    return max(_depth(name, frames, calls) for name in frames if name.endswith(ending))


def _depth(name: str, frames: Mapping[str, int], calls: Mapping[str, set[str]]) -> int:
    """Recursion ends: the emitted functions never call each other in a circle."""
    below = (_depth(callee, frames, calls) for callee in calls.get(name, ()))
    return frames.get(name, LIBRARY_STACK) + max(below, default=0)
