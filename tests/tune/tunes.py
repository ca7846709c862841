"""Small tunes of digits for the tests."""

from __future__ import annotations

from typing import Any

from leanspike.core.records import from_dict, merge
from leanspike.tune import TuneConfig, parse_dimension

SMALL = {
    "run": {
        "dataset": "digits",
        "timesteps": 2,
        "model": {"hidden": [16]},
        "train": {"epochs": 2, "schedule": "none", "batch_size": 32},
    },
    "fine_epochs": 1,
    "stop": {"startup": 100},
}
SPACE = ("train.learning_rate=2e-3:1e-2:log", "neuron.beta=0.5:0.95", "model.hidden=[12],[24]")


def tune_config(*space: str, **values: Any) -> TuneConfig:
    """A tune that takes seconds; ``values`` are as in a configuration file."""
    dimensions = tuple(parse_dimension(text) for text in space or SPACE)
    return from_dict(TuneConfig, merge({**SMALL, "space": dimensions}, values))
