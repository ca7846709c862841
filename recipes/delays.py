"""Learnable delays on a task of timing alone: results/series/delays.json.

    python recipes/delays.py --results results/series/delays.json

Two bundles of four inputs fire once each, 2, 5, 8 or 11 steps apart (the class), at a random moment of 40 steps, every
spike up to one step off, among noise: all classes have the same spikes on every input, only their distance tells.
1,600 / 400 samples, 8-24-4, LIF neurons that forget by a half a step (beta = 0.5), five seeds, 30 epochs. Expected (the
program of 8-bit weights, mean of the seeds): plain LIF 57 %, ALIF 67 %, learned leaks 77 %, recurrent LIF 96 %, delays
of up to 15 steps 91 %: four seeds at 96 to 97 %, one that does not find them at 71 %.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from leanspike import __version__, ir
from leanspike.core.files import write_json
from leanspike.core.records import content_hash, from_dict, to_dict
from leanspike.data import Dataset
from leanspike.lower.runs import lower_network
from leanspike.measure.program import measure
from leanspike.measure.quality import mean_interval
from leanspike.train import Progress, RunConfig, fit

STEPS, BUNDLE, GAPS, NOISE = 40, 4, (2, 5, 8, 11), 0.01
TRAIN, TEST, SEED = 1600, 400, 7
SEEDS = range(5)
MODELS: dict[str, dict[str, Any]] = {
    "lif": {},
    "lif, learned leaks": {"neuron": {"learn_beta": True, "per_channel": True}},
    "alif": {"neuron": {"adapt_strength": 0.5, "adapt_decay": 0.9}},
    "recurrent lif": {"model": {"kind": "recurrent"}},
    "lif, delays": {"model": {"delays": 15}},
}


def main() -> None:
    """Train, lower and measure every model over the seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results/series/delays.json"))
    parser.add_argument("--epochs", type=int, default=30)
    args = parser.parse_args()
    data = gaps()
    rows = [_row(name, data, args.epochs) for name in MODELS]
    args.results.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.results, {"schema": 1, "task": str(gaps.__doc__), "leanspike": __version__, "models": rows})


def gaps() -> Dataset:
    """Spikes of two bundles so many steps apart."""
    random = np.random.default_rng(SEED)
    count = TRAIN + TEST
    y = random.integers(0, len(GAPS), count)
    x = random.random((count, STEPS, 2 * BUNDLE)) < NOISE
    start = random.integers(1, STEPS - max(GAPS) - 2, count)
    for bundle, when in ((0, start), (1, start + np.array(GAPS)[y])):
        for line in range(BUNDLE):
            x[np.arange(count), when + random.integers(-1, 2, count), BUNDLE * bundle + line] = True
    frames = (x * np.uint8(255))[..., None, None]
    classes = tuple(f"{gap} steps" for gap in GAPS)
    parts = (frames[:TRAIN], y[:TRAIN], frames[TRAIN:], y[TRAIN:])
    return Dataset("gaps", *parts, classes, "events", "none", "made by recipes/delays.py")


def settings(name: str, seed: int, epochs: int) -> RunConfig:
    """The run of a model."""
    own = MODELS[name]
    return from_dict(
        RunConfig,
        {
            "dataset": "gaps",
            "timesteps": STEPS,
            "seed": seed,
            "encoder": {"kind": "frames"},
            "neuron": {"beta": 0.5, **own.get("neuron", {})},
            "model": {"hidden": (24,), "readout": "membrane_max", **own.get("model", {})},
            "train": {"epochs": epochs, "batch_size": 50, "learning_rate": 1e-2, "label_smoothing": 0.0},
        },
    )


def _row(name: str, data: Dataset, epochs: int) -> dict[str, Any]:
    floats, found, steps = [], [], []
    for seed in SEEDS:
        config = settings(name, seed, epochs)
        trained = fit(config, data.training_only(), progress=Progress())
        lowered = lower_network(trained.network, config, data)  # type: ignore[arg-type]
        test = data.test()
        measured = measure(lowered.program, ir.raw_samples(lowered.program, test.x), test.y, test.numbers)
        floats.append(trained.validation_accuracy)
        found.append(measured.accuracy)
        steps.append(measured)
        sys.stderr.write(f"{name} seed {seed}: validation {floats[-1]:.3f}, program {measured.accuracy:.3f}\n")
    last = steps[-1]
    return {
        "model": name,
        "accuracy": asdict(mean_interval(found)),
        "accuracies": found,
        "validation": floats,
        "spikes_per_sample": last.spikes_per_sample,
        "acs": last.acs,
        "program_bytes": last.footprint.array_bytes,
        "state_bytes": last.footprint.state_bytes,
        "parameters": sum(weight.numel() for weight in trained.network.parameters()),
        "config": to_dict(settings(name, 0, epochs)),
        "config_hash": content_hash(settings(name, 0, epochs)),
    }


if __name__ == "__main__":
    main()
