"""The pixels of the simulated camera, step by step, in NumPy: the definition; ``csrc/camera.c`` does the same, faster.

    between two ticks, for every pixel, with L the level at the later one and r what the pixel remembers

    r -= leak;   r = L where the pixel is silent still;   n = min(floor(|L - r| / theta), most)
    event k = 1..n of the pixel at   start + (end - start) (r + k theta - L_before) / (L - L_before),   floored, clipped
    r += n theta;   silent until the last event's time + refractory                  theta < 0 where L < r

Values of a picture are mixed between pixels in 1 / 256 and shifted to 0..LEVELS - 1; ``table`` makes levels of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leanspike.data.generated.motion import FRACTION, Places

LEVELS = 1 << 12
SHIFT = 12
TOP = 255 * FRACTION * FRACTION >> SHIFT
"""What white becomes."""
Words = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Sensor:
    """A camera in integers.

    Attributes:
        height, width: pixels.
        table: ``[LEVELS]`` level of an intensity.
        on, off: ``[height * width]`` thresholds, in levels.
        leak: ``[height * width]`` levels that a pixel forgets in a step.
        ticks: ``[steps + 1]`` microseconds.
        refractory: microseconds.
        most: events of a pixel in a step.
    """

    height: int
    width: int
    table: Words
    on: Words
    off: Words
    leak: Words
    ticks: npt.NDArray[np.int64]
    refractory: int
    most: int


@dataclass(frozen=True, eq=False)
class Found:
    """Events of some recordings in the order of steps.

    Attributes:
        which, when, pixel: recording, microseconds, row * width + column; ``[N]`` int64 each.
        rises: ``[N]`` whether ON.
    """

    which: npt.NDArray[np.int64]
    when: npt.NDArray[np.int64]
    pixel: npt.NDArray[np.int64]
    rises: npt.NDArray[np.bool_]


def padded(images: npt.NDArray[np.uint8], margin: int) -> npt.NDArray[np.uint8]:
    """Pictures in black, so wide that a sensor's window stays within, ``[B, H + 4 margin + 1, W + 4 margin + 1]``."""
    reach = 2 * margin
    return np.pad(images, ((0, 0), (reach, reach + 1), (reach, reach + 1)))


def windows(places: Places, margin: int) -> npt.NDArray[np.int64]:
    """Row and column of the sensor's window in a padded picture, and parts below and right of them, ``[steps + 1, 4]``.

    The window moves against the picture.
    """
    whole, part = np.divmod(2 * margin * FRACTION - places[:, ::-1], FRACTION)
    return np.ascontiguousarray(np.concatenate([whole, part], axis=1))


def simulate(field: npt.NDArray[np.uint8], views: npt.NDArray[np.int64], sensor: Sensor) -> Found:
    """Events of pictures.

    Args:
        field: of :func:`padded`.
        views: of :func:`windows`.
    """
    before = _level(field, views[0], sensor)
    memory, silent = before.copy(), np.zeros(before.shape, dtype=np.int64)
    parts = []
    for start, end, view in zip(sensor.ticks[:-1], sensor.ticks[1:], views[1:], strict=True):
        level = _level(field, view, sensor)
        memory -= sensor.leak
        if sensor.refractory:
            np.copyto(memory, level, where=silent > start)
        parts.append(_step(level, before, memory, silent, (int(start), int(end)), sensor))
        before = level
    which, when, pixel, rises = (np.concatenate([part[i] for part in parts]) for i in range(4))
    return Found(which, when, pixel, rises.astype(bool))


def _level(field: npt.NDArray[np.uint8], view: npt.NDArray[np.int64], sensor: Sensor) -> Words:
    row, column, down, right = (int(part) for part in view)
    seen = field[:, row : row + sensor.height + 1, column : column + sensor.width + 1].astype(np.int32)
    across = seen[:, :, :-1] * (FRACTION - right) + seen[:, :, 1:] * right
    mixed = across[:, :-1] * (FRACTION - down) + across[:, 1:] * down
    level: Words = sensor.table[(mixed >> SHIFT).reshape(len(field), -1)]
    return level


def _step(
    level: Words, before: Words, memory: Words, silent: npt.NDArray[np.int64], span: tuple[int, int], sensor: Sensor
) -> tuple[npt.NDArray[np.int64], ...]:
    start, end = span
    change, pixels = level - memory, level.shape[1]
    at = np.flatnonzero((change >= sensor.on) | (-change >= sensor.off))
    pixel, rise = at % pixels, change.ravel()[at]
    theta = np.where(rise > 0, sensor.on[pixel], -sensor.off[pixel])
    count = np.minimum(rise // theta, sensor.most)
    one = np.repeat(np.arange(len(at)), count)
    nth = np.arange(len(one)) - np.repeat(np.cumsum(count) - count, count) + 1
    moved = (level.ravel()[at] - before.ravel()[at])[one].astype(np.int64)
    crossed = (memory.ravel()[at] - before.ravel()[at])[one] + nth * theta[one]
    share = (end - start) * crossed // np.where(moved == 0, 1, moved)
    when = start + np.clip(np.where(moved == 0, 0, share), 0, end - start - 1)
    memory.ravel()[at] += (count * theta).astype(np.int32)
    silent.ravel()[at[one]] = when + sensor.refractory
    return at[one] // pixels, when, pixel[one], (rise[one] > 0).astype(np.int64)
