"""The cost page's drawings: break-even maps, energies by model, energies by component, one more step."""

from __future__ import annotations

from typing import Any

from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from leanspike.report import plots
from leanspike.report.formats import number, percent
from leanspike.report.labels import place
from leanspike.report.plots import INK, MARKERS, MUTED, PAPER, SERIES, Plot

LOWEST, HIGHEST = 0.1, 100.0
COLOURS = (*SERIES, INK)
PUBLISHED = (5, 5.7)
"""T and rate (%) below which spikes win against the fair ANN on the hardware of arXiv:2409.08290."""
Document = dict[str, Any]


def _families(document: Document) -> list[list[Document]]:
    """Programs that one map serves: of the same connections and coding; each family by T."""
    found: dict[str, list[Document]] = {}
    for program in document["programs"]:
        if program["comparison"]["map"]:
            key = str([program["encoding"], [layer["connections"] for layer in program["layers"]]])
            found.setdefault(key, []).append(program)
    return [sorted(family, key=lambda program: int(program["timesteps"])) for family in found.values()]


def maps(document: Document) -> list[Plot]:
    """Rate against T, a drawing for every family of programs and every model: who costs less, and where ours lie."""
    return [
        _map(family, name, f"map-{i}-{name}")
        for i, family in enumerate(_families(document))
        for name in family[0]["comparison"]["map"]
    ]


def _map(family: list[Document], model: str, name: str) -> Plot:
    drawn = family[-1]["comparison"]["map"][model]
    steps = drawn["timesteps"]
    fair, equal = ([min(max(100 * r, LOWEST), HIGHEST) for r in drawn[key]] for key in ("fair", "equal_bits"))
    least, most = ([pick(pair) for pair in zip(fair, equal, strict=True)] for pick in (min, max))
    spots = [(program["timesteps"], 100 * program["comparison"]["map"][model]["rate"]) for program in family]
    with plots.style():
        figure, (axis,) = plots.canvas(310)
        axis.fill_between(steps, LOWEST, least, color=SERIES[2], alpha=0.22, lw=0, label="SNN costs less")
        axis.fill_between(steps, most, HIGHEST, color=SERIES[1], alpha=0.18, lw=0, label="ANN costs less")
        axis.plot(steps, fair, color=SERIES[0], lw=1.6, label="even with fair ANN")
        axis.plot(steps, equal, color=SERIES[3], lw=1.4, ls=(0, (5, 2)), label="even with 8-bit ANN")
        axis.plot(*zip(*spots, strict=True), "D", color=PAPER, mec=INK, mew=1.4, ms=6, zorder=4, label="ours")
        axis.set(xscale="log", yscale="log", xlim=(1, steps[-1]), ylim=(LOWEST, HIGHEST))
        axis.set_xlabel("timesteps T")
        axis.set_ylabel("rate at spiking synapses (%)")
        axis.xaxis.set_major_locator(FixedLocator([1, 2, 5, 10, 25, 50]))
        axis.xaxis.set_minor_locator(NullLocator())
        for along in (axis.xaxis, axis.yaxis):
            along.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        plots.key(axis)
        place(axis, [(t, rate, f"T = {t}") for t, rate in spots], spots)
        told = [_point(program, model) for program in family]
        if family[0]["encoding"] == "rate" and model != "arithmetic-45nm":
            axis.plot(*PUBLISHED, "x", color=MUTED, mew=1.8, ms=7, zorder=4, label="Yan et al.")
            plots.key(axis)
        title = f"{_network(family)}, {family[0]['encoding']} coding, {model}"
        caption = (
            "Below both lines the spiking network costs less "
            "than either ANN; a line on the lower edge means that no rate is low enough. Diamonds: our programs."
        )
        return plots.finish(figure, name, title, caption, "; ".join(told))


def _network(family: list[Document]) -> str:
    """The network's name without T, or of a single program its own."""
    if len(family) == 1:
        return str(family[0]["name"])
    return str(family[0]["program"]).rpartition("-t")[0] or str(family[0]["program"])


def _point(program: Document, model: str) -> str:
    won = program["comparison"]["models"][model]["winner"]
    rate = percent(program["comparison"]["map"][model]["rate"], 1)
    return f"T = {program['timesteps']}, rate {rate}: {won['fair']} costs less against the fair ANN"


def energies(document: Document) -> Plot | None:
    """Every model's energy of every program that it has figures for, on one logarithmic axis."""
    names = [n for n in document["models"] if any(_energy(p, n) for p in document["programs"])]
    if not names:
        return None
    with plots.style():
        figure, (axis,) = plots.canvas(90 + 26 * len(names))
        for i, program in enumerate(document["programs"][: len(MARKERS) * 2]):
            spots = [(value, y) for y, name in enumerate(names) if (value := _energy(program, name))]
            face = SERIES[i % len(SERIES)] if i < len(MARKERS) else PAPER
            colour, marker = SERIES[i % len(SERIES)], MARKERS[i % len(MARKERS)]
            axis.plot(*zip(*spots, strict=True), marker, mec=colour, mfc=face, label=program["name"])
        axis.set_xscale("log")
        axis.set_xlabel("nJ a sample")
        axis.set_yticks(range(len(names)), names)
        axis.invert_yaxis()
        plots.key(axis)
        told = "; ".join(
            f"{name}: " + ", ".join(f"{p['name']} {number(_energy(p, name))} nJ" for p in document["programs"])
            for name in names
        )
        caption = (
            "A model without a figure for something that was executed has no mark. Compare programs under one model."
        )
        return plots.finish(figure, "energies", "Energy by model", caption, told)


def _energy(program: Document, name: str) -> float | None:
    value: float | None = program["energy"][name]["event"]["nanojoules"]
    return value


def components(document: Document) -> list[Plot]:
    """What an energy consists of, a bar a program and a drawing a model with parts."""
    parted = [name for name, model in document["models"].items() if model["kind"] in ("arithmetic", "memory")]
    return [_components(document, name) for name in parted]


def _components(document: Document, name: str) -> Plot:
    programs = document["programs"]
    shares = [program["energy"][name]["event"]["components"] for program in programs]
    parts = list(dict.fromkeys(part for share in shares for part in share))
    with plots.style():
        figure, (axis,) = plots.canvas(110 + 30 * len(programs))
        left = [0.0] * len(programs)
        for i, part in enumerate(parts):
            values = [100 * share.get(part, 0.0) / sum(share.values()) for share in shares]
            axis.barh(range(len(programs)), values, left=left, height=0.62, color=COLOURS[i], label=part)
            left = [a + b for a, b in zip(left, values, strict=True)]
        axis.set_yticks(range(len(programs)), [program["name"] for program in programs])
        axis.invert_yaxis()
        axis.grid(visible=False, axis="y")
        axis.set_xlim(0, 100)
        axis.set_xlabel("share of the energy (%)")
        plots.key(axis)
        told = [f"{p['name']}: {number(sum(s.values()))} nJ" for p, s in zip(programs, shares, strict=True)]
        caption = f"Event by event. Totals: {'; '.join(told)}."
        title = f"What it consists of, {name}"
        return plots.finish(figure, f"components-{name}", title, caption, _parts(programs, shares))


def _parts(programs: list[Document], shares: list[dict[str, float]]) -> str:
    return "; ".join(
        f"{program['name']}: " + ", ".join(f"{part} {number(value)} nJ" for part, value in share.items())
        for program, share in zip(programs, shares, strict=True)
    )


def steps(document: Document) -> list[Plot]:
    """What one more step costs and what zeros save in it, a drawing a model."""
    programs = [program for program in document["programs"] if program["overhead"]]
    if not programs:
        return []
    names = [name for name in programs[0]["overhead"]["energy"] if name != "dram-45nm"]
    return [_steps(programs, name) for name in names]


def _steps(programs: list[Document], name: str) -> Plot:
    found = [program["overhead"]["energy"][name] for program in programs]
    with plots.style():
        figure, (axis,) = plots.canvas(110 + 30 * len(programs))
        rows, dense = range(len(found)), [one["updates"] + one["spikes"] + one["saved"] for one in found]
        own = [one["updates"] + one["spikes"] for one in found]
        axis.plot([one["updates"] for one in found], rows, "o", color=SERIES[0], label="updates alone")
        axis.plot(own, rows, "s", mfc=PAPER, mec=SERIES[1], mew=1.6, ms=7, label="updates and spikes")
        axis.plot(dense, rows, "|", color=INK, ms=14, mew=2, label="every input computed")
        axis.set_yticks(range(len(programs)), [program["name"] for program in programs])
        axis.invert_yaxis()
        plots.cost_axis(axis, "x", [*dense, *own, *(one["updates"] for one in found)])
        axis.set_xlabel("nJ a further step")
        plots.key(axis, columns=1)
        told = "; ".join(
            f"{p['name']}: {number(one['updates'])} nJ of updates, {number(one['spikes'])} of spikes"
            for p, one in zip(programs, found, strict=True)
        )
        caption = (
            "Step T + 1: what its neurons cost alone, with its spikes event by event, and with every input computed."
        )
        return plots.finish(figure, f"steps-{name}", f"One more step, {name}", caption, told)
