"""A program with the device spread of one analogue circuit: perturbed integers, drawn by a counter.

Every device has a part whose value lies off by a factor ``e^x``, x normal with standard deviation sigma: a comparator's
threshold, a membrane's capacitance, its leak resistance (one a neuron) and a weight's current (one a synapse, and one a
bias). What a neuron makes of them is log-linear, and the exponents are fitted on circuit runs (:class:`Law`)::

    theta' = theta  e^(sum of threshold exponents times x)            a subtract reset keeps its amount: it is a charge
    beta'  = beta ^ e^(sum of leak exponents times x)                 m' = round(2^k beta')
    w'     = w      e^(sum of weight exponents times x)               x of the synapse; the others of its neuron

A neuron that is reset counts in resets, which are charges; one that never fires shows volts, so that its capacitance
scales what it gets: its weights take the ``gain`` exponents instead.

Integers are rounded again, so a layer's unit is made 2^s times finer first (weights, bias, threshold, reset, state),
with the largest s up to ``MOST_BITS`` that fits 32-bit words; s and the share of a weight's last place are told.
The draws of a circuit are functions of (seed, draw, layer, source) alone: the same circuit at every sigma.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import ProgramError
from leanspike.core.records import require
from leanspike.core.rng import derive, normals
from leanspike.ir import LIF, Add, Array, Dense, Integrate, IntType, Program, verify
from leanspike.ir.narrow import fitted
from leanspike.ir.ops import Operation, arrays, reads

SOURCES = ("threshold", "capacitance", "leak", "weight")
MOST_BITS = 6
Floats = npt.NDArray[np.float64]
Neurons = LIF | Integrate


@dataclass(frozen=True)
class Law:
    """Exponents of the four sources (in the order of ``SOURCES``) in what a neuron effectively has.

    The defaults are what ``recipes/analog.py law`` fits on runs of the circuit of the spice target, rounded:
    ``results/hardware/spread-law.json``.
    """

    threshold: tuple[float, ...] = (1.0, 1.0, 0.005, 0.0)
    leak: tuple[float, ...] = (0.0, -1.0, -1.0, 0.0)
    weight: tuple[float, ...] = (0.0, 0.06, 0.062, 1.0)
    gain: tuple[float, ...] = (0.0, -0.936, 0.066, 1.0)

    def __post_init__(self) -> None:
        for part in fields(self):
            value = getattr(self, part.name)
            require(len(value) == len(SOURCES), f"law.{part.name}", value, f"an exponent for each of {SOURCES}")


@dataclass(frozen=True)
class Spread:
    """Standard deviations of the logarithms of the parts, and the layers (names of neurons' values; none: all)."""

    threshold: float = 0.0
    capacitance: float = 0.0
    leak: float = 0.0
    weight: float = 0.0
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in SOURCES:
            value = getattr(self, name)
            require(0 <= value <= 2, f"sigma of {name}", value, "from 0 (none) to 2")

    @property
    def sigmas(self) -> tuple[float, ...]:
        """In the order of ``SOURCES``."""
        return tuple(getattr(self, name) for name in SOURCES)


@dataclass(frozen=True)
class Circuit:
    """Which circuit of many: the same draws for the same ``seed`` and ``draw``."""

    seed: int
    draw: int


def layers_of(program: Program) -> tuple[Neurons, ...]:
    """The neurons that can be perturbed: all layers, each fed by dense synapses of its own.

    Raises:
        ProgramError: a layer is fed by something else, in which one number stands for many devices.
    """
    found = tuple(op for op in program.operations if isinstance(op, LIF | Integrate))
    for op in found:
        _synapses(program, op)
        if isinstance(op, LIF) and op.adapt is not None:
            what = "its thresholds adapt, of which no law of a circuit is known here"
            raise ProgramError(what, where=op.result.name, remedy="neuron.adapt_strength=0")
    return found


def perturbed(program: Program, spread: Spread, circuit: Circuit, law: Law, finer: Mapping[str, int]) -> Program:
    """The program of one circuit; without any spread it is the program, but for leaks that floor in finer units.

    Args:
        finer: bits by which the unit of each perturbed layer is finer.

    Raises:
        ProgramError: a layer cannot be perturbed, or leaves 32 bits.
    """
    operations: dict[str, Operation] = {op.result.name: op for op in program.operations}
    held, readout = dict(program.arrays), program.readout
    states = {state.name: state for state in program.states}
    chosen = layers_of(program)
    known = [op.result.name for op in chosen]
    for name in spread.layers:
        require(name in known, "layers", name, f"one of {', '.join(known)}")
    for number, op in enumerate(chosen):
        if spread.layers and op.result.name not in spread.layers:
            continue
        bits, drawn = finer.get(op.result.name, 0), _Drawn(spread, circuit, number, op, law)
        own, operations[op.result.name] = _neuron(program, op, drawn, bits)
        held |= own
        for place, dense in enumerate(_synapses(program, op)):
            name = f"{dense.result.name}.weight"
            held[name] = _scaled(program.array(dense.weight), drawn.weights(dense, place, program), bits)
            operations[dense.result.name] = replace(dense, weight=name)
        state = states[op.state]
        codec = state.codec and replace(state.codec, shift=state.codec.shift + bits)
        kind = IntType(min(32, state.type.bits + bits), True)
        states[op.state] = replace(state, type=kind, codec=codec)
        if isinstance(op, Integrate):
            operations[op.result.name] = replace(operations[op.result.name], result=replace(op.result, type=kind))
        if readout.source == op.result.name and readout.exit and isinstance(op, Integrate):
            readout = replace(readout, exit=replace(readout.exit, margin=readout.exit.margin << bits))
    used = _used(operations.values(), program)
    kept = {name: array for name, array in held.items() if name in used}
    changed = replace(program, operations=tuple(operations.values()), states=tuple(states.values()), arrays=kept)
    return verify(fitted(replace(changed, readout=readout)))


def finest(program: Program, spread: Spread, law: Law) -> dict[str, int]:
    """By how many bits the unit of every layer can be made finer, up to ``MOST_BITS``; one is spared for other draws.

    Raises:
        ProgramError: a layer cannot be perturbed at all.
    """
    found = {}
    for op in layers_of(program):
        bits = MOST_BITS
        while bits and not _fits(program, spread, law, {op.result.name: bits}):
            bits -= 1
        found[op.result.name] = bits if bits == MOST_BITS else max(0, bits - 1)
    return found


def last_places(program: Program, finer: Mapping[str, int]) -> dict[str, float]:
    """The last place of each layer's weights, as a share of the mean square root of those that are not 0."""
    places = {}
    for op in layers_of(program):
        weights = np.concatenate([program.array(dense.weight).reshape(-1) for dense in _synapses(program, op)])
        present = weights[weights != 0].astype(np.float64)
        size = float(np.sqrt(np.mean(present**2))) if present.size else math.inf
        places[op.result.name] = 1 / (size * (1 << finer.get(op.result.name, 0)))
    return places


def _fits(program: Program, spread: Spread, law: Law, finer: Mapping[str, int]) -> bool:
    try:
        perturbed(program, spread, Circuit(0, 0), law, finer)
    except ProgramError:
        return False
    return True


class _Drawn:
    """The factors of one layer of one circuit."""

    def __init__(self, spread: Spread, circuit: Circuit, number: int, op: Neurons, law: Law) -> None:
        self.sigmas, self.law, self.circuit, self.number = spread.sigmas, law, circuit, number
        self.gain, count = law.weight if isinstance(op, LIF) else law.gain, math.prod(op.result.shape)
        self.x = [
            sigma * self._normals(i, count) if sigma else np.zeros(count) for i, sigma in enumerate(self.sigmas[:3])
        ]

    def _normals(self, source: int, count: int) -> Floats:
        return normals(derive(self.circuit.seed, self.circuit.draw, self.number, source), count)

    def factor(self, exponents: tuple[float, ...]) -> Floats:
        """``[N]`` a neuron, of its own three parts."""
        return np.exp(sum(exponent * x for exponent, x in zip(exponents, self.x, strict=False)))

    def weights(self, dense: Dense, place: int, program: Program) -> Floats:
        """``[in, N]`` of the synapses, those of the neuron's other parts included."""
        shape = program.arrays[dense.weight].values.shape
        return self.factor(self.gain) * self._own(4 + place, math.prod(shape)).reshape(shape)

    def bias(self, count: int) -> Floats:
        """``[N]``: a bias is one current more."""
        return self.factor(self.gain) * self._own(3, count)

    def _own(self, source: int, count: int) -> Floats:
        exponent = self.gain[3] * self.sigmas[3]
        return np.exp(exponent * self._normals(source, count)) if exponent else np.ones(count)


def _neuron(program: Program, op: Neurons, drawn: _Drawn, bits: int) -> tuple[dict[str, Array], Neurons]:
    """A layer's own arrays, one entry a neuron, and the operation that reads them."""
    name, shape = op.result.name, op.result.shape
    leak = program.array(op.leak)
    rate = np.log(np.maximum(leak, 1e-300) / (1 << op.shift)) * drawn.factor(drawn.law.leak)
    multiplier = np.where(leak > 0, np.rint(np.exp(np.minimum(rate, 0)) * (1 << op.shift)), 0)
    given = {f"{name}.leak": _array(np.where(leak > (1 << op.shift), leak, multiplier))}
    changed: Neurons = replace(op, leak=f"{name}.leak")
    if op.bias is not None:
        given[f"{name}.bias"] = _scaled(program.array(op.bias), drawn.bias(shape[-1]), bits)
        changed = replace(changed, bias=f"{name}.bias")
    if isinstance(changed, LIF):
        most = (program.state[op.state].type.highest + 1 << bits) - 1
        theta = program.array(changed.threshold) * drawn.factor(drawn.law.threshold) * (1 << bits)
        given[f"{name}.threshold"] = _array(np.rint(theta).clip(1, most))
        changed = replace(changed, threshold=f"{name}.threshold")
        if changed.reset == "subtract":
            given[f"{name}.amount"] = _array(program.array(op.amount) << bits)  # type: ignore[union-attr]
            changed = replace(changed, reset_by=f"{name}.amount")
    return given, changed


def _scaled(values: npt.NDArray[np.int64], factors: Floats, bits: int) -> Array:
    return _array(np.rint(values * factors * (1 << bits)))


def _array(values: npt.NDArray[np.number]) -> Array:
    whole = values.astype(np.int64)
    return Array(IntType.holding(int(whole.min()), int(whole.max())), whole)


def _synapses(program: Program, op: Neurons) -> tuple[Dense, ...]:
    """The dense layers whose sum a layer of neurons reads."""
    giver = {one.result.name: one for one in program.operations}
    readers = [name for one in program.operations for name in reads(one)]
    found, pending = list[Dense](), [op.source]
    while pending:
        name = pending.pop()
        one = giver.get(name)
        if readers.count(name) > 1 or not isinstance(one, Dense | Add):
            kind = "the input" if one is None else f"a {one.keyword}" if readers.count(name) == 1 else "a shared value"
            what = f"is fed by {kind}: one number there stands for many devices"
            raise ProgramError(what, where=op.result.name, remedy="a network of dense layers")
        if isinstance(one, Dense):
            found.append(one)
        else:
            pending += [one.left, one.right]
    return tuple(found)


def _used(operations: Iterable[Operation], program: Program) -> set[str]:
    table = getattr(program.input.encoding, "table", None)
    return {name for op in operations for name in arrays(op)} | ({table} if table else set())
