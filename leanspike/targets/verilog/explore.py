"""How many lanes? Every candidate is synthesised (seconds); only what may be chosen is placed and routed (minutes).

    estimate    LUT4 and block RAMs by yosys, a lower bound; cycles of the simulated core
    front       candidates that no other beats in LUT4, block RAMs and cycles at once
    placed      those on the front whose estimate fits the device and the budget
    chosen      of the placed that keep the budget: with a latency in it, the one of fewest LUT4; else the fastest

What was found for a lane count is kept under the hash of the circuit, the device and the tools, so that an exploration
which was cut off, or asked for again, goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from leanspike.core.errors import ConfigError, TargetError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import content_hash, from_dict, require, to_dict
from leanspike.ir import Program
from leanspike.ir import content_hash as ir_hash
from leanspike.targets.base import refuse
from leanspike.targets.verilog import core, tools
from leanspike.targets.verilog.cycles import Cycles
from leanspike.targets.verilog.devices import Device, Sites, device
from leanspike.targets.verilog.implement import RECORD as PLACED
from leanspike.targets.verilog.implement import Count, Implementation, Order, implement
from leanspike.targets.verilog.synthesis import synthesise, too_little

LANES = (1, 2, 4, 8, 16, 32)
POINTS = "points"
RECORD = "exploration.json"
Fate = Literal["chosen", "on the front", "beaten", "over the budget", "does not fit", "not routed"]
R = TypeVar("R")


@dataclass(frozen=True)
class Budget:
    """The most of each; None: no limit but the device's.

    Args:
        luts: LUT4 after placement. bram: block RAMs. us: microseconds a sample, mean.
    """

    luts: int | None = None
    bram: int | None = None
    us: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("luts", self.luts), ("bram", self.bram), ("us", self.us)):
            require(value is None or value > 0, f"--budget-{name}", value, "more than 0")

    def told(self) -> str:
        """In words."""
        limits = ((self.luts, "LUT4"), (self.bram, "block RAMs"), (self.us, "µs a sample"))
        return ", ".join(f"{limit:,g} {what}" for limit, what in limits if limit is not None) or "none"


@dataclass(frozen=True)
class Estimate:
    """What synthesis alone says: sites at least, by which yosys, of which circuit (a hash)."""

    needed: Sites
    yosys: str
    circuit: str


@dataclass(frozen=True)
class Point:
    """A lane count.

    Attributes:
        fate: what became of it; ``reason`` in words where it was not placed or is over the budget.
        estimate: by synthesis; cycles: of the simulated core, None if not measured.
        placed: the record, of those that were placed and routed.
    """

    lanes: int
    fate: Fate
    reason: str
    estimate: Estimate
    cycles: Cycles | None
    placed: Implementation | None = None


@dataclass(frozen=True)
class Exploration:
    """All candidates in the order of lanes; ``chosen`` is the lane count, None if nothing keeps the budget."""

    program: str
    sha256: str
    order: Order
    budget: Budget
    points: tuple[Point, ...]
    chosen: int | None


def explore(
    program: Program,
    order: Order,
    budget: Budget,
    folder: Path,
    count: Count,
    counted_on: str,
    *,
    lanes: Sequence[int] = LANES,
    watch: Callable[[str], object] = lambda _: None,
) -> Exploration:
    """Try lane counts and choose one; ``exploration.json`` and what is kept of every point are written to ``folder``.

    Args:
        order: the device, the clock and the seed; its lanes do not matter.
        count: cycles of the core with so many lanes, or why there are none.
        counted_on: which samples; part of what is kept.
        watch: is told what begins.

    Raises:
        TargetError: no candidate fits the device. MissingTool: no yosys or nextpnr.
    """
    place_on = device(order.device)
    tools.find(f"nextpnr-{place_on.family}")
    kept = make_folder(folder / POINTS)
    (folder / RECORD).unlink(missing_ok=True)
    found = []
    for n in sorted(set(lanes)):
        watch(f"{n} lanes: synthesis and cycles")
        found.append(_estimated(program, n, place_on, kept, count, counted_on))
    if all(point.fate == "does not fit" for point in found):
        refuse("verilog", too_little(found[0].estimate.needed, place_on))
    found = _judged(found, order, budget)
    found = _once_placed([_placed(program, point, order, budget, kept, watch) for point in found])
    chosen = choose(found, budget)
    points = tuple(replace(point, fate="chosen") if point.lanes == chosen else point for point in found)
    exploration = Exploration(program.name, ir_hash(program), order, budget, points, chosen)
    write_json(folder / RECORD, to_dict(exploration))
    return exploration


def choose(points: Sequence[Point], budget: Budget) -> int | None:
    """The lane count that the rule above chooses; None where nothing placed keeps the budget."""
    able = [point.placed for point in points if point.placed and point.fate == "on the front"]
    if not able:
        return None
    if budget.us is not None or any(record.latency_us is None for record in able):
        return min(able, key=lambda record: (record.used.lut4, record.lanes)).lanes
    return min(able, key=lambda record: (record.latency_us or 0.0, record.used.lut4)).lanes


def _estimated(program: Program, lanes: int, place_on: Device, kept: Path, count: Count, counted_on: str) -> Point:
    """Synthesis and cycles of a lane count, kept or made."""
    with tempfile.TemporaryDirectory(prefix="leanspike-fpga-") as temporary:
        work = Path(temporary)
        files = core.write(program, work, core.Shape(lanes=lanes))
        texts = {name: hashlib.sha256((work / name).read_bytes()).hexdigest() for name in files}
        circuit = content_hash({"files": texts, "device": to_dict(place_on), "yosys": tools.find("yosys").version})
        path = kept / f"{lanes}-lanes-{content_hash([circuit, counted_on])}.json"
        point = _read(Point, path)
        if point is not None:
            return point
        log = path.with_suffix(".log")
        made = synthesise(work, core.core_sources(files), core.TOP, place_on, log)
    estimate = Estimate(made.needed, made.version, circuit)
    short = "; ".join(violation.what for violation in too_little(made.needed, place_on))
    cycles = "does not fit" if short else count(lanes)
    if isinstance(cycles, str):
        fate: Fate = "does not fit" if short else "on the front"
        point = Point(lanes, fate, short or f"cycles were not measured: {cycles}", estimate, None)
    else:
        point = Point(lanes, "on the front", "", estimate, cycles)
    if short or point.cycles:
        write_json(path, to_dict(point))
    return point


def _judged(points: Sequence[Point], order: Order, budget: Budget) -> list[Point]:
    """Which are beaten, and which are over the budget by their estimate already."""
    return [_judge(point, points, order, budget) if point.fate == "on the front" else point for point in points]


def _judge(point: Point, points: Sequence[Point], order: Order, budget: Budget) -> Point:
    clock = order.clock_mhz
    us = point.cycles.mean / clock if point.cycles and clock else None
    over = _over(point.estimate.needed, us, budget)
    if over:
        return replace(point, fate="over the budget", reason=f"{over} by the estimate")
    winner = _winner(point, points, _estimated_costs)
    return replace(point, fate="beaten", reason=f"by {winner} lanes") if winner else point


def _once_placed(points: Sequence[Point]) -> list[Point]:
    """Which are beaten by what placement told: LUT4, block RAMs and latency."""
    found = []
    for point in points:
        winner = _winner(point, points, _placed_costs) if point.fate == "on the front" else None
        found.append(replace(point, fate="beaten", reason=f"by {winner} lanes, once placed") if winner else point)
    return found


def _winner(point: Point, points: Sequence[Point], costs: Callable[[Point], tuple[float, ...]]) -> int | None:
    """The lanes of a point on the front that is nowhere worse and somewhere better."""
    theirs = costs(point)
    for other in points:
        ours = costs(other) if other.fate == "on the front" else theirs
        if ours != theirs and all(a <= b for a, b in zip(ours, theirs, strict=True)):
            return other.lanes
    return None


def _estimated_costs(point: Point) -> tuple[float, ...]:
    needed = point.estimate.needed
    return (needed.lut4, needed.bram, point.cycles.mean if point.cycles else -point.lanes)


def _placed_costs(point: Point) -> tuple[float, ...]:
    record = point.placed
    if record is None:
        return (math.inf,) * 3
    return (record.used.lut4, record.used.bram, -point.lanes if record.latency_us is None else record.latency_us)


def _over(used: Sites, us: float | None, budget: Budget) -> str:
    """Which limits are exceeded, in words; empty if none."""
    over = []
    if budget.luts is not None and used.lut4 > budget.luts:
        over.append(f"{used.lut4:,} LUT4")
    if budget.bram is not None and used.bram > budget.bram:
        over.append(f"{used.bram} block RAMs")
    if budget.us is not None and us is not None and us > budget.us:
        over.append(f"{us:,.1f} µs")
    return ", ".join(over)


def _placed(
    program: Program, point: Point, order: Order, budget: Budget, kept: Path, watch: Callable[[str], object]
) -> Point:
    """Place and route what is on the front, kept or made, and hold it to the budget."""
    if point.fate != "on the front":
        return point
    wanted = replace(order, lanes=point.lanes)
    nextpnr = tools.find(f"nextpnr-{device(order.device).family}").version
    cycles = to_dict(point.cycles) if point.cycles else None
    facts = {"circuit": point.estimate.circuit, "order": to_dict(wanted), "nextpnr": nextpnr, "cycles": cycles}
    folder = make_folder(kept / f"{point.lanes}-lanes-placed-{content_hash(facts)}")
    record = _read(Implementation, folder / PLACED)
    if record is None:
        watch(f"{point.lanes} lanes: place and route")
        try:
            record = implement(program, wanted, folder, lambda _: point.cycles or point.reason)
        except TargetError as error:
            return replace(point, fate="not routed", reason=error.line())
        write_json(folder / PLACED, to_dict(record))
    over = _over(record.used, record.latency_us, budget)
    return replace(point, placed=record, fate="over the budget" if over else point.fate, reason=over or point.reason)


def _read(kind: type[R], path: Path) -> R | None:
    """What was kept; None where nothing whole is there."""
    try:
        return from_dict(kind, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ConfigError):
        return None
