"""What each searched or listed setting does: validation accuracy against its value, a dot for every configuration."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.ticker import MaxNLocator

from leanspike.report import plots
from leanspike.report.formats import percent
from leanspike.report.overview import Group, Overview, measured
from leanspike.report.plots import MUTED, PAPER, SERIES, Plot

SHOWN = 6


def settings(overview: Overview, chosen: Group | None) -> list[Plot]:
    """A plot a setting that varies and is a number, T among them; empty where no setting varies but T."""
    if not overview.is_search:
        return []
    judged = any(group.values("validation_accuracy") for group in overview.groups)
    key = "validation_accuracy" if judged else "accuracy"
    groups = [group for group in overview.groups if group.values(key)]
    made: list[Plot] = []
    for name in ("timesteps T", *overview.varied):
        values = [_number(group, name) for group in groups]
        known = [value for value in values if value is not None]
        if len(known) == len(values) and len(set(known)) > 1 and len(made) < SHOWN:
            made.append(_scatter(f"setting-{len(made) + 1}", name, groups, known, key, chosen))
    return made


def _number(group: Group, name: str) -> float | None:
    """The value of a setting, ``None`` if it is not a number."""
    if name == "timesteps T":
        return float(group.timesteps)
    try:
        return float(dict(group.parameters)[name])
    except (KeyError, ValueError):
        return None


def _scatter(anchor: str, name: str, groups: Sequence[Group], x: list[float], key: str, chosen: Group | None) -> Plot:
    y = [100 * measured(group, key) for group in groups]
    with plots.style():
        figure, (axis,) = plots.canvas(230)
        axis.plot(x, y, "o", mfc=PAPER, mec=MUTED, mew=1.3)
        for value, accuracy, group in zip(x, y, groups, strict=True):
            if group is chosen:
                axis.plot(value, accuracy, "o", color=SERIES[0], label=f"row {group.number}, chosen")
        if min(x) > 0 and max(x) / min(x) > 8:
            plots.cost_axis(axis, "x", x)
        else:
            axis.xaxis.set_major_locator(MaxNLocator(6, integer=name == "timesteps T"))
        axis.set_xlabel(name)
        axis.set_ylabel("validation accuracy (%)" if key == "validation_accuracy" else "test accuracy (%)")
        plots.share_axis(axis)
        plots.key(axis)
        best = max(range(len(y)), key=lambda i: y[i])
        told = f"{len(y)} configurations; best at {name} = {x[best]:.4g}: {percent(y[best] / 100)}"
        return plots.finish(figure, anchor, f"Accuracy against {name}", "A dot for every configuration.", told)
