"""How the spread of parts maps to what a neuron effectively has: Monte Carlo over component values, and a fit.

A probe neuron gets a charge of 0.3 thresholds, is left to leak for five steps, and gets four thresholds, at which it
fires. From its waveform, where e^x is the factor by which a part lies off (:class:`~.design.Parts`)::

    beta        (V[5] / V[0]) ^ (1/5)                       V[t] at the ends of the steps
    reset       what the reset takes, at the end of its step
    weight      V[0] / reset                                what a charge brings, in resets: a reset is a charge
    gain        V[0]                                        what it brings in volts, where nothing is ever reset
    threshold   V where the comparator turns, carried to the end of the step / reset

    ln(threshold / nominal), ln(ln beta / ln nominal beta), ln(weight / nominal), ln(gain / nominal) = exponents . x

by least squares. The four rows of exponents are the law; R^2 says how much of the variance it explains, over circuits
in which all parts are off at once. The reset's charge is the unit because it has no spread here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import TargetError
from leanspike.core.records import require
from leanspike.core.rng import derive, normals
from leanspike.ir import LIF, Array, Dense, Input, IntType, Program, Readout, State, Value, verify
from leanspike.ir import Sequence as Frames
from leanspike.ir.inttype import SPIKE
from leanspike.targets.spice.design import DECIDED, NOMINAL, RESET, Design, Parts, cell
from leanspike.targets.spice.netlist import netlist, stem, stimulus
from leanspike.targets.spice.simulate import simulate

Floats = npt.NDArray[np.float64]
SOURCES = tuple(part.name for part in fields(Parts))
EFFECTS = ("threshold", "leak", "weight", "gain")
_THETA, _SHIFT, _QUIET, _POINTS = 1000, 10, 5, 1000
_CHARGES = np.array([0.3 * _THETA, *[0.0] * _QUIET, 4.0 * _THETA])


@dataclass(frozen=True)
class Fit:
    """The law of the spread.

    Attributes:
        runs: circuits that were run. sigmas: the standard deviations of x among them. beta: of the probe.
        exponents: by effect, one for each source of ``SOURCES``. errors: their standard errors.
        r_squared: by effect.
        spread: by sigma and effect, the standard deviation that the circuits had.
        predicted: the same by the law: sigma times the root of the sum of the exponents' squares.
    """

    runs: int
    sigmas: tuple[float, ...]
    beta: float
    exponents: dict[str, tuple[float, ...]]
    errors: dict[str, tuple[float, ...]]
    r_squared: dict[str, float]
    spread: dict[str, dict[str, float]]
    predicted: dict[str, dict[str, float]]


def fit_law(sigmas: Sequence[float], runs: int, beta: float, seed: int, told: Callable[[], None] = lambda: None) -> Fit:
    """Run ``runs`` probe circuits at every sigma, all parts off at once, and fit.

    Args:
        beta: what the probe keeps in a step, 0 < beta < 1. told: called after every circuit.

    Raises:
        ConfigError: a value out of range. MissingTool: ngspice is not installed. TargetError: a circuit does not run.
    """
    require(bool(sigmas) and all(0 < sigma <= 0.3 for sigma in sigmas), "sigmas", sigmas, "above 0, at most 0.3")
    require(runs >= 10, "runs", runs, "10 circuits a sigma or more")
    require(0 < beta < 1, "beta", beta, "above 0 and below 1")
    program, design = _probe(beta), Design(neurons=(0,))
    nominal = _effective(program, design, NOMINAL)
    x, y = [], []
    for number, sigma in enumerate(sigmas):
        for draw in range(runs):
            x.append(sigma * normals(derive(seed, number, draw), len(SOURCES)))
            y.append(_effective(program, design, Parts(*np.exp(x[-1]).tolist())) - nominal)
            told()
    return _fitted(np.array(x), np.array(y), tuple(sigmas), beta)


def _fitted(x: Floats, y: Floats, sigmas: tuple[float, ...], beta: float) -> Fit:
    exponents, *_ = np.linalg.lstsq(x, y, rcond=None)
    rest = y - x @ exponents
    variance = (rest**2).sum(0) / (len(x) - x.shape[1])
    errors = np.sqrt(np.diag(np.linalg.inv(x.T @ x))[:, None] * variance)
    explained = 1 - (rest**2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)
    parts = y.reshape(len(sigmas), -1, len(EFFECTS))
    sizes = np.sqrt((exponents**2).sum(0))

    def by_effect(values: Floats) -> dict[str, float]:
        return dict(zip(EFFECTS, values.tolist(), strict=True))

    return Fit(
        len(x),
        sigmas,
        beta,
        {name: tuple(column) for name, column in zip(EFFECTS, exponents.T.tolist(), strict=True)},
        {name: tuple(column) for name, column in zip(EFFECTS, errors.T.tolist(), strict=True)},
        by_effect(explained),
        {f"{sigma:g}": by_effect(part.std(0, ddof=1)) for sigma, part in zip(sigmas, parts, strict=True)},
        {f"{sigma:g}": by_effect(sigma * sizes) for sigma in sigmas},
    )


def _effective(program: Program, design: Design, parts: Parts) -> Floats:
    """Logarithms ``[4]`` of threshold, leak rate, weight and gain that a circuit with these parts shows."""
    dt, found = design.step, cell(program, design, 0, parts)
    given = stimulus(found, _CHARGES + found.floor, dt)
    text = netlist(program, design, 0, parts, _POINTS)
    done = simulate(text, (f"{stem(program, design, 0)}.stim", given), design, len(_CHARGES), "the probe")
    time, membrane = done.waves.time, done.waves.membrane
    begin = (len(_CHARGES) - 1) * dt
    turns = np.flatnonzero((done.waves.compared[1:] >= 0.5) & (done.waves.compared[:-1] < 0.5) & (time[1:] > begin))
    if not turns.size or not done.spikes[-1] or done.spikes[:-1].any():
        raise TargetError("the probe does not fire once, in its last step", where="spread", remedy="a smaller sigma")
    at = turns[0]
    share = (0.5 - done.waves.compared[at]) / (done.waves.compared[at + 1] - done.waves.compared[at])
    level = membrane[at] + share * (membrane[at + 1] - membrane[at])
    beta = (done.potentials[_QUIET] / done.potentials[0]) ** (1 / _QUIET)
    before = float(np.interp(begin + RESET[0] * dt, time, membrane)) * beta ** (1 - RESET[0])
    reset = before - done.potentials[-1]
    threshold = level * beta ** (1 - DECIDED) / reset
    shown: Floats = np.log([threshold, -np.log(beta), done.potentials[0] / reset, done.potentials[0]])
    return shown


def _probe(beta: float) -> Program:
    """One neuron with one synapse; its charges are given as they are."""
    steps, one = len(_CHARGES), 1 << _SHIFT
    multiplier = max(1, min(one - 1, round(beta * one)))
    raw = Value("raw", (steps, 1), SPIKE)
    arrays = {
        "w": Array(IntType(11, True), np.array([[_THETA]])),
        "m": Array(IntType(_SHIFT, False), np.array([[multiplier]])),
        "t": Array(IntType(10, False), np.array([[_THETA]])),
    }
    operations = (
        Dense(Value("i", (1,), IntType(11, True)), "x", "w"),
        LIF(Value("s", (1,), SPIKE), "i", "v", "m", _SHIFT, "t"),
    )
    start = Input(Value("x", (1,), SPIKE), raw, 1, Frames())
    states = (State("v", (1,), IntType(16, True)),)
    return verify(Program("probe", steps, start, states, operations, Readout("count", "s"), arrays))
