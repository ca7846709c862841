"""Small studies of digits for the tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
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
        for key, value in _leaves(part, to_dict(getattr(config.run, part))):
            words += ["--set", f"{key}={json.dumps(value)}"]
    return words


def _leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every key of a table that is no table itself, with dots."""
    if not isinstance(value, dict):
        yield key, value
        return
    for name, inner in value.items():
        yield from _leaves(f"{key}.{name}", inner)


def weights(folder: Path) -> dict[str, str]:
    """Hash of the trained weights of every trial."""
    files = sorted(folder.glob("trials/*/network.safetensors"))
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
