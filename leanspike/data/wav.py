"""PCM .wav files as numbers: one channel of floats in [-1, 1], and the sampling rate."""

from __future__ import annotations

import io
import wave

import numpy as np
import numpy.typing as npt

from leanspike.core.errors import DataError

Sound = npt.NDArray[np.float32]


def decode(content: bytes, where: object) -> tuple[Sound, int]:
    """Samples ``[n]`` (the mean of the channels) and samples a second, of 8-, 16-, 24- or 32-bit PCM.

    Raises:
        DataError: not such a file, cut off, or empty.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, count = (
                file.getnchannels(),
                file.getsampwidth(),
                file.getframerate(),
                file.getnframes(),
            )
            data = file.readframes(count)
    except (wave.Error, EOFError) as error:
        remedy = "expected a .wav of PCM samples; convert it, or replace the file"
        raise DataError(
            f"is no .wav that can be read ({error or 'it ends early'})", where=where, remedy=remedy
        ) from error
    if len(data) < count * channels * width or count == 0 or rate <= 0:
        what = f"holds {len(data) // max(1, channels * width):,} of {count:,} samples"
        raise DataError(what, where=where, remedy="it is cut off or empty: replace or remove it")
    return _numbers(data, width).reshape(-1, channels).mean(1).astype(np.float32), rate


def _numbers(data: bytes, width: int) -> Sound:
    if width == 1:
        return ((np.frombuffer(data, np.uint8) - 128.0) / 128).astype(np.float32)
    if width == 3:
        parts = np.frombuffer(data, np.uint8).reshape(-1, 3)
        whole = np.zeros((len(parts), 4), np.uint8)
        whole[:, 1:] = parts
        return (whole.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return (np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)
