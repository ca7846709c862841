"""Three pictures of one neuron, as SVG text: its traces, the cost of the step size, and the f-I curve."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from leanspike.physics.closed_form import Solution, beta, solve, spike_rate
from leanspike.physics.experiments import staircase
from leanspike.physics.integrate import simulate
from leanspike.physics.neuron import Drive, NeuronPhysics

COLOURS = {"exponential": "#009e73", "rk4": "#0072b2", "euler": "#d55e00"}  # distinct to colour-blind readers too
MARKERS = {"exponential": "o", "rk4": "s", "euler": "^"}
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "leanspike",
}


def traces(neuron: NeuronPhysics) -> str:
    """Membrane potential under the constant current, and under a staircase below the rheobase, with coarse steps."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 6.4), layout="constrained")
        above, below = figure.subplots(2, 1)
        _draw_trains(above, neuron)
        _draw_staircase(below, neuron)
        return _svg(figure)


def errors(numbers: dict[str, Any]) -> str:
    """Error of V, error of the spike times, and the two betas against the step size; from :func:`summary`."""
    tau = numbers["parameters"]["tau"]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 4.2), layout="constrained")
        membrane, spikes, factor = figure.subplots(1, 3)
        _draw_convergence(membrane, numbers["membrane_error"], tau, 1e3, "largest error of V (mV)", "Potential")
        _draw_convergence(spikes, numbers["spike_time_error"], tau, 1e3, "mean error (ms)", "Spike times")
        _draw_beta(factor, NeuronPhysics(**numbers["parameters"]))
        return _svg(figure)


def rates(numbers: dict[str, Any]) -> str:
    """The f-I curve, simulated and in closed form, without and with the refractory period; from :func:`summary`."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 4.4), layout="constrained")
        axes = figure.subplots()
        refractories = sorted({curve["refractory"] for curve in numbers["fi"]})
        for colour, refractory in zip(("#0072b2", "#d55e00"), refractories, strict=False):
            exact, grid = (_curve(numbers, refractory, crossing) for crossing in ("exact", "grid"))
            amperes = np.array(exact["current"]) * 1e9
            label = f"$t_{{ref}}$ = {refractory * 1e3:g} ms"
            neuron = NeuronPhysics(**{**numbers["parameters"], "refractory": refractory, "current": 0.0})
            fine = np.linspace(0, amperes[-1], 801)
            line = [spike_rate(neuron, float(nano) * 1e-9) for nano in fine]
            axes.plot(fine, line, color=colour, label=f"closed form, {label}")
            axes.plot(
                amperes, exact["simulated"], "o", color=colour, ms=5, mfc="none", label="simulated, exact crossing"
            )
            grid_label = f"simulated, spikes on a {grid['dt'] * 1e3:g} ms grid"
            axes.plot(amperes, grid["simulated"], "x", color=colour, ms=5, label=grid_label)
        axes.axvline(numbers["rheobase"] * 1e9, color="#666666", lw=1, ls="--")
        axes.annotate(
            "rheobase", (numbers["rheobase"] * 1e9, 0.97), xycoords=("data", "axes fraction"),
            xytext=(-4, 0), textcoords="offset points", rotation=90, ha="right", va="top", color="#666666",
        )  # fmt: skip
        axes.set(xlabel="current I (nA)", ylabel="firing rate f (Hz)", title="f-I curve", ylim=(0, None))
        axes.legend(loc="lower right", fontsize=8)
        return _svg(figure)


def _draw_trains(axes: Axes, neuron: NeuronPhysics) -> None:
    coarse = dataclasses.replace(neuron, dt=min(neuron.tau / 8, neuron.duration))
    drive = Drive.constant(neuron.current)
    exact = solve(neuron, drive)
    axes.axhline(neuron.threshold * 1e3, color="#666666", lw=1, ls="--", label="threshold")
    axes.plot(*_with_jumps(exact, neuron), color="black", lw=1.4, label="closed form")
    for method in ("exponential", "euler"):
        trace = simulate(coarse, drive, method)
        label = f"{method}, dt = {coarse.dt * 1e3:g} ms"
        axes.plot(
            trace.times * 1e3,
            trace.potential * 1e3,
            MARKERS[method],
            ms=4,
            color=COLOURS[method],
            mfc="none",
            label=label,
        )
    for spike in exact.spikes * 1e3:
        axes.plot(
            [spike, spike], [1.02, 1.08], color="black", lw=1.4, transform=axes.get_xaxis_transform(), clip_on=False
        )
    axes.set(ylabel="V (mV)", xlim=(0, neuron.duration * 1e3))
    axes.set_title(f"Constant current, I = {neuron.current * 1e9:g} nA; bars: exact spikes", loc="left", pad=16)
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)


def _draw_staircase(axes: Axes, neuron: NeuronPhysics) -> None:
    drive = staircase(neuron)
    fine = dataclasses.replace(neuron, dt=neuron.tau / 100, duration=10 * neuron.tau, current=0.0)
    coarse = dataclasses.replace(fine, dt=neuron.tau / 2)
    times = np.linspace(0, fine.duration, 1001)
    axes.plot(times * 1e3, solve(fine, drive).at(times) * 1e3, color="black", lw=1.4, label="closed form")
    for method in ("exponential", "rk4", "euler"):
        trace = simulate(coarse, drive, method)
        label = f"{method}, dt = {coarse.dt * 1e3:g} ms"
        axes.plot(
            trace.times * 1e3,
            trace.potential * 1e3,
            MARKERS[method],
            ms=5,
            color=COLOURS[method],
            mfc="none",
            label=label,
        )
    axes.set(xlabel="time (ms)", ylabel="V (mV)", xlim=(0, fine.duration * 1e3))
    axes.set_title("Piecewise constant current below the rheobase", loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8)


def _with_jumps(solution: Solution, neuron: NeuronPhysics) -> tuple[list[float], list[float]]:
    """Times (ms) and potentials (mV) of the closed form, with a vertical line down at every spike."""
    grid = np.linspace(0, neuron.duration, 2001)
    before = np.nextafter(solution.spikes, 0)
    times = np.sort(np.concatenate([grid, before, solution.spikes]))
    return (times * 1e3).tolist(), (solution.at(times) * 1e3).tolist()


def _draw_convergence(
    axes: Axes, curves: list[dict[str, Any]], tau: float, scale: float, ylabel: str, title: str
) -> None:
    for curve in curves:
        method, _, placement = curve["method"].partition(", ")
        slope = "rounding" if curve["order"] is None else f"order {curve['order']:.2f}"
        style = {"grid": ":", "linear": "-", "exact": "-", "": "-"}[placement]
        label = f"{curve['method']}: {slope}"
        error = np.maximum(np.array(curve["error"]) * scale, 1e-17)
        axes.loglog(
            np.array(curve["dt"]) / tau, error, style, marker=MARKERS[method], ms=4, color=COLOURS[method], label=label
        )
    axes.set(xlabel="dt / tau", ylabel=ylabel)
    axes.set_title(title, loc="left")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def _draw_beta(axes: Axes, neuron: NeuronPhysics) -> None:
    ratio = np.linspace(0, 1, 101)[1:]
    exact = [beta(1.0, float(x)) for x in ratio]
    axes.plot(ratio, exact, color=COLOURS["exponential"], label="exp(-dt/tau): exact")
    euler = [beta(1.0, float(x), "euler") for x in ratio]
    axes.plot(ratio, euler, color=COLOURS["euler"], label="1 - dt/tau: Euler")
    here = neuron.dt / neuron.tau
    axes.plot(here, beta(neuron.tau, neuron.dt), "o", color="black", ms=5, label=f"this neuron, dt/tau = {here:g}")
    axes.set(xlabel="dt / tau", ylabel="beta", xlim=(0, 1), ylim=(0, 1.02))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_title("Decay a step", loc="left")
    axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18))


def _curve(numbers: dict[str, Any], refractory: float, crossing: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        curve for curve in numbers["fi"] if curve["refractory"] == refractory and curve["crossing"] == crossing
    )
    return found


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
