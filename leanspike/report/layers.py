"""Spike activity: the firing rate of every layer against T."""

from __future__ import annotations

from leanspike.report import plots
from leanspike.report.formats import percent
from leanspike.report.overview import Group, Overview, measured
from leanspike.report.plots import DASHES, INK, MARKERS, SERIES, Plot

NOTE = "Mean spikes a neuron and step over the test set and the seeds; 100 % is a spike in every step."


def rates(overview: Overview) -> Plot | None:
    """Firing rates of the first curve of the study, or bars where it has one T; ``None`` where none was measured."""
    groups = [group for group in next(iter(overview.series.values()), []) if any(t.firing_rate for t in group.trials)]
    if not groups or overview.is_search:
        return None
    layers = list(dict.fromkeys(name for group in groups for trial in group.trials for name in trial.firing_rate or {}))
    with plots.style():
        figure, (axis,) = plots.canvas(230 if len(groups) > 1 else 90 + 28 * len(layers))
        if len(groups) > 1:
            for i, layer in enumerate(layers[: len(SERIES)]):
                drawn = [group for group in groups if group.values(f"rate:{layer}")]
                y = [100 * measured(group, f"rate:{layer}") for group in drawn]
                x = [group.timesteps for group in drawn]
                axis.plot(x, y, color=SERIES[i], ls=DASHES[i], marker=MARKERS[i], label=layer)
            plots.steps_axis(axis, [group.timesteps for group in groups])
            axis.set_ylabel("firing rate (%)")
            axis.set_ylim(
                0,
                1.12
                * max(
                    100 * measured(group, f"rate:{layer}")
                    for group in groups
                    for layer in layers
                    if group.values(f"rate:{layer}")
                )
                or 1.0,
            )
            plots.key(axis, columns=3)
        else:
            shares = [100 * measured(groups[0], f"rate:{layer}") for layer in layers]
            axis.barh(layers, shares, color=SERIES[0], height=0.6)
            for layer, share in zip(layers, shares, strict=True):
                axis.annotate(
                    f"{share:.2g} %", (share, layer), (4, 0), textcoords="offset points", va="center", color=INK
                )
            axis.invert_yaxis()
            axis.margins(x=0.18)
            axis.grid(visible=False, axis="y")
            axis.set_xlabel("firing rate (%)")
        told = "; ".join(f"{group.label}: {_told(group, layers)}" for group in groups)
        return plots.finish(figure, "rates", "Firing rate of each layer", NOTE, told)


def rate_table(overview: Overview) -> tuple[list[str], list[tuple[str, list[str]]]] | None:
    """Layer names, and for every group its label and a firing rate a layer; ``None`` where none was measured."""
    groups = [group for group in overview.groups if any(trial.firing_rate for trial in group.trials)]
    names = list(dict.fromkeys(name for group in groups for trial in group.trials for name in trial.firing_rate or {}))
    rows = [(overview.short(g), [percent(g.middle(f"rate:{name}"), 1) for name in names]) for g in groups]
    return (names, rows) if rows else None


def _told(group: Group, layers: list[str]) -> str:
    return ", ".join(f"{layer} {percent(group.middle(f'rate:{layer}'), 1)}" for layer in layers)
