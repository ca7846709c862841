"""Settings that suit a known data set, laid under a user's own by the command line.

An image of a digit or a garment stays what it is when it is moved by a pixel, and a garment when it is mirrored; the
training set is enlarged so. A small set takes small batches. Each was chosen on the validation split. Event recordings
are fed frame by frame, a step a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanspike.data import recordings

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "digits": {"train": {"batch_size": 32}},
    "mnist": {"train": {"augment_shift": 1}},
    "fashion-mnist": {
        "model": {"norm": "batch"},
        "train": {"augment_flip": True, "epochs": 30, "optimizer": "adamw", "weight_decay": 0.1, "ema": 0.998},
    },
    "ecg-qtdb": {
        "timesteps": 1301,
        "encoder": {"kind": "frames"},
        "model": {"readout": "membrane_last"},
        "train": {"batch_size": 32},
    },
    "cifar10": {"train": {"augment_shift": 2, "augment_flip": True}},
}


def preset(dataset: str) -> Mapping[str, Any]:
    """The settings for a data set by name, as nested tables; empty for any other, and for a path but of recordings."""
    frames = recordings.preparation(dataset)
    return {"encoder": {"kind": "frames"}, "timesteps": frames.frames} if frames else PRESETS.get(dataset, {})
