"""A layer's neurons as compartments.

    V = 2^s v,   dv = 4096 - m 2^(12 - k),   vth = (2^s theta - 1) >> 6,   bias 2^bias_exp = 2^s b

s is 6 in layers of spikes: vth = theta - 1, and v >= theta is V > 64 vth for whole v, exactly. A leak that rounds
takes 1/2 a step from the program's potentials on average, where a voltage loses next to nothing: 1/2 less of bias makes
up for it.

A compartment whose input comes ``depth`` steps late starts at the voltage from which bias and leak bring it to 0 in
these steps: decay(V0) = V1 - bias has the solution V0 = sign(q) ceil(4096 |q| / (4096 - dv)) for every q = V1 - bias.
"""

from __future__ import annotations

import numpy as np

from leanspike.ir import LIF, MaxPool, Program, reference
from leanspike.ir.inttype import Ints
from leanspike.targets.loihi import compartment
from leanspike.targets.loihi.bounds import Neurons, leak, own_bias
from leanspike.targets.loihi.compartment import ALIGNED, MOST_POTENTIAL, MOST_THRESHOLD, UNITY, Compartments


def populate(program: Program, op: Neurons, s: int, depth: int, *, rounds: bool) -> Compartments:
    """The compartments of a layer; where the host computes biases, :func:`bias_of` gives them for each sample.

    Args:
        rounds: whether the leak does, so that a bias has to make up for it.
    """
    size, channels = int(np.prod(op.result.shape)), op.result.shape[-1]

    def spread(values: Ints) -> Ints:
        return np.broadcast_to(values, (size // channels, channels)).ravel().astype(np.int64)

    if isinstance(op, MaxPool):
        zeros = np.zeros(size, dtype=np.int64)
        return Compartments(op.result.name, zeros, zeros, zeros, zeros, zeros)
    kept = rounded(leak(program, op) * UNITY, op.shift)
    decay = spread((UNITY - kept).clip(0, UNITY - 1))
    highest = np.full(1, MOST_THRESHOLD)
    threshold = threshold_of(reference.row(program, op.threshold, 0), s) if isinstance(op, LIF) else highest
    mantissa, exponent = bias_of(voltage(own_bias(program, op), s, rounds=rounds))
    bias = spread(mantissa), spread(exponent)
    start = starting(decay, bias[0] << bias[1], depth)
    start = np.where(_idles(start, decay, bias[0] << bias[1], spread(threshold), depth), start, 0)
    return Compartments(op.result.name, decay, spread(threshold), *bias, start)


def threshold_of(theta: Ints, s: int) -> Ints:
    """vth: the highest that every whole potential from theta on exceeds; of s below 6 the nearest."""
    if s >= ALIGNED:
        below: Ints = (scaled(theta, s) - 1) >> ALIGNED
        return below
    return rounded(scaled(theta, s) - 1, ALIGNED).clip(0, MOST_THRESHOLD)


def voltage(driven: Ints, s: int, *, rounds: bool) -> Ints:
    """``2^s driven``, less 1/2 a step where the leak rounds."""
    return scaled(driven, s) - (1 << (s - 1) if rounds and s > 0 else 0)


def bias_of(value: Ints) -> tuple[Ints, Ints]:
    """Mantissas and exponents of biases in units of the voltage: nearest; beyond the range its end."""
    exponent = np.zeros_like(value)
    for _ in range(compartment.MOST_BIAS_EXPONENT):
        exponent = exponent + (np.abs(rounded(value, exponent)) > compartment.MOST_BIAS)
    return rounded(value, exponent).clip(-compartment.MOST_BIAS, compartment.MOST_BIAS), exponent


def scaled(value: Ints, s: int) -> Ints:
    """``value 2^s``, rounded to the nearest where s is below 0."""
    return value << s if s >= 0 else rounded(value, -s)


def rounded(value: Ints, shift: Ints | int) -> Ints:
    """``value / 2^shift``, rounded to the nearest, halves up."""
    half = (np.int64(1) << np.int64(shift)) >> 1
    nearest: Ints = (value + half) >> shift
    return nearest


def starting(decay: Ints, bias: Ints, depth: int) -> Ints:
    """The voltages from which ``depth`` steps of decay and bias lead to 0."""
    start = np.zeros_like(bias)
    for _ in range(depth):
        missing = (start - bias).clip(-(1 << 40), 1 << 40)
        start = np.sign(missing) * -(-np.abs(missing) * UNITY // (UNITY - decay))
    return start


def _idles(start: Ints, decay: Ints, bias: Ints, threshold: Ints, depth: int) -> Ints:
    """Where a compartment neither fires nor clips on its way from ``start`` to 0."""
    now, well = start, np.abs(start) <= MOST_POTENTIAL
    for _ in range(depth):
        now = compartment.decayed(now, decay) + bias
        well = well & (now <= threshold << ALIGNED) & (np.abs(now) <= MOST_POTENTIAL)
    silent: Ints = well & (now == 0)
    return silent
