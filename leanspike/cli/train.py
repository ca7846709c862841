"""``leanspike train``: one run, from a data set to a tested network."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.data import Dataset
    from leanspike.train import RunConfig, TrainResult

EXAMPLE = """example:
  leanspike train digits --out runs/digits --timesteps 5 --epochs 20
  leanspike train mnist --out runs/mnist --set train.schedule=cosine --set neuron.beta=0.8
A run that was cut off goes on where it was when it is started again."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train",
        help="train a spiking network and test it once",
        description="Train a spiking network on a data set (a known name or a path); the validation split "
        "chooses the epoch, and the test set is looked at once, at the end.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", help="name (leanspike data list) or path of a data set")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--model", help="mlp, recurrent, convnet, vgg9, resnet19 or spikformer")
    parser.add_argument("--timesteps", type=int, metavar="T", help="number of timesteps")
    parser.add_argument("--encoder", help="direct, rate, latency, current, delta, population or frames")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training split")
    parser.add_argument("--seed", type=int, help="of everything random")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML, or the config.json of a run")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="A.B=C", help="one setting")
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="processes, or GPUs, on this machine")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="machines (with torchrun or Slurm)")
    parser.add_argument("--tensorboard", action="store_true", help="log curves and histograms to RUN/tensorboard")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, test, and write RUN/result.json."""
    from leanspike import data, train
    from leanspike.core.files import write_json
    from leanspike.core.records import content_hash, require

    require(args.devices >= 1, "--devices", args.devices, "a whole number from 1 up")
    require(args.nodes >= 1, "--nodes", args.nodes, "a whole number from 1 up")
    config = configuration(args)
    finished = _finished(args.out, content_hash(config))
    if finished:
        print(f"leanspike: {args.out} is finished; nothing was trained", file=sys.stderr)
        _tell(finished, args)
        return 0
    dataset = data.load(args.dataset)
    trained = train.fit(
        config,
        dataset.training_only(),
        args.out,
        devices=args.devices,
        nodes=args.nodes,
        progress=train.for_terminal(),
        tensorboard=args.tensorboard,
    )
    if trained.main:
        result = _test(config, dataset, trained)
        write_json(args.out / "result.json", result)
        _tell(result, args)
    return 0


def configuration(args: argparse.Namespace) -> RunConfig:
    """Defaults, then the data set's preset, then the file, then the options, then ``--set``.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    from leanspike.core.records import from_dict, merge, with_settings
    from leanspike.train import RunConfig, preset

    options: dict[str, Any] = {"dataset": args.dataset}
    for path, value in (
        (("timesteps",), args.timesteps),
        (("seed",), args.seed),
        (("model", "kind"), args.model),
        (("encoder", "kind"), args.encoder),
        (("train", "epochs"), args.epochs),
    ):
        if value is not None:
            *parents, leaf = path
            options = merge(options, {parents[0]: {leaf: value}} if parents else {leaf: value})
    settings = merge(preset(args.dataset), merge(read_settings(args.config) if args.config else {}, options))
    return with_settings(from_dict(RunConfig, settings), args.settings)


def read_settings(path: Path) -> dict[str, Any]:
    """Settings of a TOML file, or of a run's ``config.json``; :class:`ConfigError` if it is neither."""
    from leanspike.core.errors import ConfigError
    from leanspike.core.records import load_toml

    if path.suffix != ".json":
        return load_toml(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=path) from error
    except ValueError as error:
        raise ConfigError(f"is not valid JSON ({error})", where=path) from error
    if not isinstance(values, dict):
        raise ConfigError("expected a table of keys", where=path)
    return values


def _finished(out: Path, config_hash: str) -> dict[str, Any] | None:
    """The result of a finished run of the same configuration; the loop refuses a run of another one."""
    from leanspike.core.errors import CheckpointError

    path = out / "result.json"
    if not path.is_file():
        return None
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return result if result["config_hash"] == config_hash else None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError("is damaged", where=path, remedy="remove it to have the run tested again") from error


def _test(config: RunConfig, dataset: Dataset, trained: TrainResult) -> dict[str, Any]:
    import platform

    import numpy
    import torch

    from leanspike import __version__, train
    from leanspike.core.records import content_hash, to_dict
    from leanspike.measure.quality import labelled, share_interval

    found = train.evaluate(trained.network, dataset.test(), config, operations=True)
    return {
        "schema": 1,
        "dataset": config.dataset,
        "timesteps": config.timesteps,
        "seed": config.seed,
        "accuracy": found.accuracy,
        "accuracy_ci95": list(share_interval(found.predictions, found.labels)),
        "test_samples": len(found.labels),
        "test_labels": labelled(found.labels),
        "validation_accuracy": trained.validation_accuracy,
        "best_epoch": trained.best_epoch,
        "epochs": len(trained.history),
        "firing_rate": list(found.layer_rates),
        "spikes_per_sample": sum(found.spikes),
        "macs": found.macs,
        "acs": found.acs,
        "params": sum(weight.numel() for weight in trained.network.parameters()),
        "train_seconds": trained.seconds,
        "config_hash": content_hash(config),
        "versions": {
            "leanspike": __version__,
            "torch": torch.__version__,
            "numpy": numpy.__version__,
            "python": platform.python_version(),
        },
        "history": [to_dict(record) for record in trained.history],
    }


def _tell(result: Mapping[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(result, indent=2))
        return
    low, high = result["accuracy_ci95"]
    rates = ", ".join(f"{rate:.3f}" for rate in result["firing_rate"])
    print(f"test accuracy  {result['accuracy']:.2%}  (95 % interval {low:.2%} to {high:.2%})")
    print(f"best epoch     {result['best_epoch']} of {result['epochs']}, {result['train_seconds']:.1f} s")
    print(f"activity       {result['spikes_per_sample']:.1f} spikes a sample, rates {rates} spikes a neuron and step")
    print(f"run            {args.out}")
