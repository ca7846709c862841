"""Log-mel energies of sound: a recording becomes ``[bands, frames]`` bytes, a band a channel and a frame a time step.

    X[k]   = |sum over n of w[n] x[t hop + n] exp(-2 pi i k n / N)|^2     w: Hann window of N samples (a power of two)
    E[b]   = sum over k of M[b, k] X[k]                                  M: triangles on the mel scale
    y[t,b] = 1 + (10 log10 E[b] - peak) / RANGE, clipped to [0, 1]        peak: the recording's largest, in dB
    mel(f) = 2595 log10(1 + f / 700)                                      (O'Shaughnessy 1987; HTK)

The recording is cut, or filled with silence, at ``seconds``. The peak is the whole recording's, so that loudness says
nothing; a device that hears without end takes a running one. This is data preparation and no part of a program,
whose input are these bytes; :func:`operations` counts what it takes, so that a table can add it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.core.records import require

RANGE = 60.0
"""dB below the peak that become 0."""
_FLOOR = 1e-10


@dataclass(frozen=True)
class LogMel:
    """Settings of the front end.

    Attributes:
        bands: number of mel bands.
        window, hop: seconds of a frame, and between the starts of two.
        seconds: of a recording that are kept.
        low: lowest frequency, Hz; the highest is half the sampling rate.
    """

    bands: int = 32
    window: float = 0.032
    hop: float = 0.02
    seconds: float = 0.8
    low: float = 60.0

    def __post_init__(self) -> None:
        require(self.bands >= 1, "logmel.bands", self.bands, "1 or more")
        require(0 < self.hop <= self.seconds, "logmel.hop", self.hop, "above 0, at most seconds")
        require(self.window > 0, "logmel.window", self.window, "above 0")

    @property
    def frames(self) -> int:
        """T."""
        return round(self.seconds / self.hop)

    def points(self, rate: int) -> int:
        """N: the window in samples, up to the next power of two."""
        return 1 << max(1, math.ceil(math.log2(self.window * rate)))


@dataclass(frozen=True)
class FrontEnd:
    """Arithmetic of the front end for one recording: multiplications with an addition, additions, logarithms."""

    macs: int
    adds: int
    logs: int


def operations(config: LogMel, rate: int) -> FrontEnd:
    """What one recording takes: window, a radix-2 FFT of N real values as one of N/2 complex ones, power, bands, log.

    A complex butterfly is 4 multiplications and 6 additions, counted as 4 MACs and 2 additions; splitting the real
    spectrum takes one more for each of its N/2 values.
    """
    n = config.points(rate)
    butterflies = (n // 4) * int(math.log2(n // 2)) + n // 2
    bins = n // 2 + 1
    taps = int(np.count_nonzero(_mel(config, rate)))
    macs = n + 4 * butterflies + 2 * bins + taps
    return FrontEnd(config.frames * macs, config.frames * 2 * butterflies, config.frames * config.bands)


def logmel(sound: npt.NDArray[np.floating], rate: int, config: LogMel) -> npt.NDArray[np.uint8]:
    """``[bands, frames]`` bytes of one recording ``[samples]``; 255 is the peak, 0 is RANGE dB below it or less."""
    n, hop = config.points(rate), config.hop * rate
    starts = np.round(np.arange(config.frames) * hop).astype(int)
    whole = np.zeros(int(starts[-1]) + n)
    kept = min(len(sound), len(whole), round(config.seconds * rate))
    whole[:kept] = sound[:kept]
    frames = whole[starts[:, None] + np.arange(n)] * np.hanning(n)
    power = np.abs(np.fft.rfft(frames)) ** 2
    level = 10 * np.log10(power @ _mel(config, rate).T + _FLOOR)
    unit = np.clip(1 + (level - level.max()) / RANGE, 0, 1)
    levels: npt.NDArray[np.uint8] = np.floor(unit.T * 255 + 0.5).astype(np.uint8)
    return levels


@functools.cache
def _mel(config: LogMel, rate: int) -> npt.NDArray[np.float64]:
    """``[bands, N/2 + 1]`` triangles, each from its lower neighbour's centre to its upper one's."""
    n = config.points(rate)
    low_mel, high_mel = (2595 * math.log10(1 + hertz / 700) for hertz in (config.low, rate / 2))
    centres = 700 * (10 ** (np.linspace(low_mel, high_mel, config.bands + 2) / 2595) - 1)
    frequencies = np.arange(n // 2 + 1) * rate / n
    low, centre, high = (centres[i : config.bands + i, None] for i in range(3))
    rising, falling = (frequencies - low) / (centre - low), (high - frequencies) / (high - centre)
    weights: npt.NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    return weights
