"""Recordings of two shapes that take no data set, and small sets of scenes made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from leanspike.data.events import Events
from leanspike.detect.config import DetectConfig, LeanConfig, TrainConfig
from leanspike.detect.digits import write_scenes
from leanspike.detect.model import ModelConfig
from leanspike.detect.scenes import PARTS, Digit, SceneConfig
from leanspike.detect.windows import WindowConfig

SCENES = SceneConfig(train=24, val=8, test=10, side=48, fewest=1, most=2, speed=30.0)
TINY = DetectConfig(
    windows=WindowConfig(timesteps=3),
    model=ModelConfig(channels=(6, 8), deep=(8,), kernel=3),
    train=TrainConfig(epochs=2, cycles=1, batch_size=8, warm_up=2),
    lean=LeanConfig(train=TrainConfig(epochs=1, cycles=1, batch_size=8, learning_rate=1e-4, warm_up=0)),
)


def digit(label: int, seed: int = 0, events: int = 2000) -> Digit:
    """A square (0) or a bar (1) on a patch of 34 x 34, 300 ms long."""
    random = np.random.default_rng(seed)
    t = np.sort(random.integers(300_000, size=events))
    wide = 16 if label == 0 else 6
    x, y = 8 + random.integers(wide, size=events), 8 + random.integers(18, size=events)
    return Digit(Events(t, x, y, random.random(events) < 0.5, 34, 34), label)


def recordings() -> dict[str, tuple[Digit, ...]]:
    """Some of both shapes for each part."""
    return {part: tuple(digit(i % 2, 100 * k + i) for i in range(6)) for k, part in enumerate(PARTS)}


def write(folder: Path, config: SceneConfig = SCENES) -> Path:
    """A set of scenes in a folder."""
    write_scenes(config, recordings(), folder)
    return folder
