"""Boards: the emitted C compiled for a microcontroller and run in QEMU, with every executed instruction counted.

    instructions    from the first of NAME_classify to its return, and the one call that follows it, of each sample;
                    never cycles: QEMU models no pipeline
    flash           code and constants of the network and of what it needs of the C library
    RAM             the state; the stack beside it, as deep as any sample wrote below the caller's frame

The boards stand in ``board/boards.toml``, each with its source. Memory limits are checked before anything is built.
"""

from __future__ import annotations

import functools
import math
import subprocess
import tempfile
import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import TargetError
from leanspike.core.trace import Ints
from leanspike.ir.program import Program
from leanspike.ir.reference import check_raw
from leanspike.ir.violation import Violation
from leanspike.targets import base
from leanspike.targets.c import toolchain
from leanspike.targets.c.host import packed
from leanspike.targets.c.layout import WIDTHS, lay_out
from leanspike.targets.c.source import constants, render_template

STACK = 4096
"""Bytes that must be free for the stack, and below which its depth is looked for."""
OPTIMISE = ("-O3", "-funroll-loops", "-std=c99")
_PATIENCE = 3600
_FREE = ("-ffreestanding", "-fno-tree-loop-distribute-patterns")
"""Loops of ours must not become calls into the C library, whose bytes count as the network's."""


@dataclass(frozen=True)
class Region:
    """Memory of a board: first address and size in bytes."""

    origin: int
    bytes: int


@dataclass(frozen=True)
class Board:
    """How to compile for a board, how QEMU models it, and how much memory it has; ``source`` says who says so."""

    name: str
    title: str
    source: str
    emulator: str
    machine: tuple[str, ...]
    compiler: str
    flags: tuple[str, ...]
    packages: str
    flash: Region
    ram: Region
    vectors: Region | None = None


@dataclass(frozen=True, eq=False)
class BoardMeasurement:
    """What a program did on a board.

    Attributes:
        predictions, scores: ``[B]`` and ``[B, K]``, as in a Trace.
        board, title: which.
        compiler, flags: what made the code that was counted.
        instructions_mean, instructions_min, instructions_max: executed for a sample.
        flash_bytes: code and constants, of the network and of what it takes from the C library.
        ram_bytes: size of the state on the board; the caller's sample and the stack come on top.
        stack_bytes: the deepest of all samples.
    """

    predictions: Ints
    scores: Ints
    board: str
    title: str
    compiler: str
    flags: str
    instructions_mean: float
    instructions_min: int
    instructions_max: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int


@functools.cache
def boards() -> dict[str, Board]:
    """Every board by name."""
    table = tomllib.loads(_resource("boards.toml"))
    return {name: _board(name, entry) for name, entry in table.items()}


def board(name: str) -> Board:
    """The board of this name.

    Raises:
        TargetError: there is none.
    """
    if name not in boards():
        raise TargetError(f"{name!r} is no board", remedy=f"there are {', '.join(boards())}")
    return boards()[name]


def _board(name: str, entry: dict[str, Any]) -> Board:
    told = dict(entry)
    for key in ("flash", "ram", "vectors"):
        if key in told:
            told[key] = Region(**told[key])
    for key in ("machine", "flags"):
        told[key] = tuple(told[key])
    return Board(name=name, **told)


def _resource(name: str) -> str:
    return (resources.files("leanspike.targets.c") / "board" / name).read_text(encoding="utf-8")


def check_board(program: Program, place: Board) -> list[Violation]:
    """Which memory of a board the program's constants, state and sample exceed; code comes on top when it is built."""
    layout = lay_out(program)
    flash = sum(array.array.bytes for array in constants(layout))
    sample = math.prod(program.input.raw.shape) * WIDTHS[layout.raw_ctype]
    ram = layout.ram_bytes + sample + STACK
    found = []
    if flash > place.flash.bytes:
        what = f"takes {flash} bytes of constants, there are {place.flash.bytes} bytes of flash"
        found.append(Violation(f"board {place.name}", what, "fewer or narrower weights, or a larger board"))
    if ram > place.ram.bytes:
        what = f"takes {ram} bytes of state, sample and stack, there are {place.ram.bytes} bytes of RAM"
        found.append(Violation(f"board {place.name}", what, "smaller layers, or a larger board"))
    return found


def measure_board(
    program: Program,
    name: str,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
) -> BoardMeasurement:
    """Run raw samples on a board under QEMU and count.

    Args:
        name: of a board in ``boards()``: m4, m7, m55 or rv32.
        raw: ``[B, *program.input.raw.shape]`` integers of the raw type, B of 1 or more.
        numbers: ``[B]`` sample numbers for the rate encoding; 0..B-1 if None.

    Raises:
        TargetError: no such board; too large for it, before anything is built; or the run did not end well.
        MissingTool: a compiler or QEMU is not installed.
        ProgramError: the samples do not fit the program.
    """
    place = board(name)
    base.refuse("c", check_board(program, place))
    check_raw(program, raw)
    tools = (toolchain.find(place.compiler, place.packages), toolchain.find(place.emulator, place.packages))
    order = np.arange(len(raw)) if numbers is None else np.asarray(numbers)
    with tempfile.TemporaryDirectory(prefix="leanspike-board-") as temporary:
        folder = Path(temporary)
        image, flash_bytes = _build(program, place, tools[0], folder)
        (folder / "samples").write_bytes(packed(program, raw, order))
        _emulate(place, tools[1], image, folder, _marks(place, image, lay_out(program).prefix))
        return _measurement(program, place, folder, flash_bytes, len(raw))


def _build(program: Program, place: Board, compiler: str, folder: Path) -> tuple[Path, int]:
    """The image, and how much of its flash is the network's."""
    artefact = base.emit("c", program, folder / "network")
    layout = lay_out(program)
    texts = {
        "board_main.c": render_template("board_main.c.jinja", layout, window=STACK),
        "start.c": _resource("start.c"),
        "board.ld": render_template("board.ld.jinja", layout, board=place, stack=STACK),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [artefact.folder / artefact.files[1], folder / "board_main.c", folder / "start.c"]
    objects = [folder / f"{number}.o" for number in range(len(sources))]
    flags = [*place.flags, *OPTIMISE, "-iquote", str(artefact.folder), "-c"]
    for source, product in zip(sources, objects, strict=True):
        toolchain.compile_c(compiler, [*flags, *(() if source is sources[0] else _FREE)], [source], product)
    image = folder / "image.elf"
    link = [*place.flags, "-nostartfiles", "-nostdlib", "-T", str(folder / "board.ld"), "-Wl,--no-warn-rwx-segments"]
    toolchain.compile_c(compiler, link, objects, image, ("-lc", "-lgcc"))
    ours = sum(toolchain.flash_bytes(place.compiler, path) for path in objects[1:])
    return image, toolchain.flash_bytes(place.compiler, image) - ours


def _marks(place: Board, image: Path, prefix: str) -> tuple[int, int]:
    """Addresses of the first instruction that counts, and of the first that counts no more."""
    symbols = toolchain.symbols(place.compiler, image)
    # An odd address only says that the code is Thumb.
    return symbols[f"{prefix}_classify"] & ~1, symbols["counted_end"] & ~1


def _emulate(place: Board, emulator: str, image: Path, folder: Path, marks: tuple[int, int]) -> None:
    plugin = folder / "count.so"
    (folder / "count.c").write_text(_resource("count.c"), encoding="utf-8")
    version = toolchain.plugin_version(emulator)
    flags = ["-O2", "-shared", "-fPIC", f"-DPLUGIN_VERSION={version}"]
    toolchain.compile_c(toolchain.host_compiler(), flags, [folder / "count.c"], plugin)
    command = [emulator, *place.machine, "-nographic", "-monitor", "none", "-serial", "none"]
    command += ["-semihosting-config", "enable=on,target=native", "-kernel", str(image)]
    command += ["-plugin", f"file={plugin},begin={marks[0]},end={marks[1]}"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"did not end within {_PATIENCE} s", where=f"board {place.name}") from error
    if done.returncode:
        what = f"QEMU ended with {done.returncode}: {' '.join(done.stderr.splitlines()[:2])}"
        raise TargetError(what, where=f"board {place.name}")


def _measurement(program: Program, place: Board, folder: Path, flash_bytes: int, batch: int) -> BoardMeasurement:
    words = np.frombuffer((folder / "results").read_bytes(), dtype="<i4").astype(np.int64)
    counts = np.frombuffer((folder / "counts").read_bytes(), dtype=np.uint64).astype(np.int64)
    if len(words) != 1 + batch * (2 + program.classes) or len(counts) != batch:
        what = f"wrote {len(words)} words and {len(counts)} counts for {batch} samples"
        raise TargetError(what, where=f"board {place.name}")
    rows = words[1:].reshape(batch, -1)
    stack = int(rows[:, 1].max())
    if stack >= STACK:
        raise TargetError(f"the stack is deeper than {STACK} bytes", where=f"board {place.name}")
    return BoardMeasurement(
        predictions=rows[:, 0],
        scores=rows[:, 2:],
        board=place.name,
        title=place.title,
        compiler=place.compiler,
        flags=" ".join([*place.flags, *OPTIMISE]),
        instructions_mean=float(counts.mean()),
        instructions_min=int(counts.min()),
        instructions_max=int(counts.max()),
        flash_bytes=flash_bytes,
        ram_bytes=int(words[0]),
        stack_bytes=stack,
    )
