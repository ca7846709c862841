"""``leanspike bench``: side by side with the peers that are installed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

EXAMPLE = """\
examples:
  leanspike bench --quick                       does everything run and agree? no figures worth keeping
  leanspike bench --only mlp --rounds 12        the training steps of 784-400-10
  leanspike bench --out results/                everything, with JSON, Markdown and the memory plot

The peers: pip install 'leanspike[bench]'. What is missing is named as not installed.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "bench",
        help="training and inference side by side with the installed peers",
        description="Training steps, an epoch, rate coding, memory, inference and kernels beside the installed peers.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        metavar="TABLE[,TABLE]",
        help="mlp, direct, dense, epoch, coding, convnet, sequence, memory, inference, kernels, or a table: mlp-9-T25",
    )
    parser.add_argument("--rounds", type=int, default=12, help="turns of every candidate (default 12)")
    parser.add_argument("--threads", type=int, default=2, help="threads and cores of every candidate (default 2)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and no torch.compile: a check, no figures")
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile, which takes minutes")
    parser.add_argument("--out", type=Path, help="folder for benchmarks.json, benchmarks.md and the memory plot")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Exit 1 where a candidate that should have computed the same did not."""
    from leanspike.bench.page import page
    from leanspike.bench.run import failures
    from leanspike.bench.run import run as measure
    from leanspike.bench.tables import Settings

    only = tuple(name.strip() for name in args.only.split(",") if name.strip()) if args.only else ()
    settings = Settings(only, args.rounds, args.threads, args.quick, not args.no_compile)
    results = measure(settings, args.out, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(results, indent=2, allow_nan=False) if args.json else page(results))
    wrong = failures(results)
    for line in wrong:
        print(f"leanspike: unequal work: {line}", file=sys.stderr)
    return 1 if wrong else 0
