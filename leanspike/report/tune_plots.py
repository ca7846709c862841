"""A tune's drawings: accuracy against each cost with the front and the chosen point; importances as bars."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from leanspike.measure import pareto
from leanspike.report import plots
from leanspike.report.formats import percent
from leanspike.report.labels import place
from leanspike.report.plots import INK, MUTED, PAPER, SERIES, Plot
from leanspike.report.tuned import UNITS, Tuned, goal, shown

SHOWN = 10  # settings of an importance plot
CROWD = 8  # points on a front that are all named


def fronts(tuned: Tuned) -> list[Plot]:
    """Accuracy against every cost; without accuracy among the goals, the first cost against the others."""
    if len(tuned.finished) < 2 or len(tuned.aims) < 2:
        return []
    up = "accuracy" if "accuracy" in tuned.aims else tuned.aims[0]
    return [_front(tuned, up, aim) for aim in tuned.aims if aim != up]


def importances(tuned: Tuned) -> list[Plot]:
    """A bar for every setting, a drawing for every goal."""
    found: Mapping[str, Mapping[str, float]] = tuned.study.importance or {}
    return [_bars(aim, found[aim]) for aim in tuned.aims if found.get(aim)]


def _front(tuned: Tuned, up: str, cost: str) -> Plot:
    scale = 100.0 if up == "accuracy" else 1.0
    spots = [(goal(trial, cost), scale * goal(trial, up)) for trial in tuned.finished]
    on = pareto.front(spots, ["min", "max" if up == "accuracy" else "min"])
    line = sorted(spot for spot, is_on in zip(spots, on, strict=True) if is_on)
    winners = [spot for trial, spot in zip(tuned.finished, spots, strict=True) if trial in tuned.front]
    beaten = [spot for trial, spot in zip(tuned.finished, spots, strict=True) if trial not in tuned.front]
    with plots.style():
        figure, (axis,) = plots.canvas(300)
        axis.step(*zip(*line, strict=True), where="post", color=SERIES[0], lw=1.4)
        if beaten:
            axis.plot(*zip(*beaten, strict=True), "o", mfc=PAPER, mec=MUTED, mew=1.1, ms=4.5, label="beaten")
        axis.plot(*zip(*winners, strict=True), "o", color=SERIES[0], zorder=3, label="on the front")
        if tuned.chosen:
            at = goal(tuned.chosen, cost), scale * goal(tuned.chosen, up)
            axis.plot(*at, "D", color=SERIES[1], mec=INK, mew=0.8, ms=8, zorder=4, label="chosen")
        axis.set_xlabel(UNITS[cost])
        axis.set_ylabel(UNITS[up])
        plots.cost_axis(axis, "x", [x for x, _ in spots])
        axis.margins(y=0.14)
        if up == "accuracy":
            _near_the_front(axis, [y for _, y in winners])
            plots.share_axis(axis)
        plots.key(axis, columns=3)
        named = _named(tuned, up, cost, line)
        place(axis, [(x, y, text) for x, y, text in named if axis.get_ylim()[0] <= y], spots)
        hidden = sum(y < axis.get_ylim()[0] for _, y in spots)
        below = f" {hidden} worse ones lie below the drawing." if hidden else ""
        note = f"A dot for every finished trial, on validation samples; numbers are trials.{below}"
        told = "; ".join(f"trial {text[1:]}: {shown(cost, x)}, {_up(up, y)}" for x, y, text in named)
        title = f"{up.capitalize()} against {cost}"
        return plots.finish(figure, f"front-{cost}", title, note, f"On this front: {told}")


def _near_the_front(axis: Axes, winners: list[float]) -> None:
    """Show the accuracies of the front, and beaten trials no further below it than it is tall (or 3 points)."""
    low, high = min(winners), max(winners)
    reach = max(high - low, 3.0)
    bottom, top = axis.get_ylim()
    axis.set_ylim(max(bottom, low - 0.6 * reach), min(top, high + 0.25 * reach))


def _named(tuned: Tuned, up: str, cost: str, line: list[tuple[float, float]]) -> list[tuple[float, float, str]]:
    """The points of a drawing's own front that get a label: all, or the chosen and every so many where they crowd."""
    scale = 100.0 if up == "accuracy" else 1.0
    found: dict[tuple[float, float], str] = {}
    for trial in reversed(tuned.finished):
        spot = goal(trial, cost), scale * goal(trial, up)
        if spot in line or trial is tuned.chosen:
            found[spot] = f"#{trial.number}"
    order = sorted(found)
    step = -(-len(order) // CROWD)
    chosen = (goal(tuned.chosen, cost), scale * goal(tuned.chosen, up)) if tuned.chosen else None
    return [(*spot, found[spot]) for i, spot in enumerate(order) if i % step == 0 or spot == chosen]


def _up(up: str, value: float) -> str:
    return percent(value / 100) if up == "accuracy" else shown(up, value)


def _bars(aim: str, shares: Mapping[str, float]) -> Plot:
    order = sorted(shares.items(), key=lambda item: (-item[1], item[0]))[:SHOWN]
    places = np.arange(len(order))[::-1]
    with plots.style():
        figure, (axis,) = plots.canvas(60 + 26 * len(order))
        axis.barh(places, [100 * share for _, share in order], color=SERIES[0], height=0.62)
        axis.set_yticks(places, [key for key, _ in order])
        axis.set_xlabel("share of the variance (%)")
        axis.set_xlim(0, max(100 * order[0][1] * 1.15, 1.0))
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.grid(visible=False, axis="y")
        told = "; ".join(f"{key}: {percent(share, 0)}" for key, share in order)
        return plots.finish(figure, f"importance-{aim}", f"What {aim} depends on", "", told)
