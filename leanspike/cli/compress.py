"""``leanspike compress RUN --out RUN2``: a trained run becomes a lean one, measured as the program it is."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.compress import CompressConfig
    from leanspike.train import RunConfig

EXAMPLE = """example:
  leanspike compress runs/mnist --out runs/mnist-4 --set weights.bits=4 --set membrane.bits=ternary
  leanspike compress runs/mnist --out runs/mnist-90 --set prune.sparsity=0.9 --epochs 6
A compression that was cut off goes on where it was when it is started again; a compressed run can be compressed on."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "compress",
        help="make a trained run lean: few bits, few synapses, few spikes, few steps",
        description="Quantise and prune the network of a finished run, fine-tune it, lower it to an integer program "
        "(RUN2/program.lsp) and test that program once. The fine-tuning is the run's own training but for what is set.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="RUN", type=Path, help="folder of a finished run (train or compress)")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN2", help="folder of the compressed run")
    parser.add_argument("--epochs", type=int, metavar="N", help="of the fine-tuning")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML")
    help_set = (
        "one setting: weights.bits=8|4|2|ternary, membrane.bits=..., prune.sparsity=0.9, activation.pressure=0.25, "
        "threshold.learn=true, timesteps=2, train.learning_rate=..."
    )
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="A.B=C", help=help_set)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compress, lower, test, and write RUN2/result.json."""
    from leanspike import compress, data, train
    from leanspike.core.files import write_json
    from leanspike.core.records import require
    from leanspike.study.compressed import compressed_result

    require(args.out.resolve() != args.folder.resolve(), "--out", str(args.out), "another folder than RUN")
    start = compress.load(args.folder)
    config = configuration(args, start.run)
    dataset = data.whole_samples(data.load(start.run.dataset))
    lineage = compress.Lineage(start.lineage.run, (*start.lineage.steps, config))
    compress.claim(args.out, lineage, start.network)
    finished = _finished(args.out)
    if finished:
        print(f"leanspike: {args.out} is finished; nothing was trained", file=sys.stderr)
        _tell(finished, args)
        return 0
    found = compress.compress(
        start.network,
        start.run,
        config,
        dataset.training_only(),
        args.out,
        lineage=start.lineage,
        progress=train.for_terminal(),
    )
    result = compressed_result(found, start, dataset, args.out)
    write_json(args.out / "result.json", result)
    _tell(result, args)
    return 0


def configuration(args: argparse.Namespace, start: RunConfig | None = None) -> CompressConfig:
    """The fine-tuning that suits the run (None: one of all defaults), then the file, then the options, then ``--set``.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    from leanspike.compress import CompressConfig, fine_tuning
    from leanspike.core.records import from_dict, load_toml, merge, to_dict, with_settings
    from leanspike.train import RunConfig

    settings: Mapping[str, Any] = {"train": to_dict(fine_tuning(start or RunConfig()))}
    settings = merge(settings, load_toml(args.config) if args.config else {})
    if args.epochs is not None:
        settings = merge(settings, {"train": {"epochs": args.epochs}})
    return with_settings(from_dict(CompressConfig, settings), args.settings)


def _finished(out: Path) -> dict[str, Any] | None:
    """The result of a finished compression; that it is the one asked for is known."""
    from leanspike.core.errors import CheckpointError

    path = out / "result.json"
    if not path.is_file():
        return None
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {"before": result["before"], "accuracy_ci95": result["accuracy_ci95"], **result}
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError("is damaged", where=path, remedy="remove it to have the program tested again") from error


def _tell(result: Mapping[str, Any], args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(result, indent=2))
        return
    (low, high), before = result["accuracy_ci95"], result["before"]
    change = 100 * (result["accuracy"] - before["accuracy"])
    print(f"test accuracy  {result['accuracy']:.2%} as a program  (95 % interval {low:.2%} to {high:.2%})")
    print(f"               {before['accuracy']:.2%} before, {change:+.2f} points")
    for name, key in (("weights", "weight_bytes"), ("states", "state_bytes")):
        print(f"{name:<14} {result[key]:,} bytes, {before[key]:,} as float32 before")
    print(f"operations     {result['acs']:,.0f} additions, {result['macs']:,.0f} multiplications a sample")
    print(f"best epoch     {result['best_epoch']} of {result['epochs']}, {result['train_seconds']:.1f} s")
    print(f"program        {args.out / result['program']}  {result['sha256'][:16]}")
