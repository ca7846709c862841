"""Numerical integration of the LIF neuron: forward Euler, classical Runge-Kutta and the exact exponential step.

    f(V)         = (-(V - V_rest) + R I) / tau
    euler        V + h f(V)                                              error O(h)
    rk4          V + h/6 (k1 + 2 k2 + 2 k3 + k4)                         error O(h^4)
    exponential  V_inf + (V - V_inf) exp(-h/tau)                         exact for a current constant over the step

Where a step ends at or above the threshold, a spike lies in it. It is placed

    grid    at the end of the step, as networks with a fixed step do        error O(h)
    linear  where the straight line between the two potentials crosses      error O(h^2) of the step's curvature
    exact   where the exponential through the step's start crosses          exact
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from leanspike.core.records import require
from leanspike.physics.closed_form import Floats, crossing_delay
from leanspike.physics.neuron import Drive, NeuronPhysics

Step = Callable[[float, float, float, float], float]  # (V, V_inf, tau, h) -> V after h seconds


@dataclasses.dataclass(frozen=True)
class Trace:
    """``times`` ``[N+1]`` s and ``potential`` ``[N+1]`` V on the grid, from time 0 on; ``spikes`` ``[S]`` s."""

    times: Floats
    potential: Floats
    spikes: Floats


def euler(v: float, limit: float, tau: float, h: float) -> float:
    """One forward Euler step of ``h`` seconds."""
    return v + h * (limit - v) / tau


def rk4(v: float, limit: float, tau: float, h: float) -> float:
    """One classical fourth-order Runge-Kutta step of ``h`` seconds."""
    k1 = (limit - v) / tau
    k2 = (limit - (v + h / 2 * k1)) / tau
    k3 = (limit - (v + h / 2 * k2)) / tau
    k4 = (limit - (v + h * k3)) / tau
    return v + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def exponential(v: float, limit: float, tau: float, h: float) -> float:
    """One exact step of ``h`` seconds; ``expm1`` keeps the full precision for small ``h``."""
    return v + (v - limit) * math.expm1(-h / tau)


METHODS: dict[str, Step] = {"euler": euler, "rk4": rk4, "exponential": exponential}
CROSSINGS = ("grid", "linear", "exact")


def simulate(neuron: NeuronPhysics, drive: Drive, method: str = "exponential", crossing: str = "grid") -> Trace:
    """Integrate from rest over ``neuron.duration`` in steps of ``neuron.dt``.

    The current of a step is the drive's at the step's middle: exact wherever the drive changes on the grid.

    Raises:
        ConfigError: ``method`` or ``crossing`` is unknown.
    """
    require(method in METHODS, "method", method, f"one of {', '.join(METHODS)}")
    require(crossing in CROSSINGS, "crossing", crossing, f"one of {', '.join(CROSSINGS)}")
    count = max(1, round(neuron.duration / neuron.dt))
    times = np.arange(count + 1, dtype=np.float64) * np.float64(neuron.dt)
    which = np.searchsorted(drive.starts, times[:-1] + neuron.dt / 2, side="right") - 1
    limits = [neuron.steady(drive.amperes[i]) for i in which]
    potential, spikes = [neuron.rest], list[float]()
    v, silent_until = neuron.rest, 0.0
    edges = times.tolist()
    for start, end, limit in zip(edges, edges[1:], limits, strict=False):
        v, silent_until = _advance(neuron, METHODS[method], crossing, (start, end, limit), v, silent_until, spikes)
        potential.append(v)
    return Trace(times, np.array(potential), np.array(spikes, dtype=np.float64))


def _advance(
    neuron: NeuronPhysics,
    step: Step,
    crossing: str,
    span: tuple[float, float, float],
    v: float,
    silent_until: float,
    spikes: list[float],
) -> tuple[float, float]:
    """Carry V through one step, through as many spikes and refractory periods as lie in it."""
    t, end, limit = span
    while t < end:
        if t < silent_until:
            t, v = min(silent_until, end), neuron.reset
            continue
        after = step(v, limit, neuron.tau, end - t)
        if after < neuron.threshold:
            return after, silent_until
        t += _delay(neuron, crossing, v, after, limit, end - t)
        v, silent_until = neuron.reset, t + neuron.refractory
        spikes.append(t)
    return v, silent_until


def _delay(neuron: NeuronPhysics, crossing: str, v: float, after: float, limit: float, h: float) -> float:
    """Seconds from the start of a step of ``h`` seconds, in which V rises from ``v`` to ``after``, to its spike."""
    if crossing == "grid":
        return h
    if crossing == "linear":
        return h * (neuron.threshold - v) / (after - v)
    return min(h, crossing_delay(neuron.tau, v, limit, neuron.threshold))
