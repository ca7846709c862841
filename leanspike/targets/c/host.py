"""Run the emitted files on this machine: compiled with a small main program, samples in and a Trace out by pipes."""

from __future__ import annotations

import math
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import TargetError
from leanspike.core.trace import Ints, Trace
from leanspike.ir.encodings import Delta
from leanspike.ir.encodings import Sequence as Frames
from leanspike.ir.ops import LIF, Delay
from leanspike.ir.program import Program
from leanspike.ir.reference import check_raw
from leanspike.targets.base import Artefact
from leanspike.targets.c import toolchain
from leanspike.targets.c.layout import Layout, base, lay_out
from leanspike.targets.c.source import render_template

_MANY = 1000


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """Compile the artefact's files here and run them on raw samples; see :func:`leanspike.ir.reference.run`.

    With a record, every step goes through the step API, and each sample also through the whole-sample API.

    Raises:
        MissingTool: there is no C compiler.
        TargetError: the files do not compile, or the two APIs differ.
    """
    # Optimising pays only where much is computed: it takes longer than a small run.
    flags = ("-O3",) if len(raw) >= _MANY else ("-O1",)
    return run_with(toolchain.host_compiler(), (*toolchain.STRICT, *flags), artefact, raw, numbers, record=record)


def run_with(
    compiler: str,
    flags: Sequence[str],
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
) -> Trace:
    """As :func:`run`, by this compiler and these flags."""
    program, layout = artefact.program, lay_out(artefact.program)
    check_raw(program, raw)
    order = np.arange(len(raw)) if numbers is None else np.asarray(numbers)
    with tempfile.TemporaryDirectory(prefix="leanspike-c-") as folder:
        main, binary = Path(folder) / "main.c", Path(folder) / "main"
        main.write_text(harness(layout, record=record), encoding="utf-8")
        include = ("-iquote", str(artefact.folder))
        toolchain.compile_c(compiler, [*flags, *include], [main, artefact.folder / artefact.files[1]], binary)
        done = subprocess.run([binary], input=packed(program, raw, order), capture_output=True, check=False)
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().splitlines()
        reasons = {3: "its step API and its whole-sample API differ"}
        reason = reasons.get(done.returncode, f"it ended with {done.returncode}: {' '.join(complaint[:3])}")
        raise TargetError(reason, where=artefact.folder / artefact.files[1])
    return _trace(program, np.frombuffer(done.stdout, dtype=np.int64), len(raw), record=record)


def packed(program: Program, raw: npt.NDArray[np.integer], numbers: npt.NDArray[np.integer]) -> bytes:
    """Samples as the harness reads them: number as uint32, then the raw values, for each."""
    values = np.ascontiguousarray(raw, dtype=program.input.raw.type.dtype).reshape(len(raw), -1)
    heads = np.asarray(numbers).astype(np.uint32).reshape(-1, 1)
    return np.concatenate([heads.view(np.uint8), values.view(np.uint8)], axis=1).tobytes()


def harness(layout: Layout, *, record: bool) -> str:
    """The main program as text."""
    program, encoding = layout.program, layout.program.input.encoding
    frame = f"sample + (size_t)t * {math.prod(program.input.result.shape)}u"
    frame = {Frames: frame, Delta: "frame"}.get(type(encoding), "sample")
    layers = [{"name": layout.names[op.result.name], "count": math.prod(op.result.shape)} for op in program.spiking]
    states = list(_members(layout))
    return render_template("harness.c.jinja", layout, record=record, layers=layers, states=states, frame=frame)


def _members(layout: Layout) -> Iterator[dict[str, Any]]:
    operations = layout.program.operations
    holds = {op.hold for op in operations if isinstance(op, LIF)}
    bits = {op.state for op in operations if isinstance(op, Delay) and layout.places[op.result.name].bits}
    for state in layout.program.states:
        name = f"{'hold' if state.name in holds else 'state'}_{layout.names[state.name]}"
        digits, count = None if state.codec is None else base(state.codec), math.prod(state.shape)
        yield {"name": name, "count": count, "codec": state.codec, "base": digits, "bits": state.name in bits}


def _trace(program: Program, found: npt.NDArray[np.int64], batch: int, *, record: bool) -> Trace:
    """What the harness wrote, taken apart in its order."""
    rows, at = found.reshape(batch, -1), 0
    layers = {op.result.name: op.result.shape for op in program.spiking}
    states = {state.name: state.shape for state in program.states}

    def take(shape: tuple[int, ...]) -> Ints:
        nonlocal at
        at += (size := math.prod(shape))
        return rows[:, at - size : at].reshape(batch, *shape).copy()

    spikes: dict[str, list[Ints]] = {name: [] for name in layers}
    after: dict[str, list[Ints]] = {name: [] for name in states}
    for _ in range(program.steps if record else 0):
        for name, shape in layers.items():
            spikes[name].append(take(shape))
        for name, shape in states.items():
            after[name].append(take(shape))
    predictions, scores, steps = take((1,))[:, 0], take((program.classes,)), take((1,))[:, 0]
    counts = {name: take((1,))[:, 0] for name in layers}
    potentials = {name: take(shape) for name, shape in states.items()}
    stacked = ({name: np.stack(kept) for name, kept in kind.items()} if record else {} for kind in (spikes, after))
    return Trace(predictions, scores, steps, counts, potentials, *stacked)
