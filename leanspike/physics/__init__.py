"""One LIF neuron as physics, in SI units: closed form, numerical integration and what the step size costs."""

from leanspike.physics.closed_form import Solution, beta, rheobase, solve, spike_rate
from leanspike.physics.integrate import Trace, simulate
from leanspike.physics.neuron import Drive, NeuronPhysics

__all__ = ["Drive", "NeuronPhysics", "Solution", "Trace", "beta", "rheobase", "simulate", "solve", "spike_rate"]
