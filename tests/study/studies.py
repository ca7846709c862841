"""Small studies of digits for the tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from leanspike.core.records import from_dict, merge, to_dict
from leanspike.study import StudyConfig

SMALL = {
    "run": {
        "dataset": "digits",
        "model": {"hidden": [24], "readout": "count"},
        "train": {"epochs": 1, "loss": "count", "schedule": "none", "label_smoothing": 0.0, "ema": 0.0},
    },
    "timesteps": [1, 2],
    "seeds": 2,
    "ann": False,
}


def study_config(**values: Any) -> StudyConfig:
    """A study that takes seconds; ``values`` are as in a configuration file."""
    return from_dict(StudyConfig, merge(SMALL, values))


def options(config: StudyConfig) -> list[str]:
    """The command line of a configuration that :func:`study_config` made."""
    words = ["--timesteps", ",".join(map(str, config.timesteps)), "--seeds", str(config.seeds), "--no-ann"]
    for part in ("model", "train"):
        for key, value in to_dict(getattr(config.run, part)).items():
            words += ["--set", f"{part}.{key}={json.dumps(value)}"]
    return words


def weights(folder: Path) -> dict[str, str]:
    """Hash of the trained weights of every trial."""
    files = sorted(folder.glob("trials/*/network.safetensors"))
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
