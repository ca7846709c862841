"""Population coding inside a program: two layers of neurons without memory make the spikes of Gaussian fields.

    raw[t, c]                                        the series' value, an integer of 0..levels
    edge[e] = raw[c] >= low of a field, or raw[c] > high of a field      one neuron an edge that a value can cross
    x[c K + k] = edge[low of k] - edge[high of k] >= 1                   a low edge at 0 is a bias of 1

A field fires between two levels, :func:`leanspike.encode.population.fires` says which; as every operation here is one
that every target has, so is the encoder. Its operations, spikes and states count like any others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from leanspike.core.errors import LoweringError
from leanspike.encode import EncoderConfig, population
from leanspike.ir import LIF, Array, Dense, Input, IntType, Program, Sequence, State, Value, run_fast, verify
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.narrow import fitted
from leanspike.lower.shrink import StepReport
from leanspike.lower.source import Encoded

_LEAK_SHIFT = 1


@dataclass(frozen=True)
class Band:
    """The raw levels at which a field fires, both included."""

    low: int
    high: int


def bands(encoder: EncoderConfig, levels: int) -> tuple[Band, ...]:
    """The band of every field, on raw levels that the gain multiplies.

    Raises:
        LoweringError: a field fires at no level.
    """
    reached = np.minimum(np.floor(np.minimum(np.arange(levels + 1) / levels * encoder.gain, 1) * levels + 0.5), levels)
    fires = population.fires(encoder.fields, encoder.threshold, levels).numpy()[reached.astype(np.int64)]
    if not fires.any(0).all():
        remedy = "take a lower encoder.threshold or more lower.input_bits"
        raise LoweringError("a field fires at no level of the input", where="encoder.fields", remedy=remedy)
    return tuple(Band(int(np.flatnonzero(field)[0]), int(np.flatnonzero(field)[-1])) for field in fires.T)


def encoded_spikes(raw: Ints, found: tuple[Band, ...]) -> Ints:
    """Spikes ``[B, T, C K]`` of raw series ``[B, T, C]``."""
    parts = [(raw >= band.low) & (raw <= band.high) for band in found]
    return np.stack(parts, axis=-1).reshape(*raw.shape[:2], -1).astype(np.int64)


def with_fields(
    program: Program, encoded: Encoded, input_bits: int, raw: Ints | None
) -> tuple[Program, Ints, StepReport]:
    """A program of a population's spikes as one of the series' values; the raw series it was checked on; the report.

    Args:
        program: takes ``[T, C K]`` spikes.
        raw: ``[B, T, C]`` raw series for the check.

    Raises:
        LoweringError: the scores changed. ProgramError: the program breaks a rule.
    """
    channels, steps = encoded.shape[0], encoded.timesteps
    kind = IntType(8 if encoded.exact_bytes else input_bits, False)
    found = bands(encoded.encoder, kind.highest)
    if raw is None:
        raw = np.random.default_rng(0).integers(0, kind.highest + 1, (32, steps, channels))
    values = Input(Value("x0", (channels,), kind), Value("raw", (steps, channels), kind), kind.highest, Sequence())
    after = verify(fitted(_prefixed(program, values, found, channels)))
    expected, seen = run_fast(program, encoded_spikes(raw, found)), run_fast(after, raw)
    if (expected.scores != seen.scores).any() or (expected.steps != seen.steps).any():
        raise LoweringError("the scores changed", where="step fields")
    neurons = program.input.result.shape[0]
    told = f"{neurons} fields of {channels} channels are neurons; the same scores on {len(raw)} check samples"
    return after, raw, StepReport("fields", told)


def _prefixed(program: Program, values: Input, found: tuple[Band, ...], channels: int) -> Program:
    """The two layers before the program's own operations; the fields take the name of the input they replace."""
    top, count = values.levels, len(found)
    edges: list[tuple[int, int, int, int]] = []  # channel, least level at which it fires, field, sign
    bias = np.zeros((1, channels * count), dtype=np.int64)
    for channel in range(channels):
        for k, band in enumerate(found):
            field = channel * count + k
            if band.low > 0:
                edges.append((channel, band.low, field, 1))
            else:
                bias[0, field] = 1
            if band.high < top:
                edges.append((channel, band.high + 1, field, -1))
    reads, meets = np.zeros((channels, len(edges)), np.int64), np.zeros((len(edges), channels * count), np.int64)
    for e, (channel, _, field, sign) in enumerate(edges):
        reads[channel, e], meets[e, field] = 1, sign
    arrays = {
        "enc.w1": Array(IntType(2, True), reads),
        "enc.w2": Array(IntType(2, True), meets),
        "enc.t1": _array(np.array([[level for _, level, _, _ in edges]])),
        "enc.t2": _array(np.array([[1]])),
        "enc.b2": _array(bias),
        "enc.m": _array(np.array([[0]])),
    }
    x, wide = program.input.result, IntType(16, True)
    states = (State("enc.v1", (len(edges),), wide), State("enc.v2", x.shape, wide))
    first = Value("enc.i1", (len(edges),), SPIKE)
    second = Value("enc.i2", x.shape, SPIKE)
    spikes = Value("enc.s1", (len(edges),), SPIKE)
    operations = (
        Dense(first, values.result.name, "enc.w1"),
        LIF(spikes, first.name, "enc.v1", "enc.m", _LEAK_SHIFT, "enc.t1", reset="zero"),
        Dense(second, spikes.name, "enc.w2"),
        LIF(x, second.name, "enc.v2", "enc.m", _LEAK_SHIFT, "enc.t2", "enc.b2" if bias.any() else None, "zero"),
    )
    kept = {**arrays, **program.arrays}
    if not bias.any():
        del kept["enc.b2"]
    return replace(
        program,
        input=values,
        states=(*states, *program.states),
        operations=(*operations, *program.operations),
        arrays=kept,
    )


def _array(values: Ints) -> Array:
    return Array(IntType.holding(int(values.min()), int(values.max())), values)
