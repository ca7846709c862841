"""The Pareto front: accuracy against one cost, with the settings that nothing beats in both."""

from __future__ import annotations

import numpy as np

from leanspike.measure import pareto
from leanspike.report import plots
from leanspike.report.formats import microseconds, number
from leanspike.report.labels import place
from leanspike.report.overview import Overview, measured
from leanspike.report.plots import MUTED, PAPER, SERIES, Plot

COSTS = {
    "operations": ("synaptic operations a sample (MAC + AC)", number),
    "spikes_per_sample": ("spikes a sample", number),
    "latency_p50": ("latency a sample, median (µs)", microseconds),
}


def fronts(overview: Overview) -> list[Plot]:
    """Accuracy against operations and against latency, with the front marked."""
    made = [_front(overview, "operations"), _front(overview, "latency_p50")]
    if made[0] is None:
        made[0] = _front(overview, "spikes_per_sample")
    return [plot for plot in made if plot is not None]


def _front(overview: Overview, key: str) -> Plot | None:
    label, words = COSTS[key]
    groups = [group for group in overview.all_groups if group.values(key) and group.values("accuracy")]
    if len(groups) < 2:
        return None
    x = [measured(group, key) for group in groups]
    y = [100 * measured(group, "accuracy") for group in groups]
    on = pareto.front(np.column_stack([x, y]), ["min", "max"])
    with plots.style():
        figure, (axis,) = plots.canvas(300)
        order = sorted((i for i in range(len(x)) if on[i]), key=lambda i: x[i])
        axis.step(
            [x[i] for i in order], [y[i] for i in order], where="post", color=SERIES[0], lw=1.4, label="Pareto front"
        )
        for i, group in enumerate(groups):
            face = SERIES[0] if on[i] else PAPER
            axis.plot(
                x[i], y[i], "s" if group.is_ann else "o", mfc=face, mec=SERIES[0] if on[i] else MUTED, mew=1.3, zorder=3
            )
        axis.set_xlabel(label)
        axis.set_ylabel("test accuracy (%)")
        plots.cost_axis(axis, "x", x)
        plots.share_axis(axis)
        axis.margins(y=0.14)
        plots.key(axis)
        named = [i for i, group in enumerate(groups) if on[i] or group.is_ann or not overview.is_search]
        place(axis, [(x[i], y[i], overview.short(groups[i])) for i in named], list(zip(x, y, strict=True)))
        members = [f"{overview.short(groups[i])}: {words(x[i])}, {y[i]:.2f} %" for i in order]
        rows = " Numbers are rows of the table." if overview.is_search else ""
        note = f"Filled: on the front, not beaten in both accuracy and cost by any other point. Means over seeds.{rows}"
        title = f"Accuracy against {label.partition(' (')[0].partition(' a sample')[0]}"
        return plots.finish(
            figure, f"pareto-{key.replace('_', '-')}", title, note, f"On the front: {'; '.join(members)}"
        )
