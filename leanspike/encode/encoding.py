"""One way in: values in [0, 1] become the input of a network, ``[T, B, ...]``.

``direct``, ``rate`` and ``latency`` take a sample's values as features, whatever they are: the T steps of a network are
then not the time of a series. ``current``, ``delta`` and ``population`` turn a series' own time into the network's,
``frames`` that of a recording. A series longer than T is brought to T values first, :mod:`leanspike.encode.resample`.
"""

from __future__ import annotations

from torch import Tensor

from leanspike.core.errors import EncodingError
from leanspike.core.records import require
from leanspike.encode import current, delta, direct, frames, latency, population, rate
from leanspike.encode.config import EncoderConfig, EncoderKind
from leanspike.encode.resample import resampled

SUITED_READOUTS: dict[EncoderKind, tuple[str, ...]] = {
    "direct": direct.SUITED_READOUTS,
    "rate": rate.SUITED_READOUTS,
    "latency": latency.SUITED_READOUTS,
    "current": current.SUITED_READOUTS,
    "delta": delta.SUITED_READOUTS,
    "population": population.SUITED_READOUTS,
    "frames": frames.SUITED_READOUTS,
}
SERIES: tuple[EncoderKind, ...] = ("current", "delta", "population")
"""Encoders whose time is the series' own."""


def encode(x: Tensor, numbers: Tensor, config: EncoderConfig, timesteps: int, seed: int) -> Tensor:
    """Encode a batch.

    Args:
        x: ``[B, ...]`` float32 in [0, 1]; frames may be uint8, too, where 255 stands for 1.
        numbers: ``[B]`` int64, each sample's number in its set; only ``rate`` uses them.
        timesteps: T, 1 or more.
        seed: of the rate encoder's draws.

    Returns:
        ``[T, B, *encoded_shape]`` float32: for ``direct`` a view with stride 0 in time, for ``current`` values, else
        spikes 0 or 1.

    Raises:
        EncodingError, ConfigError: as :func:`encoded_shape`.
    """
    encoded_shape(tuple(x.shape[1:]), config, timesteps)
    if config.kind == "direct":
        return direct.encode(x if config.gain == 1.0 else x * config.gain, timesteps)
    if config.kind == "rate":
        return rate.encode(x, numbers, config.gain, timesteps, seed)
    if config.kind == "latency":
        return latency.encode(x, config.gain, config.threshold, timesteps)
    if config.kind == "frames":
        return frames.encode(x, timesteps)
    series = resampled(x, timesteps)
    if config.kind == "current":
        return current.encode(series, config.gain)
    if config.kind == "population":
        return population.encode(series, config.gain, config.threshold, config.fields)
    return delta.encode(series, config.gain, config.threshold)


def decode(encoded: Tensor, config: EncoderConfig) -> Tensor:
    """The encoder's best guess of ``gain * x`` (clipped to [0, 1] for rate, latency and population), ``[B, ...]``.

    Of a series that was longer than T it is the series of T values that was encoded.
    """
    if config.kind == "direct":
        return direct.decode(encoded)
    if config.kind == "rate":
        return rate.decode(encoded)
    if config.kind == "latency":
        return latency.decode(encoded)
    if config.kind == "frames":
        return frames.decode(encoded)
    if config.kind == "current":
        return current.decode(encoded)
    if config.kind == "population":
        return population.decode(encoded, config.fields)
    return delta.decode(encoded, config.threshold)


def encoded_shape(shape: tuple[int, ...], config: EncoderConfig, timesteps: int) -> tuple[int, ...]:
    """Shape of one encoded step of a sample of ``shape``; call it before training to fail early.

    Raises:
        ConfigError: T is below 1.
        EncodingError: the encoder does not suit such samples or this T.
    """
    require(timesteps >= 1, "timesteps", timesteps, "a whole number of 1 or more")
    if config.kind == "latency" and timesteps < latency.MIN_TIMESTEPS:
        raise EncodingError("latency coding tells values apart by time", where="timesteps=1", remedy="take 2 or more")
    if config.kind == "frames":
        return _frame_shape(shape, timesteps)
    if len(shape) == 4:
        what = f"{config.kind} coding is for values; these are {shape[0]} frames of events"
        raise EncodingError(what, where="encoder.kind", remedy="set encoder.kind=frames")
    return _series_shape(shape, config, timesteps) if config.kind in SERIES else shape


def _series_shape(shape: tuple[int, ...], config: EncoderConfig, timesteps: int) -> tuple[int, ...]:
    kind = config.kind
    if len(shape) != 2:
        what = (
            f"{kind} coding needs a series [channels, length]; samples of shape {list(shape)} have no time of their own"
        )
        remedy = "direct, rate and latency suit images and vectors"
        raise EncodingError(what, where=f"encoder.kind={kind}", remedy=remedy)
    channels, length = shape
    if timesteps > length:
        what = f"a series of {length} values cannot fill {timesteps} time steps"
        raise EncodingError(what, where=f"timesteps={timesteps}", remedy=f"take {length} or fewer")
    return (channels * {"current": 1, "delta": 2, "population": config.fields}[kind],)


def _frame_shape(shape: tuple[int, ...], timesteps: int) -> tuple[int, ...]:
    if len(shape) != 4:
        what = f"samples of shape {list(shape)} are no frames of events [frames, polarities, height, width]"
        raise EncodingError(what, where="encoder.kind=frames", remedy="direct, rate and latency suit values")
    if timesteps > shape[0]:
        what = f"{shape[0]} frames cannot fill {timesteps} time steps"
        raise EncodingError(what, where=f"timesteps={timesteps}", remedy=f"take {shape[0]} or fewer")
    return shape[1:]
