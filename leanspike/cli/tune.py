"""``leanspike tune``: training and compression searched together, judged on the integer program, on a page."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.measure.records import Study
    from leanspike.tune import TuneConfig

EXAMPLE = """examples:
  leanspike tune mnist --minutes 20 --workers 2
  leanspike tune mnist --goals accuracy --trials 40
  leanspike tune mnist --goals accuracy,energy,bytes,latency --search timesteps=1:4 --search model.hidden=[100],[200]
  leanspike tune mnist --storage postgresql://user:password@host/database     on any number of machines
  optuna-dashboard sqlite:///runs/tune-mnist/study.db     watch it (pip install 'leanspike[tune]')

A tune that was cut off goes on where it was when the same command is started again; --trials and --minutes may grow."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "tune",
        help="search training and compression for the best programs, and write the Pareto page",
        description="Search settings of training and compression with Optuna's TPE; judge every trial's integer "
        "program on the validation split; show the test set once to what nothing beats; write results.json, "
        "report.html and the chosen program.lsp.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", metavar="DATASET", help="name (leanspike data list) or path of a data set")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the tune (default: runs/tune-DATASET)")
    parser.add_argument(
        "--goals", metavar="G,G", help="of accuracy, energy, bytes, operations, spikes, latency (default: the first 3)"
    )
    parser.add_argument("--trials", type=int, metavar="N", help="how many in all (default: 50; 200 with --minutes)")
    parser.add_argument("--minutes", type=float, metavar="M", help="be done after so many minutes from now")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes on this machine (default: 2)")
    parser.add_argument("--storage", metavar="URL", help="PostgreSQL that machines share (default: DIR/study.db)")
    parser.add_argument(
        "--search", action="append", default=[], metavar="KEY=...", help="LOW:HIGH[:log], V,V or one V for a setting"
    )
    parser.add_argument("--fine-epochs", type=int, metavar="N", help="of fine-tuning while compressing (default: 2)")
    parser.add_argument("--within", type=float, metavar="POINTS", help="accuracy that the choice may cost (default: 1)")
    parser.add_argument("--energy-model", metavar="NAME", help="which energy model judges (default: arithmetic-45nm)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings of the runs as TOML")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="A.B=C", help="one setting")
    parser.add_argument("--json", action="store_true", help="print results.json instead of the table")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run the tune and print its front."""
    from leanspike.cli.study import _stem
    from leanspike.measure.records import document
    from leanspike.tune import tune

    out = args.out or Path("runs") / f"tune-{_stem(args.dataset)}"
    trials = args.trials if args.trials is not None else 50 if args.minutes is None else 200
    found = tune(
        configuration(args),
        out,
        trials=trials,
        minutes=args.minutes,
        workers=args.workers,
        storage=args.storage,
        command=command_line(args),
    )
    print(json.dumps(document(found), indent=2, allow_nan=False) if args.json else told(found, out))
    return 0


def configuration(args: argparse.Namespace) -> TuneConfig:
    """The tune that the options describe.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    from leanspike.core.records import from_dict, load_toml, merge, with_settings
    from leanspike.train import RunConfig, preset
    from leanspike.tune import TuneConfig, default_space, overridden, parse_dimension

    brief = {"train": {"epochs": 4}}  # of training before compression: a trial is short
    settings = merge(merge(preset(args.dataset), brief), load_toml(args.config) if args.config else {})
    base = with_settings(from_dict(RunConfig, {**settings, "dataset": args.dataset}), args.settings)
    values: dict[str, Any] = {
        "run": base,
        "space": overridden(default_space(), [parse_dimension(text) for text in args.search]),
        "goals": [goal.strip() for goal in args.goals.split(",")] if args.goals is not None else None,
        "fine_epochs": args.fine_epochs,
        "within": args.within / 100 if args.within is not None else None,
        "energy_model": args.energy_model,
    }
    return from_dict(TuneConfig, {key: value for key, value in values.items() if value is not None})


def command_line(args: argparse.Namespace) -> str:
    """The command that runs this tune again, its storage's password hidden."""
    from leanspike.study.storage import shown

    words = ["leanspike", "tune", args.dataset]
    options = {"out": args.out, "goals": args.goals, "trials": args.trials, "minutes": args.minutes}
    options |= {"fine-epochs": args.fine_epochs, "within": args.within, "energy-model": args.energy_model}
    options |= {"config": args.config, "storage": args.storage and shown(args.storage)}
    for name, value in options.items():
        words += [f"--{name}", str(value)] if value is not None else []
    for name, texts in (("set", args.settings), ("search", args.search)):
        words += [word for text in texts for word in (f"--{name}", text)]
    return shlex.join([*words, "--workers", str(args.workers)])


def told(study: Study, out: Path) -> str:
    """The front as a table, what was chosen, and where things lie."""
    from leanspike.report.tuned import survey, text

    lines = [text(survey(study)), f"report:  {out / 'report.html'}"]
    program = out / "program.lsp"
    lines += [f"program: {program}"] if program.exists() else []
    return "\n".join(lines)
