"""``leanspike study``: what each number of timesteps costs, measured over seeds, on a page."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.study import StudyConfig
    from leanspike.study.comparison import ComparisonConfig

EXAMPLE = """examples:
  leanspike study digits
  leanspike study mnist --timesteps 5,10,25,50 --seeds 3 --workers 2
  leanspike study mnist --timesteps 5 --grid neuron.beta=0.8,0.9 --grid model.hidden=[200],[400]
  leanspike study mnist --timesteps 5,10 --search train.learning_rate=1e-4:1e-2:log --trials 20
  leanspike study ecg200,gunpoint --models lif,rlif,alif,lstm,gru,cnn,1nn-dtw
  leanspike study mnist --storage postgresql://user:password@host/database     on any number of machines

A study that was cut off goes on where it was when the same command is started again."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "study",
        help="train over timesteps and seeds, measure, and write the report",
        description="Train a grid, or a search, over timesteps, seeds and any setting; measure every network on the "
        "test set once; write results.json and report.html.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    told = (
        "name (leanspike data list) or path of a data set; of series with --models several names, separated by commas"
    )
    parser.add_argument("dataset", metavar="DATASET", help=told)
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the study (default: runs/study-DATASET)")
    parser.add_argument(
        "--models",
        metavar="M,M",
        help="compare networks of series at one size, tuned alike: some of lif, rlif, alif, lstm, gru, cnn, 1nn-dtw",
    )
    parser.add_argument("--size", type=int, metavar="N", help="of a comparison: trained parameters (default: 2000)")
    parser.add_argument("--updates", type=int, metavar="N", help="of a comparison: steps of training (default: 400)")
    parser.add_argument(
        "--tuning-share", type=float, metavar="X", help="of a comparison: share of the updates in tuning (default: 0.5)"
    )
    parser.add_argument(
        "--timesteps", metavar="T,T", help="values of T (default: 5,10,25,50; of a comparison, the most steps: 64)"
    )
    parser.add_argument(
        "--seeds", type=int, metavar="N", help="training runs of each point (default: 3; of a comparison 5)"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes on this machine (default: 2)")
    parser.add_argument(
        "--storage", metavar="URL", help="PostgreSQL that several machines share (default: DIR/study.db)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings of the runs as TOML")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="A.B=C", help="one setting")
    parser.add_argument("--grid", action="append", default=[], metavar="KEY=V,V", help="a further axis of the grid")
    parser.add_argument(
        "--search", action="append", default=[], metavar="KEY=LOW:HIGH[:log]", help="a range; makes the study a search"
    )
    parser.add_argument(
        "--trials", type=int, metavar="N", help="points of a search (default: 20; of a comparison, settings a model: 4)"
    )
    parser.add_argument("--goals", help="of a search, on validation: accuracy (default) or accuracy,spikes")
    parser.add_argument("--no-ann", action="store_true", help="leave out the same-size artificial network")
    parser.add_argument("--json", action="store_true", help="print results.json instead of the table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the study and print its table."""
    from leanspike import study
    from leanspike.core.errors import ConfigError
    from leanspike.measure.records import document
    from leanspike.report import tables

    if args.models is not None:
        return _compare(args)
    for option in ("size", "updates", "tuning_share"):
        if getattr(args, option) is not None:
            raise ConfigError(
                "belongs to a comparison", where=f"--{option.replace('_', '-')}", remedy="add --models, or leave it out"
            )
    config, out = configuration(args), args.out or Path("runs") / f"study-{_stem(args.dataset)}"
    found = study.run(config, out, workers=args.workers, storage=args.storage, command=command_line(args))
    return _tell(args, document(found), tables.text(found), out)


def _compare(args: argparse.Namespace) -> int:
    """Run a comparison and print its table."""
    from leanspike.measure.records import document
    from leanspike.report import comparison as page
    from leanspike.study import comparison

    config, out = comparison_configuration(args), args.out or Path("runs") / f"study-{_stem(args.dataset)[:60]}"
    found = comparison.run(config, out, workers=args.workers, storage=args.storage, command=command_line(args))
    return _tell(args, document(found), page.text(found), out)


def _tell(args: argparse.Namespace, found: object, table: str, out: Path) -> int:
    if args.json:
        print(json.dumps(found, indent=2, allow_nan=False))
    else:
        print(table, end="")
        print(f"\n{out / 'report.html'}")
    return 0


def comparison_configuration(args: argparse.Namespace) -> ComparisonConfig:
    """The comparison that the options describe.

    Raises:
        ConfigError: an unknown key, an option that a comparison does not have, or a value out of range.
    """
    from leanspike.core.errors import ConfigError
    from leanspike.core.records import from_dict, load_toml, merge, with_settings
    from leanspike.study.comparison import ComparisonConfig
    from leanspike.study.comparison.config import BASE
    from leanspike.train import RunConfig

    for option in ("grid", "search", "goals"):
        if getattr(args, option):
            remedy = "a comparison tunes every model over its own table of settings: leave it out"
            raise ConfigError("does not go with --models", where=f"--{option}", remedy=remedy)
    datasets = _words(args.dataset)
    settings = merge(BASE, load_toml(args.config) if args.config else {})
    steps = _whole_numbers(args.timesteps) if args.timesteps is not None else None
    if steps is not None and len(steps) > 1:
        raise ConfigError("a comparison has one most number of steps", where="--timesteps", remedy="name one")
    values: dict[str, Any] = {
        "run": with_settings(from_dict(RunConfig, {**settings, "dataset": datasets[0]}), args.settings),
        "datasets": datasets,
        "models": _words(args.models),
        "size": args.size,
        "steps": steps[0] if steps else None,
        "seeds": args.seeds,
        "trials": args.trials,
        "updates": args.updates,
        "tuning_share": args.tuning_share,
    }
    return from_dict(ComparisonConfig, {key: value for key, value in values.items() if value is not None})


def configuration(args: argparse.Namespace) -> StudyConfig:
    """The study that the options describe.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    from leanspike.core.records import from_dict, load_toml, merge, with_settings
    from leanspike.study import StudyConfig, parse_axis, parse_range
    from leanspike.train import RunConfig, preset

    settings = merge(preset(args.dataset), load_toml(args.config) if args.config else {})
    base = with_settings(from_dict(RunConfig, {**settings, "dataset": args.dataset}), args.settings)
    values: dict[str, Any] = {
        "run": base,
        "timesteps": _whole_numbers(args.timesteps) if args.timesteps is not None else None,
        "seeds": args.seeds,
        "grid": tuple(parse_axis(text) for text in args.grid) or None,
        "search": tuple(parse_range(text) for text in args.search) or None,
        "trials": args.trials,
        "goals": args.goals,
        "ann": False if args.no_ann else None,
    }
    return from_dict(StudyConfig, {key: value for key, value in values.items() if value is not None})


def command_line(args: argparse.Namespace) -> str:
    """The command that runs this study again, its storage's password hidden."""
    from leanspike.study.storage import shown

    words = ["leanspike", "study", args.dataset]
    options = {"out": args.out, "timesteps": args.timesteps, "seeds": args.seeds, "config": args.config}
    options |= {"models": args.models, "size": args.size, "updates": args.updates}
    options |= {"tuning-share": args.tuning_share}
    options |= {"trials": args.trials, "goals": args.goals, "storage": args.storage and shown(args.storage)}
    for name, value in options.items():
        words += [f"--{name}", str(value)] if value is not None else []
    for name, texts in (("set", args.settings), ("grid", args.grid), ("search", args.search)):
        words += [word for text in texts for word in (f"--{name}", text)]
    words += ["--workers", str(args.workers), *(["--no-ann"] if args.no_ann else [])]
    return shlex.join(words)


def _whole_numbers(text: str) -> tuple[int, ...]:
    from leanspike.core.records import require

    require(bool(re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", text)), "--timesteps", text, "whole numbers, as in 5,10,25")
    return tuple(int(part) for part in text.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _stem(dataset: str) -> str:
    return re.sub(r"[^\w.-]+", "-", Path(dataset).stem or dataset).strip("-")
