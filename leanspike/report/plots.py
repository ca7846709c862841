"""Matplotlib figures as inline SVG that takes its colours and its typeface from the page.

Figures are drawn with place-holder colours; :func:`inline` replaces each by a CSS variable, so that one drawing serves
the light page, the dark page and print. Ids are prefixed by the figure's name, because all SVGs share the page's ids.
"""

from __future__ import annotations

import contextlib
import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

WIDTH = 350.0
INK, MUTED, GRID, PAPER = "#0a0b01", "#0a0b02", "#0a0b03", "#0a0b04"
SERIES = ("#0a0c01", "#0a0c02", "#0a0c03", "#0a0c04", "#0a0c05", "#0a0c06")
MARKERS = ("o", "s", "^", "D", "v", "P")
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 3)), (0, (3, 1)))
VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", PAPER: "--paper"} | {
    colour: f"--series-{i}" for i, colour in enumerate(SERIES, start=1)
}
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "leanspike",
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "axes.titlesize": 11.0,
    "axes.labelsize": 11.0,
    "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5,
    "legend.fontsize": 10.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.8,
    "lines.markersize": 5.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.unicode_minus": True,
    "path.simplify": False,
}


@dataclass(frozen=True)
class Plot:
    """One figure of the page.

    Args:
        name: unique on the page; letters, digits and hyphens.
        title: what it shows.
        svg: inline SVG.
        caption: how to read it, shown below.
        numbers: the key figures in words, for those who cannot see the drawing.
    """

    name: str
    title: str
    svg: str
    caption: str
    numbers: str


def canvas(height: float = 270.0, rows: int = 1, ratios: tuple[float, ...] | None = None) -> tuple[Figure, list[Axes]]:
    """A figure of ``rows`` stacked axes, ``WIDTH`` by ``height`` CSS pixels. Call it inside :func:`style`."""
    figure = Figure(figsize=(WIDTH / 72, height / 72), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, height_ratios=ratios)
    return figure, [axis for (axis,) in axes]


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The page's plot style, whatever the user's own matplotlib settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        yield


def finish(figure: Figure, name: str, title: str, caption: str, numbers: str) -> Plot:
    """Render ``figure`` to a :class:`Plot`. Call it inside :func:`style`."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return Plot(name, title, inline(buffer.getvalue(), name, title, numbers), caption, numbers)


def inline(svg: str, name: str, title: str, numbers: str) -> str:
    """Matplotlib's SVG document as an element of the page, named by ``title`` and described by ``numbers``."""
    body = svg[svg.index("<svg") :]
    head, body = body[: body.index(">")], body[body.index(">") + 1 :]
    box = re.search(r'viewBox="([^"]+)"', head)
    assert box is not None, "matplotlib writes a viewBox"
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<path d="[^"]*" style="fill: none"/>', "", body)
    body = re.sub(r"<[^>]*>", lambda tag: re.sub(r"\d+\.\d{3,}", _hundredths, tag[0]), body)
    body = re.sub(r'<g id="[a-z_0-9]+">', "<g>", body, flags=re.IGNORECASE)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for colour, variable in VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r" ?font-family: [^;\"]*;?", "", body)
    body = re.sub(r"<g>\s*</g>|<defs>\s*</defs>", "", body)
    body = re.sub(r" ?\n\s*", "\n", body)
    names = f'aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
    told = f'<title id="{name}-title">{html.escape(title)}</title><desc id="{name}-desc">{html.escape(numbers)}</desc>'
    return f'<svg class="plot" viewBox="{box[1]}" role="img" {names}>\n{told}{body}'


def steps_axis(axis: Axes, steps: list[int]) -> None:
    """A logarithmic axis of timesteps with a tick at each measured T, thinned where they would touch."""
    axis.set_xlabel("timesteps T")
    axis.set_xscale("log")
    ticks: list[int] = []
    for step in sorted(set(steps)):
        if not ticks or step / ticks[-1] > (max(steps) / min(steps)) ** 0.09:
            ticks.append(step)
    axis.xaxis.set_major_locator(FixedLocator(ticks))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_xlim(min(steps) / 1.25, max(steps) * 1.25)


def cost_axis(axis: Axes, which: str, values: list[float]) -> None:
    """An axis of counts or times: from zero, or logarithmic where the values span a decade."""
    along = axis.xaxis if which == "x" else axis.yaxis
    if min(values) > 0 and max(values) / min(values) > 8:
        axis.set(**{f"{which}scale": "log"})
        lo, hi = min(values) / 1.5, max(values) * 1.5
        ticks = [m * 10.0**e for e in range(-6, 16) for m in ((1, 2, 5) if hi / lo < 300 else (1,))]
        along.set_major_locator(FixedLocator([tick for tick in ticks if lo <= tick <= hi]))
        along.set_minor_locator(NullLocator())
        axis.set(**{f"{which}lim": (lo, hi)})
    else:
        axis.set(**{f"{which}lim": (0, max(values) * 1.12 or 1.0)})
        along.set_major_locator(MaxNLocator(5))
    along.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def share_axis(axis: Axes) -> None:
    """A vertical axis of percentages, with room for its marks but not beyond what is possible."""
    low, high = axis.get_ylim()
    axis.set_ylim(max(low, 0.0), min(high, 100.6))
    axis.yaxis.set_major_locator(MaxNLocator(6))


def _hundredths(coordinate: re.Match[str]) -> str:
    return f"{float(coordinate[0]):.2f}"


def _tick(value: float) -> str:
    """A round number as short as it goes: 5, 0.2, 10k."""
    size, unit = next(((s, u) for s, u in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if abs(value) >= s), (1.0, ""))
    return f"{value / size:g}{unit}"


def key(axis: Axes, columns: int = 2) -> None:
    """The legend above the axes, where it covers no data; none for a single unnamed curve."""
    handles, labels = axis.get_legend_handles_labels()
    if handles:
        axis.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=columns,
            borderaxespad=0.2,
            handlelength=2.0,
            columnspacing=1.2,
            borderpad=0.1,
        )
