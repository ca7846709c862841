"""The LIF neuron without a step size: what every numerical method is measured against.

Between spikes, for a constant current I from time t0 on:

    V(t)  = V_inf + (V(t0) - V_inf) exp(-(t - t0)/tau),     V_inf = V_rest + R I
    t*    = t0 + tau ln((V_inf - V(t0)) / (V_inf - V_threshold))     crosses only if V_inf > V_threshold
    f(I)  = 1 / (t_ref + tau ln((V_inf - V_reset) / (V_inf - V_threshold)))
    I_rh  = (V_threshold - V_rest) / R     the rheobase: above it, and only above it, the neuron fires

With V_reset = V_rest and theta = V_threshold - V_rest the rate is f = 1/(t_ref + tau ln(RI/(RI - theta))).
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from leanspike.physics.neuron import Drive, NeuronPhysics

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Solution:
    """The exact trajectory as a chain of exponentials, and its spike times.

    ``starts``, ``begins``, ``limits``: ``[P]`` start time (s), potential at the start (V) and asymptote (V) of
    every piece; ``spikes``: ``[S]`` s; ``tau``: s.
    """

    starts: Floats
    begins: Floats
    limits: Floats
    spikes: Floats
    tau: float

    def at(self, times: npt.ArrayLike) -> Floats:
        """Potential in volts at ``times`` (s, any shape); at a spike itself, the potential after the reset."""
        t = np.asarray(times, dtype=np.float64)
        piece = np.searchsorted(self.starts, t, side="right") - 1
        decay = np.exp(-(t - self.starts[piece]) / self.tau)
        return self.limits[piece] + (self.begins[piece] - self.limits[piece]) * decay


def crossing_delay(tau: float, begin: float, limit: float, threshold: float) -> float:
    """Seconds until V, starting at ``begin`` and tending to ``limit``, reaches ``threshold``; ``inf`` if never."""
    if begin >= threshold:
        return 0.0
    return tau * math.log((limit - begin) / (limit - threshold)) if limit > threshold else math.inf


def solve(neuron: NeuronPhysics, drive: Drive) -> Solution:
    """Follow the neuron from rest through ``drive`` for ``neuron.duration``, from event to event."""
    pieces: list[tuple[float, float, float]] = []
    spikes: list[float] = []
    v, silent_until = neuron.rest, 0.0
    for start, end, amperes in drive.until(neuron.duration):
        t, limit = start, neuron.steady(amperes)
        while t < end:
            if t < silent_until:
                pieces.append((t, neuron.reset, neuron.reset))
                t = min(silent_until, end)
                continue
            pieces.append((t, v, limit))
            fires = t + crossing_delay(neuron.tau, v, limit, neuron.threshold)
            if fires >= end:
                v = limit + (v - limit) * math.exp(-(end - t) / neuron.tau)
                break
            spikes.append(fires)
            t, v, silent_until = fires, neuron.reset, fires + neuron.refractory
    starts, begins, limits = np.array(pieces, dtype=np.float64).T
    return Solution(starts, begins, limits, np.array(spikes, dtype=np.float64), neuron.tau)


def rheobase(neuron: NeuronPhysics) -> float:
    """The largest constant current, in amperes, at which the neuron stays silent for ever."""
    return (neuron.threshold - neuron.rest) / neuron.resistance


def spike_rate(neuron: NeuronPhysics, current: float) -> float:
    """Steady firing rate f(I) in hertz under a constant current in amperes; 0 at and below the rheobase."""
    delay = crossing_delay(neuron.tau, neuron.reset, neuron.steady(current), neuron.threshold)
    return 1 / (neuron.refractory + delay)


def beta(tau: float, dt: float, method: str = "exponential") -> float:
    """The factor by which a network's discrete LIF neuron multiplies V each step.

    ``exponential``: exp(-dt/tau), exact; ``euler``: 1 - dt/tau, its first-order expansion, too small by
    (dt/tau)^2/2 and unstable for dt > 2 tau. Both times in seconds.
    """
    return math.exp(-dt / tau) if method == "exponential" else 1 - dt / tau
