"""``leanspike lean RUN``: a budget in, the smallest program that meets it out, with the road taken."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.lean import LeanConfig

EXAMPLE = """examples:
  leanspike lean runs/mnist --target-accuracy 97.5 --out runs/mnist-lean
  leanspike lean runs/mnist --budget-kb 32 --out runs/mnist-32k
  leanspike lean runs/mnist --target-accuracy 97.5 --budget-kb 16 --budget-operations 20000 --out runs/mnist-16k

A road that was cut off goes on when the same command is started again. Exit code 1: the budget is not met."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "lean",
        help="the smallest program that meets a budget, and the road to it",
        description="Take a trained run down ladders of fewer timesteps, connections, bits and neurons, fine-tuned and "
        "measured as an integer program at every step; the validation split decides, the test set is looked at once.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="RUN", type=Path, help="folder of a finished run (train or compress)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the road and the program")
    parser.add_argument("--target-accuracy", type=float, metavar="PERCENT", help="at least")
    parser.add_argument("--budget-kb", type=float, metavar="KIB", help="weights and states as stored, at most")
    parser.add_argument("--budget-operations", type=float, metavar="N", help="MACs and ACs a sample, at most")
    parser.add_argument("--budget-spikes", type=float, metavar="N", help="spikes a sample, at most")
    parser.add_argument("--budget-nj", type=float, metavar="N", help="modelled nJ a sample (arithmetic-45nm), at most")
    parser.add_argument("--epochs", type=int, metavar="N", help="of a step's fine-tuning (default: 3)")
    parser.add_argument("--finish-epochs", type=int, metavar="N", help="of the last fine-tuning (default: 8)")
    parser.add_argument("--margin", type=float, metavar="POINTS", help="above the target on validation (default: 0.2)")
    parser.add_argument("--json", action="store_true", help="print road.json instead of the table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Walk the road and tell it."""
    from leanspike import train
    from leanspike.lean import lean

    page = lean(
        args.folder,
        args.out,
        configuration(args),
        progress=train.for_terminal() if sys.stderr.isatty() else None,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(json.dumps(page, indent=2) if args.json else told(page, args.out))
    return 0 if page["met"] else 1


def configuration(args: argparse.Namespace) -> LeanConfig:
    """The road that the options describe.

    Raises:
        ConfigError: no budget, or a value out of range.
    """
    from leanspike.core.records import from_dict
    from leanspike.lean import Budget, LeanConfig

    budget = Budget(
        accuracy=None if args.target_accuracy is None else args.target_accuracy / 100,
        bytes=None if args.budget_kb is None else int(args.budget_kb * 1024),
        operations=args.budget_operations,
        spikes=args.budget_spikes,
        energy=args.budget_nj,
    )
    values = {"epochs": args.epochs, "finish_epochs": args.finish_epochs}
    values |= {"margin": None if args.margin is None else args.margin / 100}
    return from_dict(LeanConfig, {"budget": budget, **{k: v for k, v in values.items() if v is not None}})


def told(page: Mapping[str, Any], out: Path) -> str:
    """The road as a table, and whether the budget is met."""
    rows = [("#", "from", "what was done", "validation", "bytes", "operations", "")]
    for step in page["steps"]:
        figures, parent = step["figures"], "" if step["parent"] is None else str(step["parent"])
        mark = "the end" if step["number"] == page["end"] else step["verdict"]
        cells = f"{figures['accuracy']:.2%}", f"{figures['bytes']:,.0f}", f"{figures['operations']:,.0f}"
        rows.append((str(step["number"]), parent, step["done"], *cells, mark))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    aligned = [
        "  ".join(
            cell.ljust(w) if i in (2, 6) else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return "\n".join([*(text.rstrip() for text in aligned), "", verdict(page), f"program: {out / 'program.lsp'}"])


def verdict(page: Mapping[str, Any]) -> str:
    """Whether the budget is met, by the test set, in a line."""
    budget, test = page["config"]["budget"], page["test"]
    low, high = test["accuracy_ci95"]
    parts = [f"test accuracy {test['accuracy']:.2%} ({low:.2%} to {high:.2%})"]
    if budget["accuracy"] is not None:
        parts[0] += f" of at least {budget['accuracy']:.2%}"
    for name, words in (("bytes", "bytes"), ("operations", "operations"), ("spikes", "spikes"), ("energy", "nJ")):
        limit = budget[name]
        if limit is not None or name in ("bytes", "operations"):
            parts.append(f"{test[name]:,.0f} {words}" + (f" of at most {limit:,.0f}" if limit is not None else ""))
    head = "The budget is met" if page["met"] else "The budget is NOT met; the nearest program"
    if not page["met"] and page["validation_met"]:
        head = "The budget is NOT met by the test set, though by the validation split"
    return f"{head}: {', '.join(parts)}."
