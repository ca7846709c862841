"""``leanspike detect``: scenes of moving digits or recordings with boxes, a spiking detector, its program, a page."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.detect.config import DetectConfig

EXAMPLE = """examples:
  leanspike detect scenes --out data/scenes            compose scenes of moving digits from N-MNIST
  leanspike detect train data/scenes --out runs/detect train, quantise, lower, test; writes a page
  leanspike detect report runs/detect                  build the page again
DIR/train, DIR/val and DIR/test may hold recordings of your own: NAME_td.dat with NAME_bbox.npy, as Prophesee's Gen1.
A training that was cut off goes on where it was when it is started again."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "detect", help="find objects in event streams", description=__doc__, epilog=EXAMPLE, formatter_class=raw
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True)
    scenes = actions.add_parser("scenes", help="compose scenes from recordings of digits, with boxes")
    scenes.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the scenes")
    train = actions.add_parser("train", help="train a detector, lower it, and test its program once")
    train.add_argument("data", type=Path, metavar="DIR", help="folder with train, val and test")
    train.add_argument("--out", type=Path, required=True, metavar="RUN", help="folder of the run")
    train.add_argument("--timesteps", type=int, metavar="T", help="frames of a window")
    train.add_argument("--epochs", type=int, metavar="N", help="passes over the training windows")
    for action in (scenes, train):
        action.add_argument("--seed", type=int, help="of everything random")
        action.add_argument("--config", type=Path, metavar="FILE", help="settings as TOML")
        action.add_argument("--set", action="append", default=[], dest="settings", metavar="A.B=C", help="one setting")
    report = actions.add_parser("report", help="(re)build the page of a tested run")
    report.add_argument("out", type=Path, metavar="RUN", help="folder of the run")
    for action in (scenes, train, report):
        action.add_argument("--json", action="store_true", help="print JSON for a machine to read")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run one action; returns 0."""
    found, told = {"scenes": _scenes, "train": _train, "report": _report}[args.action](args)
    print(json.dumps(found, indent=2) if args.json else told)
    return 0


def _scenes(args: argparse.Namespace) -> tuple[Any, str]:
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from leanspike.core.records import from_dict, load_toml, merge, with_settings
    from leanspike.detect.digits import digits, write_scenes
    from leanspike.detect.scenes import PARTS, SceneConfig

    options = {} if args.seed is None else {"seed": args.seed}
    base = from_dict(SceneConfig, merge(load_toml(args.config) if args.config else {}, options))
    config = with_settings(base, args.settings)
    recordings = digits(config.seed, config.validation)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("scenes", total=sum(getattr(config, part) for part in PARTS))
        facts = write_scenes(config, recordings, args.out, lambda count: bar.advance(task, count))
    lines = [
        f"{part}: {row['scenes']:,} scenes with {row['boxes']:,} boxes, of {row['recordings']} recordings"
        for part, row in facts["counts"].items()
    ]
    return facts, "\n".join([f"{args.out}:", *lines])


def _train(args: argparse.Namespace) -> tuple[Any, str]:
    from leanspike import detect, train
    from leanspike.core.records import content_hash
    from leanspike.report import detect_page

    config = _configuration(args)
    there = detect_page.read(args.out) if (args.out / detect_page.FILE).is_file() else None
    if there is not None and there["config_hash"] == content_hash(config):
        print(f"leanspike: {args.out} is finished; nothing was trained", file=sys.stderr)
        return there, told(there)
    found = detect.complete(args.data, config, args.out, command=_command(args), progress=train.for_terminal())
    detect_page.write(args.out)
    return found, f"{told(found)}\n{args.out / detect_page.PAGE}"


def _report(args: argparse.Namespace) -> tuple[Any, str]:
    from leanspike.report import detect_page

    path = detect_page.write(args.out)
    found = detect_page.read(args.out)
    return {"report": str(path), "quality": found["quality"]}, f"{told(found)}\nreport: {path}"


def _configuration(args: argparse.Namespace) -> DetectConfig:
    """Defaults, then the file, then the options, then ``--set``.

    Raises:
        ConfigError: an unknown key, or a value of a wrong type or out of range.
    """
    from leanspike.core.records import from_dict, load_toml, merge, with_settings
    from leanspike.detect.config import DetectConfig

    options: dict[str, Any] = {} if args.seed is None else {"seed": args.seed}
    if args.timesteps is not None:
        options["windows"] = {"timesteps": args.timesteps}
    if args.epochs is not None:
        options["train"] = {"epochs": args.epochs}
    settings = merge(load_toml(args.config) if args.config else {}, options)
    return with_settings(from_dict(DetectConfig, settings), args.settings)


def told(found: dict[str, Any]) -> str:
    """What the test windows showed, as a table."""
    lines = [
        f"{found['windows']:,} test windows, {found['true_boxes']:,} boxes",
        f"{'':<11}{'mAP':>7}{'AP50':>7}{'AP75':>7}",
    ]
    for form, row in found["quality"].items():
        lines.append(f"{form:<11}{row['map']:>7.3f}{row['ap50']:>7.3f}{row['ap75']:>7.3f}")
    same, program = found["equality"], found["program"]
    lines.append("mAP over IoU 0.50:0.95, AP50 at IoU 0.50, AP75 at 0.75; means over the classes")
    lines.append(
        f"the program's boxes equal the quantised network's in {same['equal']:,} of {same['windows']:,} windows "
        f"({same['boxes']:,} boxes)"
    )
    lines.append(f"{program['spikes']:,.0f} spikes, {program['operations'] / 1e6:.2f} M operations a window")
    return "\n".join(lines)


def _command(args: argparse.Namespace) -> str:
    words = ["leanspike", "detect", "train", str(args.data), "--out", str(args.out)]
    for name in ("timesteps", "epochs", "seed", "config"):
        value = getattr(args, name)
        words += [f"--{name}", str(value)] if value is not None else []
    return shlex.join([*words, *(word for text in args.settings for word in ("--set", text))])
