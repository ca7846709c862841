"""What a step size costs, and the f-I curve: measured by simulation and set against the closed form."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from leanspike.core.records import to_dict
from leanspike.physics.closed_form import Floats, beta, crossing_delay, rheobase, solve, spike_rate
from leanspike.physics.integrate import METHODS, simulate
from leanspike.physics.neuron import Drive, NeuronPhysics

HALVINGS = 7
PLACEMENTS = (("euler", "grid"), ("rk4", "grid"), ("euler", "linear"), ("rk4", "linear"), ("exponential", "exact"))
OVERDRIVES = np.linspace(1.5, 3.0, 16)  # currents over which spike-time errors are averaged, in rheobases
SPIKES = 4  # spikes of each train that are compared


@dataclasses.dataclass(frozen=True)
class Convergence:
    """Errors ``[E]`` of one method at the step sizes ``dt`` ``[E]`` (s), and the order: the fitted log-log slope.

    ``order`` is ``None`` where the errors are at rounding and have no slope.
    """

    method: str
    dt: tuple[float, ...]
    error: tuple[float, ...]
    order: float | None


@dataclasses.dataclass(frozen=True)
class RateCurve:
    """Rates in hertz at ``current`` ``[C]`` amperes: simulated with steps of ``dt`` s, and the closed form's.

    ``crossing`` says where a spike is placed in its step (see :mod:`leanspike.physics.integrate`).
    """

    refractory: float
    dt: float
    crossing: str
    current: tuple[float, ...]
    simulated: tuple[float, ...]
    exact: tuple[float, ...]


def step_sizes(neuron: NeuronPhysics) -> list[float]:
    """tau/2, tau/4, ... seconds: coarse enough for RK4's error to stand clear of rounding."""
    return [neuron.tau / 2**k for k in range(1, HALVINGS + 1)]


def staircase(neuron: NeuronPhysics) -> Drive:
    """A current below the rheobase that steps up and down every 2 tau, on the grid of every step size used."""
    levels = (0.9, 0.2, 0.6, -0.5, 0.8)
    starts = tuple(2 * neuron.tau * i for i in range(len(levels)))
    return Drive(starts, tuple(level * rheobase(neuron) for level in levels))


def order(dt: list[float], error: list[float], floor: float) -> float | None:
    """Slope of log(error) against log(dt) over the errors above ``floor``; ``None`` with fewer than three."""
    pairs = np.array([(math.log(h), math.log(e)) for h, e in zip(dt, error, strict=True) if e > floor])
    return float(np.polyfit(pairs[:, 0], pairs[:, 1], 1)[0]) if len(pairs) >= 3 else None


def membrane_convergence(neuron: NeuronPhysics) -> list[Convergence]:
    """Largest error of V (volts) under the staircase current, which fires no spike, for every method."""
    drive, found = staircase(neuron), []
    floor = 1e-13 * (neuron.threshold - neuron.rest)
    for method in METHODS:
        errors = []
        for dt in step_sizes(neuron):
            span = dataclasses.replace(neuron, dt=dt, duration=10 * neuron.tau, current=0.0)
            trace = simulate(span, drive, method)
            errors.append(float(np.abs(trace.potential - solve(span, drive).at(trace.times)).max()))
        found.append(
            Convergence(method, tuple(step_sizes(neuron)), tuple(errors), order(step_sizes(neuron), errors, floor))
        )
    return found


def spike_convergence(neuron: NeuronPhysics) -> list[Convergence]:
    """Mean error (s) of the first spikes over a range of currents, for every method and placement of the spike."""
    found = []
    for method, crossing in PLACEMENTS:
        errors = [_spike_error(neuron, dt, method, crossing) for dt in step_sizes(neuron)]
        slope = order(step_sizes(neuron), errors, 1e-12 * neuron.tau)
        found.append(Convergence(f"{method}, {crossing}", tuple(step_sizes(neuron)), tuple(errors), slope))
    return found


def _spike_error(neuron: NeuronPhysics, dt: float, method: str, crossing: str) -> float:
    errors: list[Floats] = []
    for current in OVERDRIVES * rheobase(neuron):
        drive = Drive.constant(float(current))
        first = crossing_delay(neuron.tau, neuron.rest, neuron.steady(float(current)), neuron.threshold)
        period = 1 / spike_rate(neuron, float(current))
        span = dataclasses.replace(neuron, dt=dt, duration=first + (SPIKES + 1) * (period + 2 * dt), current=0.0)
        exact, measured = solve(span, drive).spikes[:SPIKES], simulate(span, drive, method, crossing).spikes[:SPIKES]
        errors.append(np.abs(measured - exact))
    return float(np.mean(errors))


def rate_curve(neuron: NeuronPhysics, refractory: float, crossing: str, points: int = 26) -> RateCurve:
    """The f-I curve from 0 to 4 rheobases, each rate measured on simulated spikes with the exponential step.

    The step is the neuron's, but at least tau/500, so that a very fine one does not take minutes. No point lies on
    the rheobase itself, where rounding alone decides whether the neuron fires.
    """
    quiet = dataclasses.replace(neuron, refractory=refractory, dt=max(neuron.dt, neuron.tau / 500), current=0.0)
    currents = [4 * rheobase(neuron) * i / (points - 1) for i in range(points)]
    simulated = [measured_rate(quiet, current, crossing) for current in currents]
    exact = [spike_rate(quiet, current) for current in currents]
    return RateCurve(refractory, quiet.dt, crossing, tuple(currents), tuple(simulated), tuple(exact))


def measured_rate(neuron: NeuronPhysics, current: float, crossing: str) -> float:
    """Rate in hertz: the inverse of the mean interval over 10 tau and 10 periods; 0 with fewer than two spikes."""
    expected = spike_rate(neuron, current)
    span = 10 * neuron.tau + (10 / expected if expected > 0 else 0)
    trace = simulate(dataclasses.replace(neuron, duration=span), Drive.constant(current), "exponential", crossing)
    if trace.spikes.size < 2:
        return 0.0
    return float((trace.spikes.size - 1) / (trace.spikes[-1] - trace.spikes[0]))


def summary(neuron: NeuronPhysics) -> dict[str, Any]:
    """Every number of the page as plain JSON values; SI units."""
    exact, euler = beta(neuron.tau, neuron.dt), beta(neuron.tau, neuron.dt, "euler")
    spikes = solve(neuron, Drive.constant(neuron.current)).spikes
    return {
        "parameters": to_dict(neuron),
        "units": "SI: s, V, A, ohm, Hz",
        "rheobase": rheobase(neuron),
        "rate": spike_rate(neuron, neuron.current),
        "spikes": spikes.tolist(),
        "beta": {"exact": exact, "euler": euler, "difference": exact - euler, "euler_stable_below_dt": 2 * neuron.tau},
        "membrane_error": [to_dict(item) for item in membrane_convergence(neuron)],
        "spike_time_error": [to_dict(item) for item in spike_convergence(neuron)],
        "fi": [
            to_dict(rate_curve(neuron, refractory, crossing))
            for refractory in sorted({0.0, neuron.refractory})
            for crossing in ("exact", "grid")
        ],
    }
