"""Frame against event batching: the same network on the same recordings, brought into steps in four ways.

    python recipes/event_batching.py --out runs/batching --results results/events/batching.json

400 LIF neurons, 16 steps, on the first 1,000 recordings of N-MNIST: steps of equal time (20 ms), of equal counts,
interpolated (voxel), and a step every 256 events, which follows the events and not the clock. Each is trained and
lowered; then the programs trained on steps of time are fed steps made in the other ways, without training. Spikes and
operations are a sample's, on the program. A run that was cut off goes on. Expected: results/README.md, 16.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from leanspike import __version__, data, ir, train
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import content_hash, from_dict, to_dict
from leanspike.lower.runs import lower_run
from leanspike.measure.program import measure
from leanspike.measure.quality import mean_interval

STEPS = 16
WAYS = {
    "time": f"by=time,frames={STEPS},frame_us=20000",
    "count": f"by=count,frames={STEPS}",
    "voxel": f"by=voxel,frames={STEPS}",
    "events": f"by=events,frames={STEPS},per_step=256",
}
SETTINGS: dict[str, Any] = {
    "timesteps": STEPS,
    "encoder": {"kind": "frames"},
    "model": {"hidden": [400], "dropout": 0.3},
    "train": {"batch_size": 32, "learning_rate": 1e-3, "augment_shift": 2},
}


def main() -> int:
    """Train, lower, measure, feed across, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, help="the table as JSON")
    parser.add_argument("--dataset", default="n-mnist-small", help="a set of recordings")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    rows = {way: [row(args, way, seed) for seed in range(args.seeds)] for way in WAYS}
    table = {
        "dataset": args.dataset,
        "seeds": args.seeds,
        "epochs": args.epochs,
        "versions": {"leanspike": __version__, "numpy": np.__version__},
        "ways": {way: {"means": means(found), "seeds": found} for way, found in rows.items()},
    }
    for way, found in table["ways"].items():
        print(way, {key: round(value["mean"], 4) for key, value in found["means"].items()})
    if args.results:
        make_folder(args.results.parent)
        write_json(args.results, table)
    return 0


def row(args: argparse.Namespace, way: str, seed: int) -> dict[str, Any]:
    """One run's figures; of the runs on steps of time also the accuracy when fed the other ways."""
    name = named(args.dataset, way)
    changed = {"dataset": name, "seed": seed, "train": {**SETTINGS["train"], "epochs": args.epochs}}
    config = from_dict(train.RunConfig, {**SETTINGS, **changed})
    folder = args.out / f"{way}-{seed}"
    if not (folder / "network.json").exists():
        train.fit(config, data.load(name).training_only(), folder, progress=train.Progress())
    program = lower_run(folder).lowered.program
    test = data.load(name).test()
    raw = ir.raw_samples(program, test.x)
    found = measure(program, raw, test.y, test.numbers)
    figures = {
        "accuracy": found.accuracy,
        "input_spikes": float((raw != 0).sum() / len(raw)),
        "spikes": found.spikes_per_sample,
        "operations": found.macs + found.acs,
        "bytes": float(found.footprint.array_bytes + found.footprint.state_bytes),
    }
    if way == "time":
        figures |= {f"fed by {other}": fed(program, args.dataset, other) for other in WAYS if other != way}
    print(way, seed, figures, flush=True)
    return {**figures, "program": ir.content_hash(program), "config_hash": content_hash(config), **to_dict(config)}


def named(dataset: str, way: str) -> str:
    """The data set's name with a way's settings."""
    return f"{dataset}{',' if '=' in dataset else ':'}{WAYS[way]}"


def fed(program: ir.Program, dataset: str, way: str) -> float:
    """Accuracy of a program on steps that it was not trained on."""
    test = data.load(named(dataset, way)).test()
    return measure(program, ir.raw_samples(program, test.x), test.y, test.numbers).accuracy


def means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds with 95 % intervals."""
    keys = [key for key, value in rows[0].items() if isinstance(value, float)]
    return {key: to_dict(mean_interval([row[key] for row in rows])) for key in keys}


if __name__ == "__main__":
    raise SystemExit(main())
