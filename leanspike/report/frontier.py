"""The Pareto front of the spiking networks: accuracy against one cost, with the settings that nothing beats in both."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from leanspike.measure import pareto
from leanspike.report import plots
from leanspike.report.formats import microseconds, number
from leanspike.report.labels import place
from leanspike.report.overview import Group, Overview, measured
from leanspike.report.plots import INK, MUTED, PAPER, SERIES, Plot

COSTS = {
    "operations": ("synaptic operations a sample (MAC + AC)", number),
    "spikes_per_sample": ("spikes a sample", number),
    "latency_p50": ("latency a sample, median (µs)", microseconds),
}


def fronts(overview: Overview) -> list[Plot]:
    """Accuracy against operations (against spikes where those were not counted) and against latency."""
    work = _front(overview, "operations") or _front(overview, "spikes_per_sample")
    return [plot for plot in (work, _front(overview, "latency_p50")) if plot is not None]


def _front(overview: Overview, key: str) -> Plot | None:
    groups = [group for group in overview.groups if group.values(key) and group.values("accuracy")]
    anns = [ann for ann in overview.anns if ann.values(key) and ann.values("accuracy")]
    if len(groups) < 2:
        return None
    x, y = _place(groups, key)
    on = pareto.front(np.column_stack([x, y]), ["min", "max"])
    order = sorted(np.flatnonzero(on).tolist(), key=lambda i: x[i])
    label, words = COSTS[key]
    with plots.style():
        figure, (axis,) = plots.canvas(300)
        axis.step([x[i] for i in order], [y[i] for i in order], where="post", color=SERIES[0], lw=1.4)
        _points(axis, [x[i] for i in order], [y[i] for i in order], "on the front", SERIES[0], SERIES[0])
        rest = np.flatnonzero(~on).tolist()
        _points(axis, [x[i] for i in rest], [y[i] for i in rest], "beaten", PAPER, MUTED)
        ann_x, ann_y = _place(anns, key)
        if anns:
            axis.plot(ann_x, ann_y, "s", color=INK, label="ANN")
        axis.set_xlabel(label)
        axis.set_ylabel("test accuracy (%)")
        plots.cost_axis(axis, "x", [*x, *ann_x])
        axis.margins(y=0.14)
        plots.share_axis(axis)
        plots.key(axis, columns=3)
        named = order if overview.is_search else range(len(groups))
        place(axis, [(x[i], y[i], overview.short(groups[i])) for i in named], [*zip(x, y, strict=True)])
        members = [f"{overview.short(groups[i])}: {words(x[i])}, {y[i]:.2f} %" for i in order]
        rows = " Numbers are rows of the table." if overview.is_search else ""
        note = f"On the front: no other spiking network is at least as good in both. Means over seeds.{rows}"
        title = f"Accuracy against {label.partition(' (')[0].partition(' a sample')[0]}"
        name = f"pareto-{key.replace('_', '-')}"
        return plots.finish(figure, name, title, note, f"On the front: {'; '.join(members)}")


def _place(groups: Sequence[Group], key: str) -> tuple[list[float], list[float]]:
    return [measured(group, key) for group in groups], [100 * measured(group, "accuracy") for group in groups]


def _points(axis: Axes, x: list[float], y: list[float], label: str, face: str, edge: str) -> None:
    if x:
        axis.plot(x, y, "o", mfc=face, mec=edge, mew=1.3, zorder=3, label=label)
