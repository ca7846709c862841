"""The page of an exploration: a core's latency against LUT4 and block RAM, by its lanes; the chosen one, and all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes

from leanspike.measure import pareto
from leanspike.report import html, plots
from leanspike.report.formats import NOT_MEASURED, microseconds, number, plural
from leanspike.report.labels import place
from leanspike.report.plots import INK, MUTED, PAPER, SERIES, Plot

DASH = "\N{EN DASH}"


@dataclass(frozen=True)
class Candidate:
    """A lane count.

    Attributes:
        fate: chosen, on the front, beaten, over the budget, does not fit, or not routed; ``reason`` in words.
        lut4, ff, bram, dsp: sites; after placement where ``is_placed``, else by synthesis, a lower bound.
        cycles: of the mean sample; None if not measured.
        fmax_mhz, latency_us, worst_latency_us, samples_per_second: of what was placed.
    """

    lanes: int
    fate: str
    reason: str
    is_placed: bool
    lut4: int
    ff: int
    bram: int
    dsp: int
    cycles: float | None
    fmax_mhz: float | None = None
    latency_us: float | None = None
    worst_latency_us: float | None = None
    samples_per_second: float | None = None

    @property
    def is_chosen(self) -> bool:
        return self.fate == "chosen"


@dataclass(frozen=True)
class Lanes:
    """What the page tells.

    Attributes:
        program, sha256, device: what was made, and of what.
        lut4, bram: of the device. bram_bits: of a block.
        clock: the clock asked for, in words.
        samples: simulated for the cycles, in words; empty where there were none.
        budget: limits by ``lut4``, ``bram`` and ``latency_us``, those that there are; ``budget_words`` says them.
        rule: how the point was chosen, in words.
        command, config_hash, leanspike, created: how the page came to be.
        configuration: what was asked for. versions: of the tools.
    """

    program: str
    sha256: str
    device: str
    lut4: int
    bram: int
    bram_bits: int
    clock: str
    samples: str
    budget: Mapping[str, float]
    budget_words: str
    rule: str
    candidates: tuple[Candidate, ...]
    command: str
    config_hash: str
    leanspike: str
    created: str
    configuration: str
    versions: tuple[tuple[str, str], ...]

    @property
    def chosen(self) -> Candidate | None:
        return next((candidate for candidate in self.candidates if candidate.is_chosen), None)


@dataclass(frozen=True)
class Fact:
    """A figure of the chosen point."""

    name: str
    value: str
    note: str = ""


def page(lanes: Lanes) -> str:
    """The page as text, self-contained."""
    return html.render(
        "fpga.html",
        study=lanes,
        finding=finding(lanes),
        facts=_facts(lanes),
        fronts=_fronts(lanes),
        columns=COLUMNS,
        rows=[(_row(candidate), candidate.is_chosen) for candidate in lanes.candidates],
        configuration=lanes.configuration,
        versions=lanes.versions,
    )


def finding(lanes: Lanes) -> str:
    """What came out, in a sentence."""
    chosen = lanes.chosen
    if chosen is None:
        why = "keeps the budget" if lanes.budget else "could be placed and routed"
        return f"No lane count of {', '.join(str(one.lanes) for one in lanes.candidates)} {why}."
    parts = [f"{chosen.lut4:,} of {lanes.lut4:,} LUT4", f"{chosen.bram} of {lanes.bram} block RAMs"]
    takes = f"{plural(chosen.lanes, 'lane')}: {' and '.join(parts)}"
    if chosen.latency_us is None or chosen.samples_per_second is None:
        return f"{takes}; latency was not measured."
    told = f"{microseconds(chosen.latency_us)} a sample, {number(chosen.samples_per_second)} samples a second"
    return f"{takes}, {told}."


def _facts(lanes: Lanes) -> list[Fact]:
    chosen = lanes.chosen
    if chosen is None:
        return []
    worst = f"{microseconds(chosen.worst_latency_us)} the longest" if chosen.worst_latency_us else ""
    kbit = chosen.bram * lanes.bram_bits / 1024
    return [
        Fact("Latency, mean sample", microseconds(chosen.latency_us), worst),
        Fact("Clock, reached", f"{chosen.fmax_mhz:.1f} MHz" if chosen.fmax_mhz else NOT_MEASURED, lanes.clock),
        Fact("LUT4", f"{chosen.lut4:,}", f"{chosen.lut4 / lanes.lut4:.1%} of the device"),
        Fact("Block RAM", f"{chosen.bram}", f"of {lanes.bram}; {kbit:,.0f} kbit"),
        Fact("Energy", NOT_MEASURED, "no tool here reports power"),
    ]


def _fronts(lanes: Lanes) -> list[Plot]:
    """Latency of what was placed against what it takes; cycles against LUT4 of every candidate."""
    placed = [one for one in lanes.candidates if one.is_placed and one.latency_us is not None]
    found = []
    if placed:
        found.append(_drawing(lanes, placed, "lut4", "latency_us"))
        found.append(_drawing(lanes, placed, "bram", "latency_us"))
    counted = [one for one in lanes.candidates if one.cycles is not None]
    if len(counted) > len(placed):
        found.append(_drawing(lanes, counted, "lut4", "cycles"))
    return found


WORDS = {
    "lut4": "LUT4",
    "bram": "block RAMs",
    "latency_us": "latency of the mean sample (µs)",
    "cycles": "clock cycles",
}


def _drawing(lanes: Lanes, points: Sequence[Candidate], x: str, y: str) -> Plot:
    spots = [(float(getattr(one, x)), float(getattr(one, y))) for one in points]
    with plots.style():
        figure, (axis,) = plots.canvas(300)
        line = sorted(spot for spot, is_on in zip(spots, pareto.front(spots, ["min", "min"]), strict=True) if is_on)
        axis.step(*zip(*line, strict=True), where="post", color=SERIES[0], lw=1.4)
        for fate, mark in MARKS.items():
            some = [spot for one, spot in zip(points, spots, strict=True) if one.fate == fate]
            if some:
                axis.plot(*zip(*some, strict=True), label=fate, ls="", **mark)
        axis.set_xlabel(f"{WORDS[x]}{'' if y == 'latency_us' else ' (placed, else by synthesis)'}")
        axis.set_ylabel(WORDS[y])
        plots.cost_axis(axis, "x", [spot[0] for spot in spots])
        plots.cost_axis(axis, "y", [spot[1] for spot in spots])
        drawn = _budget(axis, lanes.budget, x, y)
        plots.key(axis, columns=3)
        place(axis, [(*spot, str(one.lanes)) for one, spot in zip(points, spots, strict=True)], spots)
        said = [f"{plural(one.lanes, 'lane')}: {_said(one, x)}, {_said(one, y)}" for one in points]
        note = "Numbers are lanes; the line joins what no other beats." + (" Dashed: the budget." if drawn else "")
        title = f"{TITLES[y]} against {WORDS[x]}"
        return plots.finish(figure, f"{y.partition('_')[0]}-{x}", title, note, "; ".join(said))


TITLES = {"latency_us": "Latency", "cycles": "Cycles"}
MARKS: dict[str, dict[str, Any]] = {
    "on the front": {"marker": "o", "color": SERIES[0], "zorder": 3},
    "beaten": {"marker": "o", "mfc": PAPER, "mec": MUTED, "mew": 1.1, "ms": 4.5},
    "over the budget": {"marker": "s", "mfc": PAPER, "mec": SERIES[0], "mew": 1.3},
    "not routed": {"marker": "X", "color": MUTED, "ms": 6},
    "chosen": {"marker": "D", "color": SERIES[1], "mec": INK, "mew": 0.8, "ms": 8, "zorder": 4},
}


def _budget(axis: Axes, budget: Mapping[str, float], x: str, y: str) -> bool:
    """Draw the limits that lie within the drawing; whether there are any."""
    drawn = False
    for name, line, span in ((x, axis.axvline, axis.get_xlim()), (y, axis.axhline, axis.get_ylim())):
        if name in budget and span[0] <= budget[name] <= span[1]:
            line(budget[name], color=MUTED, lw=1.2, ls=(0, (4, 3)))
            drawn = True
    return drawn


def _said(one: Candidate, name: str) -> str:
    value = float(getattr(one, name))
    return microseconds(value) if name == "latency_us" else f"{value:,.0f} {WORDS[name]}"


COLUMNS: tuple[tuple[str, bool], ...] = (
    ("Lanes", False), ("Outcome", True), ("LUT4", False), ("FF", False), ("BRAM", False), ("DSP", False),
    ("Cycles", False), ("fmax (MHz)", False), ("Latency", False), ("Longest", False), ("Samples/s", False),
    ("Why", True),
)  # fmt: skip


def _row(one: Candidate) -> list[str]:
    least = "" if one.is_placed else "≥ "
    sites = [f"{least}{value:,}" for value in (one.lut4, one.ff, one.bram, one.dsp)]
    cycles = NOT_MEASURED if one.cycles is None else f"{one.cycles:,.0f}"
    if not one.is_placed:
        return [str(one.lanes), one.fate, *sites, cycles, *[DASH] * 4, one.reason or DASH]
    fmax = f"{one.fmax_mhz:.1f}" if one.fmax_mhz else NOT_MEASURED
    times = [microseconds(one.latency_us), microseconds(one.worst_latency_us), number(one.samples_per_second)]
    return [str(one.lanes), one.fate, *sites, cycles, fmax, *times, one.reason or DASH]
