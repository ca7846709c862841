"""Small studies of digits for the tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from leanspike.core.records import from_dict, merge
from leanspike.study import StudyConfig

SMALL = {
    "run": {"dataset": "digits", "model": {"hidden": [24]}, "train": {"epochs": 1}},
    "timesteps": [1, 2],
    "seeds": 2,
    "ann": False,
}


def study_config(**values: Any) -> StudyConfig:
    """A study that takes seconds; ``values`` are as in a configuration file."""
    return from_dict(StudyConfig, merge(SMALL, values))


def weights(folder: Path) -> dict[str, str]:
    """Hash of the trained weights of every trial."""
    files = sorted(folder.glob("trials/*/network.safetensors"))
    return {file.parent.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
