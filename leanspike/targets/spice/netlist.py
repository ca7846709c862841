"""A neuron and its stimulus as ngspice text."""

from __future__ import annotations

import functools
import math

import jinja2
import numpy as np
import numpy.typing as npt

from leanspike.ir import Program
from leanspike.targets.spice.design import (
    EDGE,
    NOMINAL,
    RESET,
    STROBE,
    SYNAPSES,
    THERMAL_VOLTS,
    Cell,
    Design,
    Parts,
    cell,
)
from leanspike.targets.templates import environment

Floats = npt.NDArray[np.float64]


def stem(program: Program, design: Design, neuron: int) -> str:
    """What the files of a neuron are called, without their endings."""
    return f"{program.name}-{design.layer_of(program).result.name}-{neuron:04d}"


def netlist(program: Program, design: Design, neuron: int, parts: Parts = NOMINAL, points: int = 10) -> str:
    """The circuit of a neuron; its currents are in the file that it includes.

    Args:
        points: the fewest times at which ngspice looks at a step.
    """
    dt, found = design.step, cell(program, design, neuron, parts)
    return _template().render(
        program=program.name,
        layer=design.layer_of(program).result.name,
        neuron=neuron,
        stimulus=f"{stem(program, design, neuron)}.stim",
        told=told(found),
        cell=found,
        num=number,
        pulse=lambda part: _pulse(part, dt),
        dt=dt,
        edge=EDGE * dt,
        steps=program.steps,
        points=points,
        strobe=STROBE,
        reset=RESET,
        supply=design.supply_v,
        load=design.load_ff * 1e-15,
        no_leak=math.isinf(found.resistance),
        transistor=design.leak == "transistor",
        thermal=THERMAL_VOLTS,
    )


def told(found: Cell) -> str:
    """The parts in words."""
    leak = "no leak" if math.isinf(found.resistance) else f"R = {found.resistance / 1e9:.4g} Gohm"
    reset = (
        "reset by a switch to ground"
        if found.reset_current is None
        else f"reset by {found.reset_current * 1e12:.4g} pA while it lasts"
    )
    return f"C = {found.capacitance * 1e12:.4g} pF, {leak}, fires at {found.reference * 1e3:.4g} mV, {reset}"


def stimulus(found: Cell, currents: Floats, dt: float) -> str:
    """The currents of a sample as two sources.

    Args:
        currents: ``[T]`` units of the potential that the synapses and the bias bring in every step.
    """
    amperes = (currents - found.floor) * found.lsb * found.per_volt
    kinds = (("Iexc excitatory membrane", amperes.clip(min=0)), ("Iinh membrane inhibitory", (-amperes).clip(min=0)))
    lines = [f"{head} {_piecewise(values, dt)}" for head, values in kinds]
    return "* synaptic currents, A\n" + "\n".join(lines) + "\n"


def _piecewise(amperes: Floats, dt: float) -> str:
    """Pulses over the synapses' part of every step."""
    begin, end, edge = SYNAPSES[0] * dt, SYNAPSES[1] * dt, EDGE * dt
    if not amperes.any():
        return "DC 0"
    points = []
    for t, value in enumerate(amperes):
        if value:
            corners = ((begin, 0.0), (begin + edge, value), (end - edge, value), (end, 0.0))
            points.append(" ".join(f"{number(t * dt + at)} {number(height)}" for at, height in corners))
    first = "" if amperes[0] else "0 0\n+ "
    return f"PWL({first}" + "\n+ ".join(points) + ")"


def number(value: float) -> str:
    """A figure as ngspice reads it."""
    return f"{value:.12g}"


def _pulse(part: tuple[float, float], dt: float) -> str:
    """Delay, rise, fall and width of a pulse over a part of every step."""
    edge = EDGE * dt
    return " ".join(map(number, (part[0] * dt, edge, edge, (part[1] - part[0]) * dt - 2 * edge)))


@functools.cache
def _template() -> jinja2.Template:
    return environment("leanspike.targets.spice").get_template("neuron.cir.jinja")
