"""An exploration of lanes as the plain records of its page."""

from __future__ import annotations

import datetime
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leanspike import __version__
from leanspike.core.files import write_text
from leanspike.core.records import content_hash, to_dict

if TYPE_CHECKING:
    from leanspike.report.fpga_page import Candidate, Lanes
    from leanspike.targets.verilog.explore import Exploration, Point

PAGE = "exploration.html"


def write_page(folder: Path, found: Exploration, counted_on: str) -> Path:
    """Write ``exploration.html`` to ``folder``."""
    from leanspike.report.fpga_page import page

    path = folder / PAGE
    write_text(path, page(lanes(found, counted_on)))
    return path


def lanes(found: Exploration, counted_on: str) -> Lanes:
    """What the page tells of an exploration."""
    from leanspike.report.fpga_page import Lanes
    from leanspike.targets.verilog.devices import device

    place_on, order, budget = device(found.order.device), found.order, found.budget
    asked = {"order": to_dict(order), "budget": to_dict(budget), "lanes": [point.lanes for point in found.points]}
    limits = {"lut4": budget.luts, "bram": budget.bram, "latency_us": budget.us}
    counted = any(point.cycles for point in found.points)
    return Lanes(
        program=found.program,
        sha256=found.sha256,
        device=place_on.title,
        lut4=place_on.sites.lut4,
        bram=place_on.sites.bram,
        bram_bits=place_on.bram_bits,
        clock=f"{order.clock_mhz:g} MHz asked" if order.clock_mhz else "as fast as it gets",
        samples=counted_on if counted else "",
        budget={name: float(value) for name, value in limits.items() if value is not None},
        budget_words=budget.told() if any(value is not None for value in limits.values()) else "",
        rule=_rule(found),
        candidates=tuple(map(_candidate, found.points)),
        command=shlex.join(["leanspike", *sys.argv[1:]]),
        config_hash=content_hash(asked),
        leanspike=__version__,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        configuration=json.dumps(asked, indent=2),
        versions=_versions(found),
    )


def _rule(found: Exploration) -> str:
    if found.budget.us is not None:
        return "Chosen: of those that keep the budget, the one of fewest LUT4."
    kept = "" if found.budget.told() == "none" else "of those that keep the budget, "
    return f"Chosen: {kept}the fastest."


def _versions(found: Exploration) -> tuple[tuple[str, str], ...]:
    made = {"leanspike": __version__, "yosys": found.points[0].estimate.yosys}
    for point in found.points:
        if point.placed:
            made["nextpnr"] = point.placed.nextpnr
    return tuple(made.items())


def _candidate(point: Point) -> Candidate:
    from leanspike.report.fpga_page import Candidate

    placed = point.placed
    used = placed.used if placed else point.estimate.needed
    return Candidate(
        lanes=point.lanes,
        fate=point.fate,
        reason=point.reason,
        is_placed=placed is not None,
        lut4=used.lut4,
        ff=used.ff,
        bram=used.bram,
        dsp=used.dsp,
        cycles=point.cycles.mean if point.cycles else None,
        fmax_mhz=placed.fmax_mhz if placed else None,
        latency_us=placed.latency_us if placed else None,
        worst_latency_us=placed.worst_latency_us if placed else None,
        samples_per_second=placed.samples_per_second if placed else None,
    )
