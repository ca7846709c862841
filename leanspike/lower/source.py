"""The input of a program: the encoder of a run, in integers.

    direct     x = gain raw / levels            the unit of the first currents is gain / levels
    rate       table[raw]                       thresholds on 16-bit draws, of leanspike.encode.rate, a level each
    latency    table[raw]                       the step of the spike, of leanspike.encode.latency; T for none
    current    x[t] = gain raw[t] / levels      a sequence [T, C] of the series' values
    delta      threshold, start                 times levels / gain, rounded; levels of 15 bits, whole for bytes
    population a step's spikes as they are      a sequence [T, C K]; :mod:`leanspike.lower.fields` puts the neurons that
                                                make them from the series' values before
    frames     a step's spikes as they are      a sequence [T, ...] of 1 bit

Tables are made by running the encoder itself on every level, so a program's spikes are those of training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from leanspike.core.records import require
from leanspike.encode import EncoderConfig, delta, encoded_shape, latency, rate
from leanspike.ir import Array, Direct, Input, IntType, Latency, Rate, Sequence, Value
from leanspike.ir.encodings import Delta
from leanspike.ir.inttype import SPIKE
from leanspike.ir.ops import Shape

TABLE = "table"
_DELTA_BITS = 15


@dataclass(frozen=True)
class Encoded:
    """What a sample is and how it enters.

    Attributes:
        encoder: of the run.
        shape: of one sample as data sets have it: ``(C, H, W)``, ``(channels, length)``, ``(F,)`` or
            ``(frames, C, H, W)``.
        timesteps: T.
        seed: of the rate encoder's draws.
        exact_bytes: the data are uint8; else floats in [0, 1], which take ``LowerConfig.input_bits``.
    """

    encoder: EncoderConfig
    shape: Shape
    timesteps: int
    seed: int = 0
    exact_bytes: bool = True


@dataclass(frozen=True)
class Source:
    """A program's input, the arrays it reads, and what the integer 1 of its result stands for."""

    input: Input
    arrays: dict[str, Array]
    unit: float


def source(encoded: Encoded, input_bits: int) -> Source:
    """The program's input for an encoder.

    Raises:
        ConfigError, EncodingError: the encoder does not suit the samples.
    """
    kind, gain = encoded.encoder.kind, encoded.encoder.gain
    shape = encoded_shape(encoded.shape, encoded.encoder, encoded.timesteps)
    if kind in ("frames", "population"):
        x = Value("x", channels_last(shape), SPIKE)
        return Source(Input(x, Value("raw", (encoded.timesteps, *x.shape), SPIKE), 1, Sequence()), {}, 1.0)
    bits = _DELTA_BITS if kind == "delta" else 8 if encoded.exact_bytes else input_bits
    sample = (encoded.shape[0], encoded.timesteps) if kind == "delta" else channels_last(encoded.shape)
    raw = Value("raw", sample, IntType(bits, False))
    levels = raw.type.highest // 255 * 255 if encoded.exact_bytes else raw.type.highest
    if kind == "current":
        series = Value("raw", (encoded.timesteps, *shape), raw.type)
        return Source(Input(Value("x", shape, raw.type), series, levels, Sequence()), {}, gain / levels)
    if kind == "direct":
        return Source(Input(Value("x", raw.shape, raw.type), raw, levels, Direct()), {}, gain / levels)
    result = Value("x", channels_last(shape), SPIKE)
    if kind == "delta":
        threshold = round(encoded.encoder.threshold * levels / gain)
        require(1 <= threshold <= levels, "encoder.threshold", encoded.encoder.threshold, "a change that can happen")
        require(gain >= delta.START, "encoder.gain", gain, f"{delta.START} or more, where the tracker starts")
        start = round(delta.START * levels / gain)
        return Source(Input(result, raw, levels, Delta(threshold, start)), {}, 1.0)
    table = _table(encoded, levels)
    encoding = Rate(encoded.seed, TABLE) if kind == "rate" else Latency(TABLE)
    return Source(Input(result, raw, levels, encoding), {TABLE: table}, 1.0)


def _table(encoded: Encoded, levels: int) -> Array:
    values = torch.arange(levels + 1, dtype=torch.float32) / levels
    if encoded.encoder.kind == "rate":
        return Array(IntType(16, False), rate.thresholds16(values, encoded.encoder.gain).numpy())
    steps = encoded.timesteps
    spikes = latency.encode(values, encoded.encoder.gain, encoded.encoder.threshold, steps).numpy()
    when = np.where(spikes.any(0), spikes.argmax(0), steps)
    return Array(IntType.holding(0, steps), when)


def channels_last(shape: Shape) -> Shape:
    """``(C, H, W)`` as ``(H, W, C)``; any other shape as it is."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape
