r"""The rule from a neuron's integers to volts, ohms, farads and amperes.

    LSB   = V_theta / theta                     one unit of the potential of this neuron, in volts
    tau   = -dt / ln(m / 2^k) = R C             a step of dt keeps beta = m / 2^k of the potential; m = 2^k: no resistor
    V_ref = (theta - 1/2) LSB e^(g / tau)       integers fire from theta on, so the level lies half a unit below
    I[t]  = (I + b - f) LSB / K(synapse)        a constant current while the synapses are open
    I_rst = amount LSB / K(reset)               reset=subtract: a charge; reset=zero: a switch to ground
    f     = (1 - gcd(m, 2^k) / 2^k) / 2         the mean of what the program's floor shift takes away in a step

    K(pulse) = 1/C integral of pulse(t) e^(-(dt - t) / tau) dt      volts at the end of the step for an ampere

A step of dt has three parts that do not overlap: the synapses' current (0 to 0.90 dt), the comparator's strobe (0.91 to
0.94 dt, decided as it falls; g = 0.061 dt is left of the step), and the reset (0.95 to 0.99 dt). The leak flows all the
time. Whatever enters at t decays by e^(-(dt - t) / tau) until the step ends, and K and V_ref count that in: with ideal
parts the potential at the end of every step is the program's, but for the floor, whose mean alone is taken away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from leanspike.core.records import require
from leanspike.ir import LIF, Program

THERMAL_VOLTS = 0.02585
"""kT/q at 27 degrees Celsius, ngspice's own temperature."""
SYNAPSES, STROBE, RESET, EDGE = (0.0, 0.90), (0.91, 0.94), (0.95, 0.99), 0.002
"""Begin and end of the parts of a step, and the rise time of a pulse, as shares of a step."""
DECIDED = STROBE[1] - EDGE / 2
"""When the comparator's answer is taken: the middle of the strobe's fall."""
MOST_NEURONS = 64


@dataclass(frozen=True)
class Design:
    """What is chosen, beside the program, to draw a circuit.

    Attributes:
        layer: the LIF layer's value; empty: the first one.
        neurons: indices in the layer (C order); empty: its first 16.
        step_ms: what a step lasts, milliseconds.
        capacitance_pf: of the membrane, picofarads.
        threshold_v: what the threshold of every neuron is in volts.
        supply_v: the rails are plus and minus this, volts; the membrane rests at 0.
        load_ff: what a comparator drives, femtofarads.
        leak: a ``resistor``, or a subthreshold ``transistor`` of the same small-signal conductance, whose current
            saturates above kT/q: ``I = U_T / R sign(v) (1 - e^(-|v| / U_T))``.

    Raises:
        ConfigError: a value out of range.
    """

    layer: str = ""
    neurons: tuple[int, ...] = ()
    step_ms: float = 1.0
    capacitance_pf: float = 1.0
    threshold_v: float = 0.025
    supply_v: float = 0.9
    load_ff: float = 10.0
    leak: Literal["resistor", "transistor"] = "resistor"

    def __post_init__(self) -> None:
        for key in ("step_ms", "capacitance_pf", "threshold_v", "supply_v", "load_ff"):
            value = getattr(self, key)
            require(0 < value < math.inf, key, value, "a number above 0")
        remedy = "below the supply, for example a thirtieth of it"
        require(self.threshold_v < self.supply_v, "threshold_v", self.threshold_v, remedy)
        require(len(set(self.neurons)) == len(self.neurons), "neurons", self.neurons, "every neuron once")
        require(all(i >= 0 for i in self.neurons), "neurons", self.neurons, "indices from 0 up")
        remedy = f"at most {MOST_NEURONS}: every neuron is a netlist of its own"
        require(len(self.neurons) <= MOST_NEURONS, "neurons", len(self.neurons), remedy)

    @property
    def step(self) -> float:
        """Seconds a step."""
        return self.step_ms * 1e-3

    def layer_of(self, program: Program) -> LIF:
        """The layer that is drawn.

        Raises:
            ConfigError: there is no such layer.
        """
        layers = {op.result.name: op for op in program.spiking}
        name = self.layer or next(iter(layers), "")
        require(name in layers, "layer", name, f"one of the spiking layers {', '.join(layers)}")
        return layers[name]

    def neurons_of(self, program: Program) -> tuple[int, ...]:
        """The neurons that are drawn.

        Raises:
            ConfigError: the layer has no such neuron.
        """
        size = math.prod(self.layer_of(program).result.shape)
        require(all(i < size for i in self.neurons), "neurons", self.neurons, f"indices below {size}")
        return self.neurons or tuple(range(min(16, size)))


@dataclass(frozen=True)
class Parts:
    """How far a neuron's parts lie from their nominal values, each as a factor.

    Attributes:
        threshold: of the comparator's level; capacitance: of the membrane; leak: of the resistance (or of what the
            transistor's conductance is the inverse of); weight: of the synaptic current. The reset's charge is nominal.
    """

    threshold: float = 1.0
    capacitance: float = 1.0
    leak: float = 1.0
    weight: float = 1.0


NOMINAL = Parts()


@dataclass(frozen=True)
class Cell:
    """A neuron as parts, SI units.

    Attributes:
        lsb: volts for a unit of the potential.
        capacitance, resistance: F, ohm; no leak: infinity.
        reference: V, the comparator's level.
        per_volt: A of synaptic current for a volt at the end of the step.
        reset_current: A while the reset lasts; None: a switch to ground.
        floor: units that the leak's floor takes away in a step, mean.
    """

    lsb: float
    capacitance: float
    resistance: float
    reference: float
    per_volt: float
    reset_current: float | None
    floor: float


def cell(program: Program, design: Design, neuron: int, parts: Parts = NOMINAL) -> Cell:
    """The parts of a neuron of the design's layer; what is charge keeps its nominal value whatever ``parts`` says."""
    op = design.layer_of(program)
    theta, multiplier, amount = (_value(program, name, neuron) for name in (op.threshold, op.leak, op.amount))
    one, dt, farads = 1 << op.shift, design.step, design.capacitance_pf * 1e-12
    tau = math.inf if multiplier == one else -dt / math.log(multiplier / one)
    lsb = design.threshold_v / theta
    rest = (1 - DECIDED) * dt
    reset = amount * lsb * farads / decayed(RESET, tau, dt) if op.reset == "subtract" else None
    return Cell(
        lsb,
        farads * parts.capacitance,
        tau / farads * parts.leak,
        (theta - 0.5) * lsb * math.exp(rest / tau) * parts.threshold,
        farads / decayed(SYNAPSES, tau, dt) * parts.weight,
        reset,
        (1 - math.gcd(multiplier, one) / one) / 2,
    )


def decayed(pulse: tuple[float, float], tau: float, dt: float) -> float:
    """Seconds: the integral of a pulse of height 1, with its edges, weighted with its decay until the step ends.

    A trapezoid is a box of its length but for one edge, convolved with a box of one edge, so the integral is a product.
    """
    begin, end = pulse[0] * dt, pulse[1] * dt
    edge = EDGE * dt
    return math.exp(-(dt - begin) / tau) * _grown(end - begin - edge, tau) * _grown(edge, tau) / edge


def _grown(length: float, tau: float) -> float:
    """The integral of e^(t / tau) from 0 to ``length``."""
    return length if math.isinf(tau) else tau * math.expm1(length / tau)


def _value(program: Program, name: str, neuron: int) -> int:
    """The parameter of a neuron, by its index in the layer in C order."""
    row = program.arrays[name].values[0]
    return int(row[neuron % len(row)])
