"""The waves of the electrocardiogram, a class for every step: results/series/ecg-qtdb.json.

    python recipes/ecg_waves.py --out runs/ecg --results results/series/ecg-qtdb.json
    python recipes/ecg_waves.py --out runs/ecg --models alif --seeds 0      one run; finished ones are not trained again

ecg-qtdb as it was published: 618 / 141 sequences of 1,301 steps of level-crossing spikes (4 inputs), 6 classes, steps
without a label left out of loss and accuracy (Yin, Corradi, Bohte 2021, arXiv:2103.12593, count all steps: 85.9 % of a
recurrent ALIF network). Here 4-64-48-6, feed-forward, 12 epochs, the same budget for LIF and ALIF, three seeds. The
figures are those of the lowered program, 8-bit weights. Expected: ALIF 76 % of labelled test steps (74.4, 76.2, 78.5).
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leanspike import __version__, data, engine, ir
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import content_hash, from_dict, merge, to_dict
from leanspike.data import Dataset
from leanspike.lower.runs import loss_of, lower_network
from leanspike.measure.program import measure
from leanspike.measure.quality import confusion, mean_interval, share_interval
from leanspike.nn import Network
from leanspike.train import RunConfig, fit, for_terminal, preset

NAME = "ecg-qtdb"
MODELS: dict[str, dict[str, Any]] = {"alif": {"adapt_strength": 0.3, "adapt_decay": 0.97}, "lif": {}}
CHECKED = 16
"""Test sequences on which the engine is compared with the definition in every step."""


def main() -> None:
    """Train what is asked for, then write what is finished."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--models", default="alif,lif")
    parser.add_argument("--seeds", default="0,1,2")
    args = parser.parse_args()
    dataset, rows = data.load(NAME), []
    for model in args.models.split(","):
        found = [_one(model, int(seed), dataset, args.out) for seed in args.seeds.split(",")]
        rows.append(_summary(model, found))
    if args.results:
        write_json(make_folder(args.results.parent) / args.results.name, _page(dataset, rows))


def settings(model: str, seed: int) -> RunConfig:
    """The run of a model."""
    own = {
        "dataset": NAME,
        "seed": seed,
        "neuron": {"beta": 0.95, **MODELS[model]},
        "model": {"hidden": (64, 48)},
        "train": {"epochs": 12, "learning_rate": 8e-3, "label_smoothing": 0.0},
    }
    return from_dict(RunConfig, merge(preset(NAME), own))


def _one(model: str, seed: int, dataset: Dataset, out: Path) -> dict[str, Any]:
    config = settings(model, seed)
    trained = fit(config, dataset.training_only(), out / f"{model}-{seed}", progress=for_terminal())
    network = trained.network
    assert isinstance(network, Network)
    lowered, test = lower_network(network, config, dataset), dataset.test()
    program = lowered.program
    raw = ir.raw_samples(program, test.x)
    found = measure(program, raw, test.y, test.numbers)
    one = engine.run(program, raw[:CHECKED], test.numbers[:CHECKED], record=True)
    expected = ir.run(program, raw[:CHECKED], test.numbers[:CHECKED], record=True)
    differing = sum(int((one.step_states[s] != expected.step_states[s]).sum()) for s in one.step_states)
    sys.stderr.write(f"{model} seed {seed}: {found.accuracy:.4f} of labelled steps\n")
    return {
        "seed": seed,
        "accuracy": found.accuracy,
        "accuracy_ci95": share_interval(found.predictions, test.y),
        "confusion": confusion(found.predictions, test.y, len(dataset.classes)).tolist(),
        "validation": asdict(loss_of(lowered, network, config, dataset)),
        "engine_differing": differing,
        "spikes_per_step": found.spikes_per_sample / config.timesteps,
        "acs_per_step": found.acs / config.timesteps,
        "energy_pj_per_step": {
            name: None if nj is None else nj * 1000 / config.timesteps for name, nj in found.energy_nj.items()
        },
        "program_bytes": found.footprint.array_bytes,
        "state_bytes": found.footprint.state_bytes,
        "parameters": sum(weight.numel() for weight in network.parameters()),
        "train_seconds": trained.seconds,
        "config_hash": content_hash(config),
    }


def _summary(model: str, found: list[dict[str, Any]]) -> dict[str, Any]:
    mean = mean_interval([one["accuracy"] for one in found])
    return {"model": model, "accuracy": asdict(mean), "config": to_dict(settings(model, 0)), "runs": found}


def _page(dataset: Dataset, rows: list[dict[str, Any]]) -> dict[str, Any]:
    labelled, steps = int((dataset.y_test >= 0).sum()), int(dataset.y_test.size)
    return {"schema": 1, "dataset": NAME, "test_steps": steps, "labelled_test_steps": labelled,
            "leanspike": __version__, "models": rows}  # fmt: skip


if __name__ == "__main__":
    main()
