"""``leanspike stdp``: unsupervised learning by spike-timing-dependent plasticity, tested once, lowered to a program."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.plasticity import StdpConfig

EXAMPLE = """example:
  leanspike stdp mnist --out runs/stdp --neurons 400 --passes 1
  leanspike stdp digits --out runs/stdp-digits --neurons 100 --passes 3 --set rule.mean_weight=0.3
A run that was cut off goes on where it was when it is started again."""
RESULTS = "results.json"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "stdp",
        help="learn without labels, by plasticity (Diehl & Cook's network)",
        description="Learn a data set without its labels by spike-timing-dependent plasticity, label the neurons by "
        "training samples, test once, and lower the network to an integer program. Writes results.json, report.html, "
        "pictures (receptive fields, labels, confusion) and net.lsp.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", help="name (leanspike data list) or path of images or vectors")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--neurons", type=int, metavar="N", help="excitatory neurons (400)")
    parser.add_argument("--passes", type=int, metavar="N", help="passes over the training samples (1)")
    parser.add_argument("--samples", type=int, metavar="N", help="training samples a pass (0: all)")
    parser.add_argument("--rule", help="pair or triplet")
    parser.add_argument("--steps", type=int, metavar="T", help="steps a presentation")
    parser.add_argument("--batch", type=int, metavar="B", help="samples presented together (1)")
    parser.add_argument("--seed", type=int, help="of everything random")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML, or the config.json of a run")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="A.B=C", help="one setting")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="for labelling and testing (1)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Learn, label, test, lower, and write what was found."""
    from leanspike import data
    from leanspike.cli import stdp_run
    from leanspike.core.records import content_hash, require

    require(1 <= args.threads <= 256, "--threads", args.threads, "1 to 256")
    config = configuration(args)
    finished = _finished(args.out, content_hash(config))
    if finished is None:
        finished = stdp_run.learn_and_test(config, data.whole_samples(data.load(args.dataset)), args.out, args.threads)
    else:
        print(f"leanspike: {args.out} is finished; nothing was learned", file=sys.stderr)
    print(json.dumps(finished, indent=2) if args.json else stdp_run.told(finished, args.out))
    return 0


def configuration(args: argparse.Namespace) -> StdpConfig:
    """Defaults, then the file, then the options, then ``--set``.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    from leanspike.cli.train import read_settings
    from leanspike.core.records import from_dict, merge, with_settings
    from leanspike.plasticity import StdpConfig

    given = {key: getattr(args, key) for key in ("neurons", "passes", "samples", "steps", "batch", "seed")}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    options["dataset"] = args.dataset
    if args.rule is not None:
        options["rule"] = {"kind": args.rule}
    settings = merge(read_settings(args.config) if args.config else {}, options)
    return with_settings(from_dict(StdpConfig, settings), args.settings)


def _finished(out: Path, config_hash: str) -> dict[str, Any] | None:
    """The results of a finished run of the same configuration."""
    from leanspike.core.errors import CheckpointError

    path = out / RESULTS
    if not path.is_file():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found if found["config_hash"] == config_hash else None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError("is damaged", where=path, remedy="remove it to have the run tested again") from error
