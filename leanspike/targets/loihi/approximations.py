"""What of a layer is not the same by Loihi's rules, by name; nothing is named that the bounds exclude."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from leanspike.ir import LIF, Integrate, Program
from leanspike.ir.ranges import Range
from leanspike.targets.loihi import compartment
from leanspike.targets.loihi.bounds import Bounds, leak, own_bias
from leanspike.targets.loihi.compartment import ALIGNED, MOST_POTENTIAL, MOST_THRESHOLD, UNITY, Compartments
from leanspike.targets.loihi.neurons import bias_of, starting, voltage

MOST_BIAS = compartment.MOST_BIAS << compartment.MOST_BIAS_EXPONENT
_HOST = range(ALIGNED, -17, -1)


@dataclass(frozen=True)
class Approximation:
    """Where a mapping differs from its program: which rule, in which layer, and how."""

    name: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.name}: {self.what}"


def shift_of(program: Program, op: LIF | Integrate, limits: Bounds, *, host: bool) -> int:
    """s: 6, or where the host drives a layer the largest up to 6 with which currents are biases."""
    if not host:
        return ALIGNED
    highest = int(program.array(op.threshold).max()) if isinstance(op, LIF) else 1

    def fits(s: int) -> bool:
        most = (MOST_THRESHOLD + 1) << ALIGNED
        return _times(limits.driven.magnitude, s) <= MOST_BIAS and _times(highest, s) <= most

    return next((s for s in _HOST if fits(s)), _HOST[-1])


def of_neurons(
    program: Program, op: LIF | Integrate, limits: Bounds, of: Compartments, s: int, depth: int, *, rounds: bool
) -> Iterator[Approximation]:
    """What is not exact in a layer's neurons; ``depth`` is 0 where the host drives them."""
    state, host = program.state[op.state], depth == 0
    rules = [*_leaks(program, op, s, rounds=rounds), *_ranges(op, limits, s, host=host)]
    if isinstance(op, LIF) and op.reset == "subtract":
        rules.append(("reset", "a compartment resets to 0, the program subtracts"))
    if state.codec is not None:
        rules.append(("few-bit state", f"a voltage is kept whole, the program keeps {state.codec.levels} levels of it"))
    if not state.type.holds(limits.sums.lowest, limits.sums.highest):
        rules.append(("saturation", f"the program may saturate at {state.type}, the compartment does not"))
    rules += _driven(limits, s) if host else _biased(program, op, s, rounds=rounds)
    if isinstance(op, LIF) and s < ALIGNED:
        rules.append(("threshold", f"in steps of {1 << (ALIGNED - s)}, the program's in steps of 1"))
    if (starting(of.decay, of.bias << of.bias_exponent, depth) != of.start).any():
        rules.append(("start", f"biases act in the {depth} steps before input arrives, and no start makes up for it"))
    yield from (Approximation(rule, op.result.name, what) for rule, what in rules)


def _leaks(program: Program, op: LIF | Integrate, s: int, *, rounds: bool) -> Iterator[tuple[str, str]]:
    multiplier, whole = leak(program, op), 1 << op.shift
    if (multiplier == 0).any():
        yield "leak of 0", "a compartment keeps at least 1/4096 of its voltage"
    if (multiplier * UNITY % whole).any():
        yield "leak granularity", "decays are multiples of 1/4096"
    if rounds:
        makes_up = "; a bias of -1/2 makes up for it on average" if s > 0 else ""
        yield "leak rounding", f"the program rounds down to 1, a compartment to zero in steps of {_step(s)}{makes_up}"


def _driven(limits: Bounds, s: int) -> Iterator[tuple[str, str]]:
    if s < 0 or limits.driven.magnitude > compartment.MOST_BIAS:
        yield "input", f"the host gives currents as biases of 12 bits and an exponent, in steps of {_step(s)}"


def _biased(program: Program, op: LIF | Integrate, s: int, *, rounds: bool) -> Iterator[tuple[str, str]]:
    wanted = voltage(own_bias(program, op), s, rounds=rounds)
    mantissa, exponent = bias_of(wanted)
    if ((mantissa << exponent) != wanted).any():
        yield "bias", "biases have 12 bits and an exponent"


def _ranges(op: LIF | Integrate, limits: Bounds, s: int, *, host: bool) -> Iterator[tuple[str, str]]:
    if not host and _times(limits.current.magnitude, s) > MOST_POTENTIAL:
        yield "current range", f"currents would wrap at {_end(s)}; their interval is {_span(limits.current)}"
    low, high = _times(-limits.sums.lowest, s), _times(limits.sums.highest, s)
    if max(low, high) > MOST_POTENTIAL:
        yield "voltage range", f"potentials would clip at {_end(s)}; their interval is {_span(limits.sums)}"
    elif isinstance(op, Integrate) and high > MOST_THRESHOLD << ALIGNED:
        yield "voltage range", "potentials may reach the highest threshold, where a compartment fires"


def _times(value: int, s: int) -> int:
    """``value 2^s``, away from zero."""
    return value << s if s >= 0 else -(-value >> -s)


def _end(s: int) -> str:
    return f"{(MOST_POTENTIAL >> s) if s >= 0 else (MOST_POTENTIAL << -s):,}"


def _step(s: int) -> str:
    """1 of a voltage in units of the potential."""
    return f"1/{1 << s}" if s > 0 else f"{1 << -s}"


def _span(interval: Range) -> str:
    return f"{interval.lowest:,} to {interval.highest:,}"
