"""The leaky integrate-and-fire neuron and its input current.

    tau dV/dt = -(V - V_rest) + R I(t)
    V >= V_threshold:  a spike, V = V_reset, held there for t_ref

V in volts, t in seconds, I in amperes, R in ohms, tau = R C in seconds.
Reference: W. Gerstner, W. Kistler, R. Naud, L. Paninski, "Neuronal Dynamics", 2014, section 1.3.
"""

from __future__ import annotations

import dataclasses
import math

from leanspike.core.records import require

MOST_STEPS = 1_000_000


@dataclasses.dataclass(frozen=True)
class NeuronPhysics:
    """Parameters of one neuron and of its simulation, SI units; a cortical pyramidal cell by default.

    Raises:
        ConfigError: a value is not finite or out of range.
    """

    tau: float = 20e-3  # membrane time constant, s
    resistance: float = 10e6  # membrane resistance R, ohm
    rest: float = -65e-3  # resting potential, V
    threshold: float = -50e-3  # V
    reset: float = -65e-3  # V
    refractory: float = 2e-3  # absolute refractory period t_ref, s
    current: float = 2e-9  # constant input, A
    dt: float = 0.1e-3  # step of the numerical methods, s
    duration: float = 0.1  # simulated time, s

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            require(math.isfinite(getattr(self, field.name)), field.name, getattr(self, field.name), "a finite number")
        require(self.tau > 0, "tau", self.tau, "a time above 0 s, for example 20e-3")
        require(self.resistance > 0, "resistance", self.resistance, "above 0 ohm, for example 10e6")
        require(self.threshold > self.rest, "threshold", self.threshold, f"above the resting potential {self.rest} V")
        require(self.reset < self.threshold, "reset", self.reset, f"below the threshold {self.threshold} V")
        require(self.refractory >= 0, "refractory", self.refractory, "0 s or more")
        require(self.duration > 0, "duration", self.duration, "a time above 0 s, for example 0.1")
        require(0 < self.dt <= self.tau, "dt", self.dt, f"above 0 and at most tau = {self.tau} s")
        steps = self.duration / self.dt
        require(steps <= MOST_STEPS, "dt", self.dt, f"duration/dt = {steps:.3g} steps; at most {MOST_STEPS:.0e}")
        spikes = self.duration * self.fastest(self.current)
        require(spikes <= MOST_STEPS, "current", self.current, f"up to {spikes:.3g} spikes; at most {MOST_STEPS:.0e}")

    def steady(self, current: float) -> float:
        """Where a constant current would drive V if nothing fired: ``V_rest + R I``, volts."""
        return self.rest + self.resistance * current

    def fastest(self, current: float) -> float:
        """A bound on the firing rate in hertz: V never rises faster than from the reset, and t_ref holds."""
        climb = max(0.0, self.steady(current) - self.reset) / (self.tau * (self.threshold - self.reset))
        return min(climb, 1 / self.refractory) if self.refractory > 0 else climb


@dataclasses.dataclass(frozen=True)
class Drive:
    """A piecewise constant current: ``amperes[i]`` from ``starts[i]`` seconds on, until the next start.

    Raises:
        ConfigError: the starts do not begin at 0 or do not ascend, or there is not one value for each.
    """

    starts: tuple[float, ...]
    amperes: tuple[float, ...]

    def __post_init__(self) -> None:
        require(len(self.starts) == len(self.amperes) > 0, "drive", self.amperes, "one current for every start")
        ascending = all(a < b for a, b in zip(self.starts, self.starts[1:], strict=False))
        require(self.starts[0] == 0 and ascending, "drive", self.starts, "ascending starts, the first one 0 s")

    @classmethod
    def constant(cls, current: float) -> Drive:
        """The same current, in amperes, at all times."""
        return cls((0.0,), (current,))

    def until(self, duration: float) -> list[tuple[float, float, float]]:
        """The segments ``(start, end, amperes)`` up to ``duration`` seconds."""
        ends = (*self.starts[1:], math.inf)
        spans = zip(self.starts, ends, self.amperes, strict=True)
        return [(start, min(end, duration), amperes) for start, end, amperes in spans if start < duration]
