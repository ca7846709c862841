"""``leanspike mismatch net.lsp --out D``: what the spread of an analogue circuit's parts costs in accuracy."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.measure.mismatch import Law

EXAMPLE = """example:
  leanspike mismatch mnist.lsp --sigma 0,0.05,0.1,0.2,0.3,0.5 --draws 100 --out runs/mismatch
A measurement that was cut off goes on where it was when it is started again."""
PAGE = "mismatch.html"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "mismatch",
        help="accuracy against the spread of an analogue circuit's parts",
        description="Run many circuits of a program of dense layers, each with its own spread of thresholds, "
        "capacitances, leaks and weights, on test samples: over all, one source at a time, one layer at a time.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="FILE", type=Path, help="a program (leanspike lower)")
    parser.add_argument("--sigma", default="0,0.05,0.1,0.2,0.3,0.5", metavar="S,S", help="spreads; 0.1 is 10 %%")
    parser.add_argument("--draws", type=int, default=100, metavar="N", help="circuits a point (default 100)")
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="test samples (0: all; default 1000)")
    parser.add_argument("--data", metavar="DATASET", help="test samples; default: what the program was made from")
    parser.add_argument("--seed", type=int, default=0, help="of the circuits (default 0)")
    parser.add_argument("--all-only", action="store_true", help="leave out single sources and single layers")
    parser.add_argument("--law", type=Path, metavar="FILE", help="exponents from recipes/analog.py (default: built in)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help=f"folder for mismatch.json and {PAGE}")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, write the figures and the page, and tell them."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    from leanspike import ir
    from leanspike.cli.programs import load_samples
    from leanspike.measure.mismatch_curves import Plan, curves_of, measure_curves

    plan = Plan(_sigmas(args.sigma), args.draws, args.seed, not args.all_only)
    law = _law(args.law)
    program, origin = ir.load_with_origin(args.program)
    circuits = len(curves_of(program, plan)) * plan.draws * len(plan.sigmas)
    samples = load_samples(program, origin, args.data, args.samples)
    console = Console(stderr=True)
    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=args.json or not console.is_terminal) as bar:
        task = bar.add_task("circuits", total=circuits)
        found = measure_curves(program, samples, plan, law, args.out, lambda done: bar.advance(task, done))
    asked = f"--sigma {args.sigma} --draws {args.draws} --samples {args.samples}"
    draw(args.out / PAGE, found, f"leanspike mismatch {args.program} {asked} --out {args.out}")
    print(json.dumps(found, indent=2) if args.json else told(found))
    return 0


def _sigmas(text: str) -> tuple[float, ...]:
    from leanspike.core.errors import ConfigError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{text!r} is no list of numbers", where="--sigma", remedy="as in 0,0.1,0.2") from None


def _law(path: Path | None) -> Law:
    from leanspike.core.errors import ConfigError
    from leanspike.measure.mismatch import Law
    from leanspike.measure.mismatch_curves import law_of

    if path is None:
        return Law()
    try:
        return law_of(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=path) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError("holds no law of the spread", where=path, remedy="fit one: recipes/analog.py law") from error


def told(found: dict[str, Any]) -> str:
    """The curves as a table: mean accuracy by sigma."""
    sigmas = [point["sigma"] for point in found["curves"][0]["points"]]
    head = (
        f"{found['name']} on {found['samples']} test samples of {found['dataset']}, "
        f"{found['curves'][0]['points'][0]['draws']} circuits a point; nominal {found['nominal_accuracy']:.2%}"
    )
    lines = [head, f"{'sigma':<14}" + "".join(f"{sigma:>9.0%}" for sigma in sigmas)]
    for curve in found["curves"]:
        lines.append(f"{curve['name']:<14}" + "".join(f"{point['mean']:>9.2%}" for point in curve["points"]))
    return "\n".join(lines)


def draw(path: Path, found: dict[str, Any], command: str) -> None:
    """Write the page of a measurement."""
    from leanspike.report.mismatch_plots import mismatch_plots
    from leanspike.report.single_page import Page, Table, write_page

    curves = found["curves"]
    points, last = curves[0]["points"], curves[0]["points"][-1]
    rows = [(one["name"], *(_cell(point) for point in one["points"])) for one in curves]
    head = ["what is off", *(f"{point['sigma']:.0%}" for point in points)]
    nominal = f"nominal {found['nominal_accuracy']:.2%}"
    spread = [point for point in points if point["sigma"]]
    finer = (f"{bits} bits in {name}" for name, bits in found["finer_bits"].items())
    places = (f"{place:.2%} in {name}" for name, place in found["last_place"].items())
    page = Page(
        "leanspike mismatch",
        f"{found['name']}: accuracy against the spread of parts",
        f"{found['samples']} test samples of {found['dataset']} · {last['draws']} circuits a point",
        f"With every part off by {last['sigma']:.0%}, {last['mean']:.2%} on average; {nominal}.",
        [(f"Sigma {point['sigma']:.0%}", f"{point['mean']:.2%}", _middle(point)) for point in spread[:4]],
        "Accuracy against sigma",
        _READING,
        mismatch_plots(curves),
        [Table("Mean accuracy, with the 95 % interval of the mean", head, rows)],
        [_METHOD, _FINER.format(finer=", ".join(finer), places=", ".join(places))],
        command,
        {key: value for key, value in found.items() if key != "curves"},
    )
    write_page(path, page)


_READING = (
    "Sigma is the standard deviation of the logarithm of a part's value: comparator threshold, membrane capacitance "
    "and leak of every neuron, current of every synapse and bias."
)
_METHOD = (
    "Each circuit is a program of its own, with perturbed integers, run by the engine on the same samples; circuit d "
    "has the same draws at every sigma. What a neuron makes of its parts is the law that was fitted on circuit runs; "
    "its exponents stand below."
)
_FINER = (
    "To round little, the unit of a layer is made finer, by {finer}; the last place of a weight is then, as a share of "
    "their mean square root, {places}."
)


def _cell(point: dict[str, Any]) -> str:
    low, high = point["mean_ci95"]
    return f"{point['mean']:.2%} ({100 * low:.2f} to {high:.2%})" if point["sigma"] else f"{point['mean']:.2%}"


def _middle(point: dict[str, Any]) -> str:
    low, high = point["middle95"]
    return f"95 % of circuits: {100 * low:.1f} to {high:.1%}"
