"""Accuracy and every cost against the number of timesteps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

from leanspike.report import plots
from leanspike.report.formats import interval, microseconds, number, percent
from leanspike.report.overview import Group, Overview, measured
from leanspike.report.plots import DASHES, INK, MARKERS, PAPER, SERIES, Plot


def tradeoffs(overview: Overview) -> list[Plot]:
    """Accuracy and every measured cost against T; empty in a search or without a spiking trial."""
    if overview.is_search or not overview.groups:
        return []
    made = [_accuracy(overview), _latency(overview), _spikes(overview), _operations(overview)]
    return [plot for plot in made if plot is not None]


def _accuracy(overview: Overview) -> Plot | None:
    groups = [group for group in overview.groups if group.values("accuracy")]
    if not groups:
        return None
    with plots.style():
        figure, (axis,) = plots.canvas()
        for i, (name, series) in enumerate(_named(overview)):
            series = [group for group in series if group.values("accuracy")]
            for group in series:
                _interval_bar(axis, group, SERIES[i])
                values = group.values("accuracy")
                if len(values) > 1:
                    spots = group.timesteps * np.linspace(0.95, 1.05, len(values))
                    axis.plot(
                        spots, 100 * np.array(values), ls="", marker="o", ms=3.2, mfc="none", mec=SERIES[i], mew=0.9
                    )
            _line(axis, i, series, [100 * measured(group, "accuracy") for group in series], name)
        for ann in overview.anns:
            _reference(axis, ann, "accuracy", percent, 100)
        plots.steps_axis(axis, [group.timesteps for group in groups])
        plots.share_axis(axis)
        axis.set_ylabel("test accuracy (%)")
        plots.key(axis, columns=1)
        told = "; ".join(
            f"{group.label}: {_told(group)}" for group in (*groups, *overview.anns) if group.values("accuracy")
        )
        many = max(len(group.values("accuracy")) for group in groups) > 1
        bars = "Mean over seeds, bar: its 95 % interval (Student's t); rings: single seeds." if many else ""
        single = "" if many else "One seed; bar: 95 % Wilson interval of the test sample."
        return plots.finish(figure, "accuracy", "Accuracy against timesteps", bars or single, told)


def _latency(overview: Overview) -> Plot | None:
    note = (
        "Solid: median; dotted: 99th percentile; one sample at a time, after a warm-up, one thread. Programs run on "
        "the integer engine, the ANN in PyTorch. Mean over seeds."
    )
    return _cost(
        overview,
        "latency",
        "Latency against timesteps",
        "latency a sample (µs)",
        ("latency_p50", "latency_p99"),
        microseconds,
        note,
    )


def _spikes(overview: Overview) -> Plot | None:
    note = "All spikes of all layers for one sample, mean over the test set and the seeds."
    return _cost(
        overview, "spikes", "Spikes against timesteps", "spikes a sample", ("spikes_per_sample",), number, note
    )


def _operations(overview: Overview) -> Plot | None:
    note = (
        "Accumulates (AC) are caused by spikes, multiply-accumulates (MAC) by values that are not 0 or 1; "
        "a MAC costs more than an AC, so compare kinds with care."
    )
    return _cost(
        overview,
        "operations",
        "Synaptic operations against timesteps",
        "operations a sample",
        ("acs", "macs"),
        number,
        note,
    )


def _cost(
    overview: Overview,
    name: str,
    title: str,
    label: str,
    keys: tuple[str, ...],
    words: Callable[[float | None], str],
    note: str,
) -> Plot | None:
    """One or two costs against T; the second is drawn dotted. The ANN is a horizontal line where it was measured."""
    groups = [group for group in overview.groups if group.values(keys[0])]
    if not groups:
        return None
    short = {"latency_p50": "p50", "latency_p99": "p99", "acs": "AC", "macs": "MAC", "spikes_per_sample": "spikes"}
    references = [(ann, key) for ann in overview.anns for key in keys if ann.middle(key) and key != "latency_p99"]
    values = [value for group in groups for key in keys for value in group.values(key) if value > 0]
    values += [measured(ann, key) for ann, key in references]
    with plots.style():
        figure, (axis,) = plots.canvas()
        for i, (curve, series) in enumerate(_named(overview)):
            for second, key in enumerate(keys):
                drawn = [group for group in series if group.middle(key)]
                legend = " ".join(part for part in (curve, short[key] if len(keys) > 1 else "") if part)
                _line(axis, i, drawn, [measured(group, key) for group in drawn], legend, dotted=bool(second))
        for ann, key in references:
            _reference(axis, ann, key, words, 1, short[key] if len(keys) > 1 else "")
        plots.steps_axis(axis, [group.timesteps for group in groups])
        plots.cost_axis(axis, "y", values or [0.0])
        axis.set_ylabel(label)
        plots.key(axis, columns=2)
        told = "; ".join(
            f"{group.label}: {', '.join(f'{short[key]} {words(group.middle(key))}' for key in keys)}"
            for group in groups + [ann for ann in overview.anns if any(ann.middle(key) for key in keys)]
        )
        return plots.finish(figure, name, title, note, told)


def _named(overview: Overview) -> list[tuple[str, list[Group]]]:
    """The curves over T, at most six; a single one needs no name beside "SNN"."""
    curves = list(overview.series.items())[: len(SERIES)]
    return [("SNN", series) for _, series in curves] if len(curves) == 1 else curves


def _line(axis: Axes, i: int, groups: list[Group], y: list[float], name: str, *, dotted: bool = False) -> None:
    face = PAPER if dotted else SERIES[i]
    axis.plot(
        [group.timesteps for group in groups],
        y,
        color=SERIES[i],
        marker=MARKERS[i],
        mfc=face,
        ls=DASHES[2] if dotted else "-",
        lw=1.3 if dotted else 1.8,
        label=name,
        zorder=3,
    )


def _interval_bar(axis: Axes, group: Group, colour: str) -> None:
    mean = group.mean("accuracy")
    bounds = (mean.lo, mean.hi) if mean and mean.lo is not None else group.trials[0].accuracy_ci95
    if bounds and bounds[0] is not None and bounds[1] is not None:
        low, high = max(0.0, bounds[0]), min(1.0, bounds[1])
        axis.plot([group.timesteps] * 2, [100 * low, 100 * high], color=colour, lw=1.2, marker="_", ms=7, alpha=0.85)


def _reference(axis: Axes, ann: Group, key: str, words: Callable[[float], str], scale: float, what: str = "") -> None:
    value = ann.middle(key)
    if value is not None:
        label = " ".join(part for part in ("ANN", what, words(value)) if part)
        axis.axhline(
            scale * value, color=INK, lw=1.1, ls=(0, (2, 2)) if what in ("p99", "MAC") else (0, (7, 3)), label=label
        )


def _told(group: Group) -> str:
    mean = group.mean("accuracy")
    return interval(mean) if mean else "not measured"
