"""A layer's neurons as compartments: which shift, and what of it is not exact.

    V = 2^s v,   dv = 4096 - m 2^(12 - k),   vth = (2^s theta - 1) >> 6,   bias 2^bias_exp = 2^s b

v >= theta is V > 64 vth exactly where V = 2^s v and s >= 6; a leak that rounds leaves V a fraction more than v, so
that a leaking layer takes a larger s where the ranges allow, and fires at v > theta - 64 / 2^s.

Bounds of a potential over T steps, from bounds of I + b: a leak of 1 at most makes nothing larger, and with reset to
zero what is carried lies below the threshold.

    T min(I + b, 0)  <=  u  <=  T max(I + b, 0),  or max(theta - 1, 0) + max(I + b) of neurons that fire
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from leanspike.ir import LIF, Integrate, MaxPool, Program, reference
from leanspike.ir.inttype import Ints
from leanspike.ir.ranges import Range, Ranges
from leanspike.targets.loihi import compartment
from leanspike.targets.loihi.compartment import ALIGNED, MOST_POTENTIAL, MOST_THRESHOLD, UNITY, Compartments

Neurons = LIF | Integrate | MaxPool
MOST_BIAS = compartment.MOST_BIAS << compartment.MOST_BIAS_EXPONENT
_LEAKING, _WHOLE, _HOST = range(8, 5, -1), range(6, 5, -1), range(7, -17, -1)


@dataclass(frozen=True)
class Approximation:
    """Where a mapping differs from its program: which rule, in which layer, and how."""

    name: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.name}: {self.what}"


@dataclass(frozen=True)
class Bounds:
    """Between which integers ``I + b``, I and ``leak(v) + I + b`` lie, whatever goes in."""

    driven: Range
    current: Range
    sums: Range


def own_bias(program: Program, op: Neurons) -> Ints:
    """b, ``[C]`` or ``[1]``."""
    return reference.row(program, None if isinstance(op, MaxPool) else op.bias, 0)


def bounds(program: Program, found: Ranges, op: LIF | Integrate) -> Bounds:
    """Bounds of a layer's currents and potentials over the program's steps."""
    current, bias = found.values[op.source], own_bias(program, op)
    driven = Range(current.lowest + int(bias.min()), current.highest + int(bias.max()))
    sums, steps = found.sums[op.result.name], program.steps
    lowest, highest = steps * min(driven.lowest, 0), steps * max(driven.highest, 0)
    if isinstance(op, LIF):
        carried = max(int(program.array(op.threshold).max()) - 1, 0)
        highest = min(highest, carried + max(driven.highest, 0)) if op.reset == "zero" else sums.highest
    return Bounds(driven, current, Range(max(lowest, sums.lowest), min(highest, sums.highest)))


def shift_of(program: Program, op: LIF | Integrate, limits: Bounds, *, host: bool) -> int:
    """s: the first of the layer's candidates that approximates nothing more than the leak; else what fits best."""
    leaking = bool((_leak(program, op) != 1 << op.shift).any())
    candidates = _HOST if host else _LEAKING if leaking else _WHOLE
    possible = [s for s in candidates if _fits(program, op, limits, s, host=host)] or [candidates[-1]]
    exact = (s for s in possible if not any(_granularity(program, op, limits, s, host=host)))
    return next(exact, possible[0] if host else possible[-1])


def _fits(program: Program, op: LIF | Integrate, limits: Bounds, s: int, *, host: bool) -> bool:
    driven = limits.driven.magnitude if host else int(np.abs(own_bias(program, op)).max())
    highest = int(program.array(op.threshold).max()) if isinstance(op, LIF) else 1
    return _times(driven, s) <= MOST_BIAS and _times(highest, s) <= (MOST_THRESHOLD + 1) << ALIGNED


def _times(value: int, s: int) -> int:
    return value << s if s >= 0 else -(-value >> -s)


def populate(program: Program, op: Neurons, s: int, depth: int) -> Compartments:
    """The compartments of a layer; a layer whose bias the host computes takes its own from :func:`bias_of`."""
    size, channels = int(np.prod(op.result.shape)), op.result.shape[-1]

    def spread(values: Ints) -> Ints:
        return np.broadcast_to(values, (size // channels, channels)).ravel().astype(np.int64)

    if isinstance(op, MaxPool):
        zeros = np.zeros(size, dtype=np.int64)
        return Compartments(op.result.name, zeros, zeros, zeros, zeros, zeros)
    kept = _rounded(_leak(program, op) * UNITY, op.shift)
    decay = spread((UNITY - kept).clip(0, UNITY - 1))
    threshold = np.full(1, MOST_THRESHOLD)
    if isinstance(op, LIF):
        threshold = threshold_of(reference.row(program, op.threshold, 0), s)
    mantissa, exponent = bias_of(scaled(own_bias(program, op), s))
    bias = spread(mantissa), spread(exponent)
    start = starting(decay, bias[0] << bias[1], depth)
    start = np.where(_idles(start, decay, bias[0] << bias[1], spread(threshold), depth), start, 0)
    return Compartments(op.result.name, decay, spread(threshold), *bias, start)


def threshold_of(theta: Ints, s: int) -> Ints:
    """vth: the highest below theta where potentials are whole, else the nearest."""
    if s >= ALIGNED:
        below: Ints = (scaled(theta, s) - 1) >> ALIGNED
        return below
    return _rounded(scaled(theta, s) - 1, ALIGNED).clip(0, MOST_THRESHOLD)


def bias_of(value: Ints) -> tuple[Ints, Ints]:
    """Mantissas and exponents of biases in units of the voltage: nearest; beyond the range its end."""
    exponent = np.zeros_like(value)
    for _ in range(compartment.MOST_BIAS_EXPONENT):
        exponent = exponent + (np.abs(_rounded(value, exponent)) > compartment.MOST_BIAS)
    return _rounded(value, exponent).clip(-compartment.MOST_BIAS, compartment.MOST_BIAS), exponent


def scaled(value: Ints, s: int) -> Ints:
    """``value 2^s``, rounded to the nearest where s is below 0."""
    return value << s if s >= 0 else _rounded(value, -s)


def _rounded(value: Ints, shift: Ints | int) -> Ints:
    half = (np.int64(1) << np.int64(shift)) >> 1
    nearest: Ints = (value + half) >> shift
    return nearest


def starting(decay: Ints, bias: Ints, depth: int) -> Ints:
    """The voltages from which ``depth`` steps of decay and bias lead to 0."""
    voltage = np.zeros_like(bias)
    for _ in range(depth):
        missing = (voltage - bias).clip(-(1 << 40), 1 << 40)
        voltage = np.sign(missing) * -(-np.abs(missing) * UNITY // (UNITY - decay))
    return voltage


def _idles(start: Ints, decay: Ints, bias: Ints, threshold: Ints, depth: int) -> Ints:
    """Where a compartment neither fires nor clips on its way from ``start`` to 0."""
    voltage, well = start, np.abs(start) <= MOST_POTENTIAL
    for _ in range(depth):
        voltage = compartment.decayed(voltage, decay) + bias
        well = well & (voltage <= threshold << ALIGNED) & (np.abs(voltage) <= MOST_POTENTIAL)
    silent: Ints = well & (voltage == 0)
    return silent


def _leak(program: Program, op: LIF | Integrate) -> Ints:
    return reference.row(program, op.leak, 0)


def approximations(
    program: Program, op: LIF | Integrate, limits: Bounds, of: Compartments, s: int, depth: int, *, host: bool
) -> Iterator[Approximation]:
    """What is not exact in a layer's neurons."""
    name, state = op.result.name, program.state[op.state]
    rules = [
        *_reset(op),
        *_leaks(program, op, s, rounds=not _never_rounds(program, op, host=host)),
        *_granularity(program, op, limits, s, host=host),
    ]
    if state.codec is not None:
        rules.append(("few-bit state", f"a voltage is kept whole, the program keeps {state.codec.levels} levels of it"))
    if not state.type.holds(limits.sums.lowest, limits.sums.highest):
        rules.append(("saturation", f"the program may saturate at {state.type}, the compartment does not"))
    bias = of.bias << of.bias_exponent
    if (starting(of.decay, bias, depth) != of.start).any():
        rules.append(("start", f"biases act in the {depth} steps before input arrives, and no start makes up for it"))
    yield from (Approximation(rule, name, what) for rule, what in rules)


def _reset(op: LIF | Integrate) -> Iterator[tuple[str, str]]:
    if isinstance(op, LIF) and op.reset == "subtract":
        yield "reset", "a compartment resets to 0, the program subtracts"


def _leaks(program: Program, op: LIF | Integrate, s: int, *, rounds: bool) -> Iterator[tuple[str, str]]:
    multiplier, whole = _leak(program, op), 1 << op.shift
    if (multiplier == 0).any():
        yield "leak of 0", "a compartment keeps at least 1/4096 of its voltage"
    if (multiplier * UNITY % whole).any():
        yield "leak granularity", "decays are multiples of 1/4096"
    if rounds and ((multiplier > 0) & (multiplier < whole)).any():
        yield "leak rounding", f"the program rounds down to 1, a compartment to zero in steps of {_step(s)}"


def _never_rounds(program: Program, op: LIF | Integrate, *, host: bool) -> bool:
    """Whether every potential of T steps is a multiple of what the leak divides by: w and b are multiples of 2^a."""
    multiplier = int(np.gcd.reduce(np.append(_leak(program, op), 1 << op.shift)))
    divides = (1 << op.shift) // multiplier
    if host or divides == 1:
        return divides == 1
    giver = {other.result.name: other for other in program.operations}
    unit = int(np.gcd.reduce([_unit(program, giver, op.source), *own_bias(program, op).tolist()]))
    return bool(unit % divides ** max(program.steps - 1, 0) == 0)


def _unit(program: Program, giver: Mapping[str, object], name: str) -> int:
    """What divides every current of a value; 0 where all are 0."""
    op = giver.get(name)
    weight = getattr(op, "weight", None)
    if weight is not None:
        return int(np.gcd.reduce(program.array(weight).ravel(), initial=0))
    if hasattr(op, "left"):
        return int(np.gcd(_unit(program, giver, op.left), _unit(program, giver, op.right)))  # type: ignore[attr-defined]
    return 1


def _granularity(
    program: Program, op: LIF | Integrate, limits: Bounds, s: int, *, host: bool
) -> Iterator[tuple[str, str]]:
    bias = own_bias(program, op)
    most = MOST_POTENTIAL if isinstance(op, LIF) else MOST_THRESHOLD << ALIGNED
    if host and (s < 0 or (limits.driven.magnitude > compartment.MOST_BIAS)):
        yield (
            "input",
            f"the host gives each neuron its current as a bias of 12 bits and an exponent, in steps of {_step(s)}",
        )
    if isinstance(op, LIF) and s < ALIGNED:
        yield "threshold", f"in steps of {1 << (ALIGNED - s)}, the program's in steps of 1"
    mantissa, exponent = bias_of(scaled(bias, s))
    if not host and ((mantissa << exponent) != scaled(bias, s)).any():
        yield "bias", "biases have 12 bits and an exponent"
    if not host and _times(limits.current.magnitude, s) >= MOST_POTENTIAL:
        yield (
            "current range",
            f"currents that reach 2^{23 - s} would wrap; the interval goes to {_span(limits.current)}",
        )
    low, high = _times(-limits.sums.lowest, s), _times(limits.sums.highest, s)
    if low > MOST_POTENTIAL or high > most:
        what = "clip" if isinstance(op, LIF) or low > MOST_POTENTIAL else "clip, or fire in a layer that must not"
        yield "voltage range", f"voltages may {what} at 2^{23 - s}; the interval of potentials is {_span(limits.sums)}"


def _step(s: int) -> str:
    """1 of a voltage in units of the potential."""
    return f"1/{1 << s}" if s > 0 else f"{1 << -s}"


def _span(interval: Range) -> str:
    return f"{interval.lowest:,} to {interval.highest:,}"
