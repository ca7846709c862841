"""A program as a circuit in an FPGA: written, synthesised, checked for size, placed and routed, and told in one record.

    latency     cycles of a sample / clock; the clock is the one asked for, else fmax
    rate        clock / cycles between answers of samples sent back to back
    cycles      of the simulated core, from a sample's first beat to the last word of its answer
    LUT4        sites taken after placement (iCE40: logic cells, each a LUT4 and a flip-flop)

Nothing is estimated: a figure that was not measured is None, and ``notes`` says why.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from leanspike.core.errors import ConfigError
from leanspike.core.files import write_bytes, write_json
from leanspike.core.records import require, to_dict
from leanspike.ir import Program, content_hash
from leanspike.targets import base, verilog
from leanspike.targets.verilog import core
from leanspike.targets.verilog.cycles import Cycles
from leanspike.targets.verilog.devices import Device, Sites, device
from leanspike.targets.verilog.place import BITSTREAMS, Placement, pack, place
from leanspike.targets.verilog.synthesis import Synthesis, synthesise, too_little

RECORD = "synthesis.json"
LOGS = ("yosys.log", "nextpnr.log", "pack.log")
ENERGY = "no tool of this flow reports power, so that neither power nor energy is told"

Count = Callable[[int], Cycles | str]


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Args:
        device: a name of ``devices()``, or of a family.
        lanes: neurons computed side by side in every layer.
        clock_mhz: must be reached; None: as fast as it gets.
        seed: of the placement.
        pins: a file of pin constraints, LPF (ECP5) or PCF (iCE40); None: nextpnr chooses, and there is no bitstream.
    """

    device: str
    lanes: int = 8
    clock_mhz: float | None = None
    seed: int = 1
    pins: str | None = None

    def __post_init__(self) -> None:
        device(self.device)
        core.Shape(lanes=self.lanes)
        require(self.clock_mhz is None or 0 < self.clock_mhz <= 1000, "--clock-mhz", self.clock_mhz, "MHz up to 1000")
        require(0 <= self.seed < 1 << 31, "--seed", self.seed, "from 0 to 2^31 - 1")


@dataclass(frozen=True)
class Implementation:
    """The record of a placed and routed core; the fields of ``Order`` and what came of it.

    Attributes:
        program, sha256: what it was made from.
        title: of the device.
        used, available: sites after placement; of an iCE40, ``ff`` is what synthesis counted.
        clock_mhz: what latency and rate are told for.
        latency_us: of the mean sample; ``worst_latency_us`` of the longest one simulated.
        samples_per_second: samples sent as soon as there is room; one at a time where that was not simulated.
        power_mw, energy_nj: None; see ``notes``.
        yosys, nextpnr: versions.
        notes: why a figure is None.
    """

    program: str
    sha256: str
    device: str
    title: str
    lanes: int
    seed: int
    clock_asked_mhz: float | None
    used: Sites
    available: Sites
    fmax_mhz: float
    clock_mhz: float
    cycles: Cycles | None
    latency_us: float | None
    worst_latency_us: float | None
    samples_per_second: float | None
    power_mw: float | None
    energy_nj: float | None
    bitstream: str | None
    yosys: str
    nextpnr: str
    notes: tuple[str, ...]


def implement(program: Program, order: Order, folder: Path, count: Count) -> Implementation:
    """Make the circuit; the tools' logs and, with pins, a bitstream are written to ``folder``, see also :func:`write`.

    Nothing of an earlier run's is left there, and after an error only the logs.

    Args:
        program: that passed the target's check.
        folder: exists and can be written to.
        count: cycles of the simulated core with so many lanes, or why there are none.

    Raises:
        TargetError: too large for the device (told before placement), it cannot be routed, or its clock is too slow.
        MissingTool: no yosys or nextpnr.
    """
    place_on = device(order.device)
    clear(folder)
    with tempfile.TemporaryDirectory(prefix="leanspike-fpga-") as temporary:
        work = Path(temporary)
        files = core.write(program, work, core.Shape(lanes=order.lanes))
        made = synthesise(work, core.core_sources(files), core.TOP, place_on, folder / LOGS[0])
        base.refuse("verilog", too_little(made.needed, place_on))
        placed = _placed(work, place_on, order, folder / LOGS[1])
        used = replace(made.needed, **placed.used)
        base.refuse("verilog", too_little(used, place_on))
        stream = pack(work, place_on, folder / LOGS[2]) if order.pins else None
        if stream:
            write_bytes(folder / stream.name, stream.read_bytes())
    return _record(program, order, place_on, made, used, placed, count(order.lanes), stream.name if stream else None)


def write(program: Program, record: Implementation, folder: Path) -> tuple[str, ...]:
    """Write the circuit's sources and then, as the last file, ``synthesis.json``; returns their names."""
    artefact = verilog.emit(program, folder, shape=core.Shape(lanes=record.lanes))
    write_json(folder / RECORD, to_dict(record))
    return (*artefact.files, *((record.bitstream,) if record.bitstream else ()), RECORD)


def clear(folder: Path) -> None:
    """Take away what an earlier run left, so that nothing old is taken for new."""
    for name in (RECORD, *LOGS, *BITSTREAMS.values()):
        (folder / name).unlink(missing_ok=True)


def _placed(work: Path, place_on: Device, order: Order, log: Path) -> Placement:
    pins = None
    if order.pins:
        pins = "pins.lpf" if place_on.family == "ecp5" else "pins.pcf"
        try:
            shutil.copyfile(order.pins, work / pins)
        except OSError as error:
            raise ConfigError(f"cannot be read ({error.strerror})", where=order.pins) from error
    return place(work, place_on, log, clock_mhz=order.clock_mhz, seed=order.seed, pins=pins)


def _record(
    program: Program,
    order: Order,
    place_on: Device,
    made: Synthesis,
    used: Sites,
    placed: Placement,
    cycles: Cycles | str,
    stream: str | None,
) -> Implementation:
    clock = order.clock_mhz or placed.fmax_mhz
    counted = None if isinstance(cycles, str) else cycles
    notes = (ENERGY, *((f"cycles and latency were not measured: {cycles}",) if isinstance(cycles, str) else ()))
    return Implementation(
        program=program.name,
        sha256=content_hash(program),
        device=place_on.name,
        title=place_on.title,
        lanes=order.lanes,
        seed=order.seed,
        clock_asked_mhz=order.clock_mhz,
        used=used,
        available=place_on.sites,
        fmax_mhz=round(placed.fmax_mhz, 2),
        clock_mhz=round(clock, 2),
        cycles=counted,
        latency_us=counted.mean / clock if counted else None,
        worst_latency_us=counted.most / clock if counted else None,
        samples_per_second=1e6 * clock / (counted.interval or counted.mean) if counted else None,
        power_mw=None,
        energy_nj=None,
        bitstream=stream,
        yosys=made.version,
        nextpnr=placed.version,
        notes=notes,
    )
