"""Stopping early: anytime accuracy and the confidence exit, a curve for each T."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from leanspike.measure.records import TrialRecord
from leanspike.report import plots
from leanspike.report.formats import percent
from leanspike.report.overview import Group, Overview
from leanspike.report.plots import DASHES, MARKERS, SERIES, Plot

Curve = tuple[Sequence[float], Sequence[float]]
Floats = npt.NDArray[np.float64]


def early(overview: Overview) -> list[Plot]:
    """Anytime accuracy and the confidence exit, a curve for each T."""
    return [plot for plot in (_anytime(overview), _exits(overview)) if plot is not None]


def _anytime(overview: Overview) -> Plot | None:
    drawn = [(group, curve) for group in _few(overview) if (curve := _mean_curve(group, _anytime_points))]
    if not drawn:
        return None
    with plots.style():
        figure, (axis,) = plots.canvas()
        for i, (group, (t, accuracy)) in enumerate(drawn):
            axis.plot(t, 100 * accuracy, color=SERIES[i], ls=DASHES[i], label=overview.short(group))
            axis.plot(t[-1], 100 * accuracy[-1], marker=MARKERS[i], color=SERIES[i])
        cut = _zoom(axis, [accuracy for _, (_, accuracy) in drawn])
        axis.set_xlabel("stopped after step t")
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axis.set_ylabel("test accuracy (%)")
        plots.key(axis, columns=4)
        told = "; ".join(
            f"{overview.short(group)}: {percent(float(a[0]))} after 1 step, {percent(float(a[-1]))} after {len(t)}"
            for group, (t, a) in drawn
        )
        note = "Each network, trained for its own T, read out after every step."
        return plots.finish(figure, "anytime", "Anytime accuracy", note + cut, told)


def _exits(overview: Overview) -> Plot | None:
    drawn = [(group, curve) for group in _few(overview) if (curve := _mean_curve(group, _exit_points))]
    if not drawn:
        return None
    with plots.style():
        figure, (axis,) = plots.canvas()
        for i, (group, (steps, accuracy)) in enumerate(drawn):
            axis.plot(
                steps,
                100 * accuracy,
                color=SERIES[i],
                ls=DASHES[i],
                marker=MARKERS[i],
                ms=3.5,
                label=overview.short(group),
            )
        cut = _zoom(axis, [accuracy for _, (_, accuracy) in drawn])
        axis.set_xlabel("mean steps used")
        axis.set_ylabel("test accuracy (%)")
        plots.cost_axis(axis, "x", [float(value) for _, (steps, _) in drawn for value in steps])
        plots.key(axis, columns=4)
        told = "; ".join(f"{overview.short(group)}: {_exit_told(*curve)}" for group, curve in drawn)
        note = "A point a threshold: a sample stops at the first step whose softmax confidence reaches it (SEENN-I)."
        return plots.finish(figure, "exits", "Confidence exit", note + cut, told)


def _exit_told(steps: Floats, accuracy: Floats) -> str:
    """The fewest mean steps that stay within 0.1 point of waiting for all of them."""
    enough = [i for i in range(len(steps)) if accuracy[i] >= accuracy[-1] - 0.001]
    i = min(enough, key=lambda index: float(steps[index]))
    stopped, whole = (f"{percent(float(accuracy[j]))} with {steps[j]:.2f} steps on average" for j in (i, -1))
    return f"{stopped}; with the highest threshold {whole}"


def _few(overview: Overview) -> Sequence[Group]:
    """At most six groups, spread over the study, that have stopped-early curves."""
    groups = [group for group in overview.groups if any(trial.anytime or trial.exit_curve for trial in group.trials)]
    if overview.is_search:
        groups = sorted(groups, key=lambda group: group.middle("accuracy") or 0.0, reverse=True)[:4]
    if len(groups) <= len(SERIES):
        return groups
    picks = np.linspace(0, len(groups) - 1, len(SERIES)).round().astype(int)
    return [groups[i] for i in picks]


def _mean_curve(group: Group, points: Callable[[TrialRecord], Curve | None]) -> tuple[Floats, Floats] | None:
    """Point by point mean over the seeds whose curves have the same number of points as the first."""
    curves = [curve for trial in group.trials if (curve := points(trial)) is not None and len(curve[0])]
    same = [curve for curve in curves if len(curve[0]) == len(curves[0][0])]
    if not same:
        return None
    x, y = (np.mean([curve[axis] for curve in same], axis=0) for axis in (0, 1))
    return x, y


def _anytime_points(trial: TrialRecord) -> Curve | None:
    return (trial.anytime.t, trial.anytime.accuracy) if trial.anytime else None


def _exit_points(trial: TrialRecord) -> Curve | None:
    return (trial.exit_curve.mean_steps, trial.exit_curve.accuracy) if trial.exit_curve else None


def _zoom(axis: Axes, curves: list[Floats]) -> str:
    """Show where the curves live, and say so if the poor accuracies of the very first steps fall below the axis."""
    best = 100 * max(float(accuracy.max()) for accuracy in curves)
    low = 100 * min(float(np.median(accuracy)) for accuracy in curves)
    least = 100 * min(float(accuracy.min()) for accuracy in curves)
    bottom = max(0.0, low - 3 * (best - low) - 1)
    bottom, cut = (bottom, " Lower points are cut off.") if least < bottom - 3 else (min(bottom, least - 0.5), "")
    axis.set_ylim(max(bottom, least - 0.1 * (best - least) - 0.2), best + 0.06 * (best - low) + 0.2)
    return cut
