"""Loihi's compartment, and networks of them, in NumPy integers: what Lava's CPU simulation computes, bit for bit.

    a      = sum over connections of (sum over spikes of W) 2^e                  W: 8-bit mantissas, e: their exponent
    u      = wrap(decay(u, du + 1) + 64 a)                                       du = 4095: no memory
    v      = clip(decay(v, dv) + u + bias 2^bias_exp)                            to -(2^23 - 1) .. 2^23 - 1
    s      = v > 64 vth,   v = 0 where s
    decay(x, d) = sign(x) floor(|x| (4096 - d) / 4096)                           rounds to zero
    wrap(x) = x - 2^24 where x > 2^23, x + 2^24 where x <= -2^23                 once
    W      <- floor(W / 2^k) 2^k,  k = 8 - bits + 1 (both signs) or 8 - bits (one sign; of negative ones, of -W)

A spike of step t reaches its targets in step t + 1 + delay. One shifted sum a connection, in 32 bits with sign as Lava
holds it; an exponent below 0 shifts the sum to the right, with floor.

Sources: M. Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning", IEEE Micro 38 (2018) 82;
C. Michaelis et al., "Brian2Loihi", Front. Neuroinform. 16 (2022) 1015624 (equations 1 to 8); and the classes
``PyLifModelBitAcc`` and ``PyDenseModelBitAcc`` of lava-nc 0.10.0, which ``scripts/lava_check.py`` runs beside this
file. Everything here is a simulation: no chip was used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.ir.inttype import Ints

UNITY = 4096
NO_MEMORY = 4095
"""The current decay with which a current lasts one step."""
ALIGNED = 6
"""Bits by which synaptic input and thresholds are shifted."""
MOST_POTENTIAL = (1 << 23) - 1
MOST_THRESHOLD = (1 << 17) - 1
MOST_BIAS, MOST_BIAS_EXPONENT = (1 << 12) - 1, 7
WEIGHT_EXPONENTS = range(-8, 8)
INPUT = "input"
"""The name of the spikes that are sent from outside."""
_TARGETS_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Compartments:
    """A population; every array is ``[n]`` or, where samples differ, ``[B, n]``.

    Attributes:
        decay: dv of the voltage, 0..4095.
        threshold: vth, 0..131071; in units of 64.
        bias, bias_exponent: mantissa -4096..4095 and exponent 0..7.
        start: voltage before the first step.
        current_decay: du, 0..4095; one for all.
    """

    name: str
    decay: Ints
    threshold: Ints
    bias: Ints
    bias_exponent: Ints
    start: Ints
    current_decay: int = NO_MEMORY

    @property
    def size(self) -> int:
        """n."""
        return int(self.threshold.shape[-1])


@dataclass(frozen=True, eq=False)
class Connections:
    """Synapses from one population, or the input, to another.

    Attributes:
        shape: (source compartments, target compartments).
        sources, targets, weights: ``[E]`` one entry a synapse, sorted by target; weights are mantissas.
        exponent: of all of them, -8..7.
        bits: of a stored weight, 1..8.
        delay: steps beyond the one that every spike takes.
    """

    source: str
    target: str
    shape: tuple[int, int]
    sources: Ints
    targets: Ints
    weights: Ints
    exponent: int
    bits: int = 8
    delay: int = 0


@dataclass(frozen=True, eq=False)
class Recording:
    """What a population did: ``[steps, B, n]`` spikes, currents, and voltages after reset."""

    spikes: Ints
    currents: Ints
    voltages: Ints
    clipped: int
    """How often a voltage stood at the end of its range."""
    wrapped: int
    """How often a current left 24 bits."""


def decayed(x: Ints, decay: Ints | int) -> Ints:
    """``sign(x) floor(|x| (4096 - decay) / 4096)``."""
    size: Ints = np.abs(x)
    kept: Ints = np.sign(x) * ((size * (UNITY - decay)) >> 12)
    return kept


def wrapped(x: Ints) -> Ints:
    """A current that left 24 bits, brought back once as the simulation does it."""
    most = MOST_POTENTIAL + 1
    once = np.where(x > most, x - 2 * most, x)
    back: Ints = np.where(once <= -most, x + 2 * most, once)
    return back


def step(of: Compartments, u: Ints, v: Ints, activation: Ints) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """One step: currents, voltages before the reset, and spikes as booleans, ``[B, n]`` each.

    Args:
        activation: ``[B, n]`` what the synapses give, before it is shifted.
    """
    shifted = (activation << ALIGNED).astype(np.int32).astype(np.int64)
    u = wrapped((decayed(u, of.current_decay + 1) + shifted).astype(np.int32).astype(np.int64))
    v = decayed(v, of.decay) + u + (of.bias << of.bias_exponent)
    v = v.clip(-MOST_POTENTIAL, MOST_POTENTIAL)
    return u, v, v > (of.threshold << ALIGNED)


def stored_weights(weights: Ints, bits: int) -> Ints:
    """The mantissas that a synapse format of so many bits holds: clipped to 8 bits and a sign, then floored."""
    both = weights.size > 0 and int(weights.min()) < 0 < int(weights.max())
    negative = weights.size > 0 and not both and int(weights.min()) < 0
    sized = -weights if negative else weights
    drop = 8 - bits + both
    kept: Ints = (sized.clip(-256 if both else 0, 255) >> drop) << drop
    return -kept if negative else kept


def run(
    populations: Sequence[Compartments], connections: Sequence[Connections | Matrix], spikes: Ints, steps: int
) -> Mapping[str, Recording]:
    """All populations for so many steps, with every spike a step on its way.

    Args:
        connections: as they are, or as :class:`Matrix` where several runs share them.
        spikes: ``[T, B, n]`` of the input; silent behind T.
    """
    matrices = [way if isinstance(way, Matrix) else Matrix(way) for way in connections]
    batch = spikes.shape[1]
    fired: dict[str, list[Ints]] = {INPUT: list(spikes), **{of.name: [] for of in populations}}
    u = {of.name: np.zeros((batch, of.size), dtype=np.int64) for of in populations}
    v = {of.name: np.broadcast_to(of.start, (batch, of.size)).astype(np.int64) for of in populations}
    currents: dict[str, list[Ints]] = {of.name: [] for of in populations}
    voltages: dict[str, list[Ints]] = {of.name: [] for of in populations}
    events = {of.name: [0, 0] for of in populations}
    for t in range(steps):
        total = {of.name: np.zeros((batch, of.size), dtype=np.int64) for of in populations}
        for matrix in matrices:
            sent = t - 1 - matrix.of.delay
            if 0 <= sent < len(fired[matrix.of.source]):
                total[matrix.of.target] += matrix.activation(fired[matrix.of.source][sent])
        for of in populations:
            name = of.name
            u[name], before, now = step(of, u[name], v[name], total[name])
            v[name] = np.where(now, 0, before)
            fired[name].append(now.astype(np.int64))
            currents[name].append(u[name])
            voltages[name].append(v[name])
            events[name][0] += int((np.abs(before) == MOST_POTENTIAL).sum())
            events[name][1] += int(((np.abs(total[name]) << ALIGNED) > MOST_POTENTIAL).sum())
    return {
        of.name: Recording(
            np.stack(fired[of.name]), np.stack(currents[of.name]), np.stack(voltages[of.name]), *events[of.name]
        )
        for of in populations
    }


class Matrix:
    """Connections as products over blocks of targets that share few sources; sums are exact."""

    def __init__(self, of: Connections) -> None:
        self.of = of
        weights = stored_weights(of.weights, of.bits)
        largest = np.bincount(of.targets, np.abs(weights), of.shape[1]).max(initial=0)
        kind = np.float32 if largest < 1 << 24 else np.float64
        self.blocks = []
        for start in range(0, of.shape[1], _TARGETS_AT_ONCE):
            stop = min(start + _TARGETS_AT_ONCE, of.shape[1])
            part = slice(*np.searchsorted(of.targets, (start, stop)))
            sources, places = np.unique(of.sources[part], return_inverse=True)
            block = np.zeros((len(sources), stop - start), dtype=kind)
            block[places, of.targets[part] - start] = weights[part]
            self.blocks.append((slice(start, stop), sources, block))

    def activation(self, spikes: Ints) -> Ints:
        """``[B, targets]`` of spikes ``[B, sources]``."""
        total: Ints = np.empty((len(spikes), self.of.shape[1]), dtype=np.int64)
        for columns, sources, block in self.blocks:
            total[:, columns] = spikes[:, sources].astype(block.dtype) @ block
        exponent = self.of.exponent
        return total << exponent if exponent >= 0 else total >> -exponent
