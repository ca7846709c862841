"""What ``leanspike emit --target verilog`` does with a device: synthesis, place and route, and lanes by a budget."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.ir import Program
    from leanspike.targets.base import Artefact
    from leanspike.targets.verilog.cycles import Cycles
    from leanspike.targets.verilog.explore import Budget, Point
    from leanspike.targets.verilog.implement import Implementation, Order

OPTIONS = ("device", "clock_mhz", "pins", "explore", "budget_luts", "budget_bram", "budget_us")
SAMPLES = 100
SITES = {"lut4": "LUT4", "ff": "flip-flops", "bram": "block RAMs", "dsp": "DSPs", "pins": "pins"}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the options of an FPGA to ``leanspike emit``."""
    group = parser.add_argument_group("with --target verilog")
    group.add_argument("--device", metavar="D", help="synthesise, place and route: ecp5, ice40, or a part's name")
    group.add_argument("--lanes", type=int, metavar="N", help="neurons of a layer side by side (default 8)")
    group.add_argument("--clock-mhz", type=float, metavar="F", help="must be reached (default: as fast as it gets)")
    group.add_argument("--seed", type=int, default=1, metavar="N", help="of the placement (default 1)")
    group.add_argument("--pins", type=Path, metavar="FILE", help="LPF or PCF constraints; writes a bitstream")
    group.add_argument("--explore", action="store_true", help="try several lane counts, choose one, draw their front")
    group.add_argument("--budget-luts", type=int, metavar="N", help="explore: LUT4 at most")
    group.add_argument("--budget-bram", type=int, metavar="N", help="explore: block RAMs at most")
    group.add_argument("--budget-us", type=float, metavar="F", help="explore: microseconds of the mean sample at most")
    group.add_argument(
        "--samples", type=int, default=SAMPLES, metavar="N", help=f"how many (default {SAMPLES}, 0: all)"
    )


def check(args: argparse.Namespace) -> None:
    """Refuse combinations that mean nothing.

    Raises:
        ConfigError: an option of a device without one, or another target.
    """
    from leanspike.core.errors import ConfigError

    given = [f"--{name.replace('_', '-')}" for name in (*OPTIONS, "lanes") if getattr(args, name) not in (None, False)]
    if args.target != "verilog" and given:
        raise ConfigError("is for the Verilog target", where=given[0], remedy="add --target verilog")
    if args.target == "verilog" and not args.device and (alone := [name for name in given if name != "--lanes"]):
        raise ConfigError("needs a device", where=alone[0], remedy="add --device ecp5 or --device ice40")
    if is_exploration(args) and args.lanes is not None:
        raise ConfigError("an exploration chooses the lanes", where="--lanes", remedy="leave out --lanes or the budget")
    if is_exploration(args) and args.pins is not None:
        remedy = "explore first, then emit the chosen lanes with --pins"
        raise ConfigError("an exploration writes no bitstream", where="--pins", remedy=remedy)


def is_exploration(args: argparse.Namespace) -> bool:
    """Whether lanes are to be chosen."""
    limits = (args.budget_luts, args.budget_bram, args.budget_us)
    return bool(args.explore) or any(limit is not None for limit in limits)


def run(args: argparse.Namespace) -> int:
    """Check, make the circuit or explore, and print what came of it."""
    from leanspike import ir
    from leanspike.core.files import make_folder
    from leanspike.targets import base, verilog

    program, origin = ir.load_with_origin(args.program)
    base.refuse("verilog", verilog.check(ir.verify(program)))
    budget, order = _budget(args), _order(args)
    counter = Counter(program, origin, args.data, args.samples)
    make_folder(args.out)
    if is_exploration(args):
        return _explore(args, program, order, budget, counter)
    return _implement(args, program, order, counter)


def _order(args: argparse.Namespace) -> Order:
    from leanspike.targets.verilog.core import Shape
    from leanspike.targets.verilog.implement import Order

    lanes = Shape().lanes if args.lanes is None else args.lanes
    pins = None if args.pins is None else str(args.pins)
    return Order(args.device, lanes, args.clock_mhz, args.seed, pins)


def _budget(args: argparse.Namespace) -> Budget:
    from leanspike.targets.verilog.explore import Budget

    return Budget(args.budget_luts, args.budget_bram, args.budget_us)


def emit(program: Program, folder: Path, lanes: int) -> Artefact:
    """Check and write a core of so many lanes, as :func:`leanspike.targets.emit` does."""
    from leanspike import ir
    from leanspike.core.files import make_folder
    from leanspike.targets import base, verilog

    shape = verilog.Shape(lanes=lanes)
    base.refuse("verilog", verilog.check(ir.verify(program)))
    return verilog.emit(program, make_folder(folder), shape=shape)


class Counter:
    """Cycles of a core on test samples; where they cannot be counted, the reason, told once and kept."""

    def __init__(self, program: Program, origin: dict[str, Any], dataset: str | None, count: int) -> None:
        from leanspike.cli.programs import load_samples
        from leanspike.core.errors import ConfigError, DataError

        self.program, self.reason = program, ""
        try:
            self.samples = load_samples(program, origin, dataset, count)
            self.told = f"{self.samples.dataset}, the first {len(self.samples)} test samples"
        except (ConfigError, DataError) as error:
            if dataset is not None:
                raise
            self.reason = self.told = error.line()

    def __call__(self, lanes: int) -> Cycles | str:
        from leanspike.core.errors import MissingTool
        from leanspike.targets.verilog.cycles import cycles

        if self.reason:
            return self.reason
        with tempfile.TemporaryDirectory(prefix="leanspike-verilog-") as folder:
            artefact = emit(self.program, Path(folder), lanes)
            try:
                return cycles(artefact, self.samples.raw, self.samples.numbers)
            except MissingTool as error:
                return error.line()


def _implement(args: argparse.Namespace, program: Program, order: Order, counter: Counter) -> int:
    from leanspike.targets.verilog import implement

    watch = _watch(args)
    watch("synthesis, place and route")
    record = implement.implement(program, order, args.out, counter)
    made = implement.write(program, record, args.out)
    if args.json:
        print(json.dumps({"target": "verilog", "files": made, **asdict(record)}, indent=2))
        return 0
    print(_table(record))
    print(f"files: {len(made)} in {args.out}, the figures in {implement.RECORD}")
    return 0


def _explore(args: argparse.Namespace, program: Program, order: Order, budget: Budget, counter: Counter) -> int:
    from leanspike.cli.fpga_report import PAGE, write_page
    from leanspike.core.records import to_dict
    from leanspike.targets.verilog import implement
    from leanspike.targets.verilog.explore import explore

    implement.clear(args.out)
    (args.out / PAGE).unlink(missing_ok=True)
    found = explore(program, order, budget, args.out, counter, counter.told, watch=_watch(args))
    page = write_page(args.out, found, counter.told)
    chosen = next((point.placed for point in found.points if point.lanes == found.chosen), None)
    if chosen:
        implement.write(program, chosen, args.out)
    if args.json:
        print(json.dumps({"target": "verilog", **to_dict(found), "page": str(page)}, indent=2))
    else:
        print(_points(found.points))
        print(_table(chosen) if chosen else f"No lane count keeps the budget ({budget.told()}).")
        print(f"page: {page}")
    return 0 if chosen else 1


def _watch(args: argparse.Namespace) -> Callable[[str], object]:
    """Progress, a line for what begins, on a terminal alone."""
    if args.json or not sys.stderr.isatty():
        return lambda _: None
    return lambda text: print(f"{text} ...", file=sys.stderr, flush=True)


def _table(record: Implementation) -> str:
    rows = [("device", record.title), ("lanes", str(record.lanes))]
    for name, words in SITES.items():
        rows.append((words, f"{getattr(record.used, name):,} of {getattr(record.available, name):,}"))
    asked = "none asked" if record.clock_asked_mhz is None else f"asked {record.clock_asked_mhz:g} MHz"
    rows.append(("fmax", f"{record.fmax_mhz:.1f} MHz, {asked}"))
    if record.cycles and record.latency_us and record.worst_latency_us and record.samples_per_second:
        seen = record.cycles
        rows.append(("cycles a sample", f"{seen.mean:,.0f} ({seen.least:,} to {seen.most:,}, {seen.samples} samples)"))
        at = f"at {record.clock_mhz:g} MHz"
        rows.append(("latency", f"{record.latency_us:.1f} us mean, {record.worst_latency_us:.1f} us longest, {at}"))
        rows.append(("rate", f"{record.samples_per_second:,.0f} samples/s"))
    else:
        rows.append(("latency", "not measured"))
    rows += [("energy", "not measured"), ("tools", f"yosys {record.yosys}, nextpnr {record.nextpnr}")]
    width = max(len(key) for key, _ in rows)
    lines = [f"{key:<{width}}  {value}" for key, value in rows]
    return "\n".join([*lines, *(f"note: {note}" for note in record.notes)])


def _points(points: tuple[Point, ...]) -> str:
    rows = [("lanes", "LUT4", "BRAM", "cycles", "fmax MHz", "latency us", "outcome")]
    for point in points:
        used = point.placed.used if point.placed else point.estimate.needed
        least = "" if point.placed else ">="
        cycles = f"{point.cycles.mean:,.0f}" if point.cycles else "not measured"
        fmax = f"{point.placed.fmax_mhz:.1f}" if point.placed else "-"
        latency = f"{point.placed.latency_us:.1f}" if point.placed and point.placed.latency_us else "-"
        why = f"{point.fate}{f' ({point.reason})' if point.reason else ''}"
        rows.append((str(point.lanes), f"{least}{used.lut4:,}", f"{least}{used.bram}", cycles, fmax, latency, why))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ends = len(widths) - 1
    return "\n".join(
        "  ".join(cell if i == ends else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    )
