"""Accuracy against the spread of parts: the mean of many circuits and the range of the middle 95 % of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from leanspike.report import plots
from leanspike.report.formats import percent
from leanspike.report.plots import DASHES, MARKERS, SERIES, Plot

Curves = Sequence[Mapping[str, Any]]


def mismatch_plots(curves: Curves) -> list[Plot]:
    """A drawing of everything at once, and one of sources and layers by themselves where they were measured.

    Args:
        curves: as in ``mismatch.json``, the one of everything first.
    """
    whole = [_plot("mismatch-all", "Everything off by sigma", curves[:1], band=True)]
    for kind, title in (("source", "One source at a time"), ("layer", "One layer at a time")):
        chosen = [one for one in curves[1:] if one["name"].startswith("layer ") == (kind == "layer")]
        whole += [_plot(f"mismatch-{kind}", title, chosen, band=False)] if chosen else []
    return whole


def compared(named: Mapping[str, Mapping[str, Any]], title: str) -> Plot:
    """The curves of everything of several programs in one drawing, by their names."""
    return _plot("mismatch-compared", title, [{**curve, "name": name} for name, curve in named.items()], band=True)


def _plot(name: str, title: str, curves: Curves, *, band: bool) -> Plot:
    told = []
    with plots.style():
        figure, (axis,) = plots.canvas(290)
        for i, curve in enumerate(curves):
            points = curve["points"]
            sigmas = np.array([point["sigma"] for point in points]) * 100
            mean = np.array([point["mean"] for point in points]) * 100
            middle = np.array([point["middle95"] for point in points]) * 100
            colour = SERIES[i % len(SERIES)]
            if band:
                axis.fill_between(sigmas, *middle.T, color=colour, alpha=0.18, lw=0)
            label = None if len(curves) == 1 else curve["name"]
            mark = MARKERS[i % len(MARKERS)]
            axis.plot(sigmas, mean, color=colour, ls=DASHES[i % len(DASHES)], marker=mark, ms=4, label=label)
            told.append(f"{curve['name']}: {percent(mean[-1] / 100)} at {sigmas[-1]:g} %")
        axis.set(xlabel="sigma of the parts (%)", ylabel="test accuracy (%)")
        plots.share_axis(axis)
        plots.key(axis, columns=2)
        circuits = curves[0]["points"][-1]["draws"]
        caption = f"Mean of {circuits} circuits a point." + (" Shaded: the middle 95 % of them." if band else "")
        return plots.finish(figure, name, title, caption, "; ".join(told))
