"""Scenes composed of real N-MNIST recordings: several digits move over a field, their event streams merged.

    a digit      one recording, a window of it of the scene's length, on its own 34 x 34 patch
    its way      event (x, y, t)  ->  (x + round(ox + vx (t - t_end)), y + round(oy + vy (t - t_end)), t)
    its box      the columns and rows between the 1st and 99th hundredth of its events, where the patch is at t_end
    the noise    events that fall anywhere, with a rate for each pixel

In training scenes a digit's patch is warped and thinned: places p about its middle become (1 + M) p with M drawn from
[-warp, warp], each event moved by less than half a pixel before, and up to a share ``drop`` of its events left out.

Everything is drawn from (seed, part, number of the scene). Parts share no recording: test scenes are made of the test
recordings, validation scenes of training recordings that no training scene has.
Recordings: G. Orchard et al., Front. Neurosci. 9 (2015) 437.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leanspike.core.records import require
from leanspike.core.rng import derive
from leanspike.data.events import Events
from leanspike.detect.boxes import Boxes, Floats, overlap

PARTS = ("train", "val", "test")
_TRIES = 40
_TRIM = 0.01


@dataclass(frozen=True)
class SceneConfig:
    """Which scenes.

    Attributes:
        train, val, test: how many of each part.
        seed: of everything.
        side: width and height of the field in pixels.
        fewest, most: digits in a scene; fewer where no more find room.
        window_ms: length of a scene.
        speed: highest speed along an axis, pixels a second.
        overlap: highest IoU of two boxes.
        noise_hz: events a pixel and second.
        validation: share of the training recordings that validation scenes are made of.
        warp, drop: of the digits in training scenes; 0 leaves them as they were recorded.
    """

    train: int = 6000
    val: int = 300
    test: int = 500
    seed: int = 0
    side: int = 64
    fewest: int = 2
    most: int = 4
    window_ms: int = 100
    speed: float = 60.0
    overlap: float = 0.1
    noise_hz: float = 0.5
    validation: float = 0.1
    warp: float = 0.2
    drop: float = 0.3

    def __post_init__(self) -> None:
        for part in PARTS:
            require(getattr(self, part) >= 1, f"scenes.{part}", getattr(self, part), "1 or more")
        require(34 <= self.side <= 4096, "scenes.side", self.side, "34 (a patch) to 4096 pixels")
        require(
            1 <= self.fewest <= self.most <= 64, "scenes.fewest/most", [self.fewest, self.most], "1 to 64, in order"
        )
        require(10 <= self.window_ms <= 300, "scenes.window_ms", self.window_ms, "10 to 300, which a recording lasts")
        require(0 <= self.speed <= 10_000, "scenes.speed", self.speed, "0 to 10000 pixels a second")
        require(0 <= self.overlap <= 1, "scenes.overlap", self.overlap, "between 0 and 1")
        require(0 <= self.noise_hz <= 100, "scenes.noise_hz", self.noise_hz, "0 to 100")
        require(0 <= self.warp < 0.5, "scenes.warp", self.warp, "from 0 up to, not including, 0.5")
        require(0 <= self.drop < 1, "scenes.drop", self.drop, "from 0 up to, not including, 1")
        require(0 < self.validation < 1, "scenes.validation", self.validation, "a share between 0 and 1")

    @property
    def window_us(self) -> int:
        """The scene's length in microseconds."""
        return 1000 * self.window_ms


@dataclass(frozen=True, eq=False)
class Digit:
    """A recording and its class."""

    events: Events
    label: int


@dataclass(frozen=True, eq=False)
class Scene:
    """Events from 0 to ``window_us``, and the boxes at their end."""

    events: Events
    boxes: Boxes


def compose(digits: Sequence[Digit], config: SceneConfig, part: str, number: int) -> Scene:
    """Scene ``number`` of a part, made of some of ``digits``."""
    random = np.random.default_rng(derive(config.seed, PARTS.index(part), number))
    corners: list[Floats] = []
    labels: list[int] = []
    streams = [_noise(config, random)]
    for _ in range(int(random.integers(config.fewest, config.most + 1))):
        digit = digits[int(random.integers(len(digits)))]
        cut = _cut(digit.events, config.window_us, random)
        if part == PARTS[0] and (config.warp or config.drop):
            cut = _warped(cut, config, random)
        placed = _placed(cut, config, corners, random)
        if placed is not None:
            streams.append(placed[0])
            corners.append(placed[1])
            labels.append(digit.label)
    return Scene(_merged(streams, config), Boxes.true(np.array(corners), labels))


def _cut(events: Events, window: int, random: np.random.Generator) -> Events:
    """A window of a recording, its time from 0 on."""
    last = max(int(events.t[-1]) + 1 - window, 0)
    start = int(random.integers(last + 1))
    found = events.between(start, start + window)
    return Events(found.t - start, found.x, found.y, found.p, events.width, events.height)


def _warped(events: Events, config: SceneConfig, random: np.random.Generator) -> Events:
    """The events on a patch that is stretched, sheared and turned a little, some of them left out."""
    events = events[random.random(len(events)) >= random.uniform(0, config.drop)]
    matrix = np.eye(2) + random.uniform(-config.warp, config.warp, (2, 2))
    places = np.stack([events.x, events.y]) + random.uniform(-0.5, 0.5, (2, len(events)))
    moved = np.rint(matrix @ places).astype(np.int64)
    moved -= moved.min(axis=1, keepdims=True, initial=0)
    width, height = moved.max(axis=1, initial=0) + 1
    return Events(events.t, moved[0], moved[1], events.p, int(width), int(height))


def _placed(
    events: Events, config: SceneConfig, taken: list[Floats], random: np.random.Generator
) -> tuple[np.ndarray, Floats] | None:
    """Columns ``[4, n]`` (t, x, y, p) of the digit on the field, and its box; None where there is no room."""
    if len(events) < 2:
        return None
    extent = np.concatenate([_extent(events.x), _extent(events.y)])
    size = extent[[1, 3]] - extent[[0, 2]]
    velocity = random.uniform(-config.speed, config.speed, 2) / 1e6
    for _ in range(_TRIES):
        corner = np.array([random.integers(config.side - int(length) + 1) for length in size], dtype=np.float64)
        box = np.concatenate([corner, corner + size])
        if not taken or overlap(box[None], np.array(taken)).max() <= config.overlap:
            break
    else:
        return None
    left = events.t - config.window_us
    moved = np.rint((corner - extent[[0, 2]])[:, None] + velocity[:, None] * left).astype(np.int64)
    return np.stack([events.t, events.x + moved[0], events.y + moved[1], events.p.astype(np.int64)]), box


def _extent(places: np.ndarray) -> Floats:
    """First place and the one behind the last that hold the middle 98 % of events."""
    low, high = np.quantile(places, (_TRIM, 1 - _TRIM), method="nearest")
    return np.array([low, high + 1.0])


def _noise(config: SceneConfig, random: np.random.Generator) -> np.ndarray:
    count = int(random.poisson(config.noise_hz * config.side**2 * config.window_us / 1e6))
    highest = (config.window_us, config.side, config.side, 2)
    return np.stack([random.integers(most, size=count) for most in highest])


def _merged(streams: list[np.ndarray], config: SceneConfig) -> Events:
    """One stream, sorted by time; what lies beyond the field is lost."""
    columns = np.concatenate(streams, axis=1)
    inside = ((columns[1:3] >= 0) & (columns[1:3] < config.side)).all(0)
    columns = columns[:, inside]
    t, x, y, p = columns[:, np.argsort(columns[0], kind="stable")]
    return Events(t, x, y, p != 0, config.side, config.side)
