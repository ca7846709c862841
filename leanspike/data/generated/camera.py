"""A simulated event camera before moving pictures: contrast thresholds, their mismatch, refractory time, leak, noise.

    I(t)      the picture at its place, bilinear between pixels, 0..1
    L(t)      ln((I + dark) / (1 + dark)), in whole multiples of 2^-16
    ON        L - r >= theta_on  of the pixel, then r += theta_on            r: what the pixel remembers
    OFF       r - L >= theta_off of the pixel, then r -= theta_off
    held      for ``refractory_us`` after an event a pixel follows L and is silent
    leak      r falls by theta_on ``leak_hz`` times a second: ON events without any cause
    noise     events of either direction at a pixel ``noise_hz`` times a second, Poisson

theta of a pixel is drawn once for the camera, normal with mean ``threshold`` and standard deviation ``mismatch``, and
at least a fifth of the mean. An event's time lies on the line between two steps of the simulation, in whole
microseconds. All sums are of integers: the same events come out on every machine, whatever is filmed beside.

P. Lichtsteiner, C. Posch, T. Delbruck, IEEE J. Solid-State Circuits 43 (2008) 566 (the pixel); Y. Hu, S.-C. Liu,
T. Delbruck, "v2e: From Video Frames to Realistic DVS Events", arXiv:2006.07722 (mismatch, leak, noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from leanspike.core.records import require
from leanspike.core.rng import derive
from leanspike.data.events.record import Events
from leanspike.data.generated.kernel import simulate
from leanspike.data.generated.motion import DIRECTIONS, Motion, path
from leanspike.data.generated.pixels import LEVELS, TOP, Found, Sensor, padded, windows

STEPS = 120
"""Steps of a simulation: N-MNIST's path moves by 0.15 pixels in one."""
UNIT = 1 << 16
_THRESHOLDS, _DIRECTION, _NOISE = 0xD501, 0xD502, 0xD503
Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class CameraConfig:
    """A camera and what it looks at.

    Attributes:
        motion: ``saccades`` or ``drift``; :mod:`leanspike.data.generated.motion`.
        margin: pixels around the picture, and half the way that it moves.
        duration_us: of a recording.
        threshold: mean contrast threshold, in natural logarithms.
        mismatch: standard deviation of the pixels' thresholds.
        dark: what is added to the picture's intensity of 0..1: the smaller, the greater its contrast.
        refractory_us: how long a pixel is silent after an event.
        leak_hz, noise_hz: events of leak and of noise, a pixel and second.
        seed: of mismatch, noise and directions.
    """

    motion: Motion = "saccades"
    margin: int = 3
    duration_us: int = 300_000
    threshold: float = 0.4
    mismatch: float = 0.03
    dark: float = 0.1
    refractory_us: int = 1_000
    leak_hz: float = 0.1
    noise_hz: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.motion in ("saccades", "drift"), "motion", self.motion, "saccades or drift")
        require(1 <= self.margin <= 64, "margin", self.margin, "1 to 64 pixels")
        require(STEPS <= self.duration_us <= 10**8, "duration_us", self.duration_us, f"{STEPS} us to 100 s")
        require(0.01 <= self.threshold <= 10, "threshold", self.threshold, "between 0.01 and 10")
        require(0 <= self.mismatch <= self.threshold, "mismatch", self.mismatch, "between 0 and the threshold")
        require(0.001 <= self.dark <= 1, "dark", self.dark, "between 0.001 and 1")
        require(0 <= self.refractory_us <= self.duration_us, "refractory_us", self.refractory_us, "0 to duration_us")
        for key in ("leak_hz", "noise_hz"):
            require(0 <= getattr(self, key) <= 1000, key, getattr(self, key), "between 0 and 1000 a second")
        require(0 <= self.seed < 2**31, "seed", self.seed, "a whole number from 0 up to 2147483647")


def film(images: Images, numbers: Sequence[int], config: CameraConfig) -> list[Events]:
    """A recording of each picture.

    Args:
        images: ``[B, H, W]`` grey, 255 is white.
        numbers: of each picture: its noise and direction are functions of (seed, number).

    Returns:
        Recordings of (W + 2 margin) x (H + 2 margin) pixels, times from 0 in microseconds.
    """
    height, width = (side + 2 * config.margin for side in images.shape[1:])
    sensor, field = _sensor(height, width, config), padded(images, config.margin)
    drawn = np.array([derive(config.seed, _DIRECTION, number) % DIRECTIONS for number in numbers], dtype=np.int64)
    found: dict[int, Events] = {}
    for direction in np.unique(drawn).tolist() if config.motion == "drift" else [0]:
        chosen = np.flatnonzero((drawn == direction) | (config.motion == "saccades"))
        views = windows(path(config.motion, config.margin, STEPS, direction), config.margin)
        seen = simulate(field[chosen], views, sensor)
        recordings = _ordered(seen, [numbers[at] for at in chosen.tolist()], (height, width), config)
        found |= dict(zip(chosen.tolist(), recordings, strict=True))
    return [found[at] for at in range(len(images))]


def thresholds(pixels: int, config: CameraConfig) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Every pixel's ON and OFF threshold in units of L, ``[pixels]`` each."""
    drawn = np.random.default_rng(derive(config.seed, _THRESHOLDS)).standard_normal((2, pixels))
    theta = np.maximum(config.threshold + config.mismatch * drawn, config.threshold / 5)
    on, off = np.round(theta * UNIT).astype(np.int32)
    return on, off


def _sensor(height: int, width: int, config: CameraConfig) -> Sensor:
    on, off = thresholds(height * width, config)
    ticks = np.linspace(0, config.duration_us, STEPS + 1).round().astype(np.int64)
    intensity = np.arange(LEVELS) / TOP
    return Sensor(
        height=height,
        width=width,
        table=np.round(UNIT * np.log((intensity + config.dark) / (1 + config.dark))).astype(np.int32),
        on=on,
        off=off,
        leak=np.round(on * (config.leak_hz * config.duration_us / STEPS / 1e6)).astype(np.int32),
        ticks=ticks,
        refractory=config.refractory_us,
        most=max(1, int(ticks[1]) // config.refractory_us) if config.refractory_us else 1 << 20,
    )


def _ordered(seen: Found, numbers: Sequence[int], size: tuple[int, int], config: CameraConfig) -> list[Events]:
    """Recordings out of the events of all, with their noise, by time."""
    height, width = size
    noise = [_noise(number, height * width, config) for number in numbers]
    which = np.concatenate([seen.which, *(np.full(len(one[0]), at) for at, one in enumerate(noise))])
    when, pixel, rises = (
        np.concatenate([part, *(one[i] for one in noise)]) for i, part in enumerate((seen.when, seen.pixel, seen.rises))
    )
    span, pixels = config.duration_us + 1, height * width
    keys = np.sort(((which * span + when) * pixels + pixel) * 2 + rises)
    keys, rises = keys >> 1, keys & 1 == 1
    keys, pixel = np.divmod(keys, pixels)
    which, when = np.divmod(keys, span)
    edges = np.searchsorted(which, np.arange(len(numbers) + 1))
    slices = [slice(edges[at], edges[at + 1]) for at in range(len(numbers))]
    return [Events(when[s], pixel[s] % width, pixel[s] // width, rises[s], width, height) for s in slices]


def _noise(number: int, pixels: int, config: CameraConfig) -> tuple[Any, Any, Any]:
    random = np.random.default_rng(derive(config.seed, _NOISE, number))
    count = random.poisson(config.noise_hz * pixels * config.duration_us / 1e6)
    when, pixel = random.integers(0, config.duration_us, count), random.integers(0, pixels, count)
    return when, pixel, random.random(count) < 0.5
