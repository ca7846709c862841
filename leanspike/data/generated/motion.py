"""How a picture moves before the camera: corners of a path in pixels, walked at constant speed.

    saccades    (0, 0) -> (a/2, a) -> (a, 0) -> (0, 0), a third of the time each, a = 2 margin: that of N-MNIST's camera
    drift       a straight line of 2 margin pixels through the middle, in one of eight directions, drawn a recording

A picture of H x W lies in a field of (H + 2 margin) x (W + 2 margin); the path moves it within.

G. Orchard et al., "Converting static image datasets to spiking neuromorphic datasets using saccades", Front. Neurosci.
9 (2015) 437.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Motion = Literal["saccades", "drift"]
DIRECTIONS = 8
FRACTION = 256
"""Places are whole multiples of 1 / FRACTION of a pixel."""
Places = npt.NDArray[np.int64]


def path(motion: Motion, margin: int, steps: int, direction: int = 0) -> Places:
    """Where the picture's top left corner stands, ``[steps + 1, 2]`` (x, y) in 1 / FRACTION pixels, 0..2 margin.

    Args:
        direction: of a drift, 0..7, counted from the x axis in eighths of a turn.
    """
    reach = 2.0 * margin
    if motion == "saccades":
        corners = np.array([[0.0, 0.0], [reach / 2, reach], [reach, 0.0], [0.0, 0.0]])
    else:
        turn = 2 * np.pi * direction / DIRECTIONS
        arm = margin * np.array([np.cos(turn), np.sin(turn)])
        corners = np.array([margin - arm, margin + arm])
    at = np.linspace(0, len(corners) - 1, steps + 1)
    walked = [np.interp(at, np.arange(len(corners)), corners[:, axis]) for axis in (0, 1)]
    return np.round(np.stack(walked, axis=1) * FRACTION).astype(np.int64)
