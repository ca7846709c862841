"""``leanspike costs net.lsp ...``: what programs execute, move and cost, beside the ANNs they must beat."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

EXAMPLE = """example:
  leanspike costs mnist.lsp                                     counts, energies, the fair ANN, one more step
  leanspike costs t5.lsp t25.lsp --out costs                    several programs, as costs/costs.html and costs.json
  leanspike costs mnist.lsp --samples 1000 --board m4           with executed instructions of a Cortex-M4
"""
DEFAULT_SAMPLES = 1000


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "costs",
        help="operations, memory traffic and energy, beside the fair ANN",
        description="Execute integer programs on test samples and count what they compute and move, step by step; "
        "price that by cited energy models; compare with the ANN of equal weights and with the quantised ANN that is "
        "a fair opponent; and tell what one more step costs. Energies are modelled, never measured.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("programs", metavar="FILE", type=Path, nargs="+", help="programs (leanspike lower)")
    parser.add_argument("--data", metavar="DATASET", help="test samples; default: what each program was made from")
    parser.add_argument(
        "--samples", type=int, metavar="N", default=DEFAULT_SAMPLES, help=f"how many (0: all; {DEFAULT_SAMPLES})"
    )
    parser.add_argument("--board", choices=["m4"], help="count instructions there, too, on 20 samples under QEMU")
    parser.add_argument("--untimed", action="store_true", help="leave latencies out: the same figures on any machine")
    parser.add_argument("--out", metavar="DIR", type=Path, help="write costs.json and the page costs.html")
    parser.add_argument("--json", action="store_true", help="print the whole account as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Count, price and print."""
    from leanspike import __version__
    from leanspike.core.files import make_folder
    from leanspike.measure.account import document
    from leanspike.report.costs import build, text

    folder = make_folder(args.out) if args.out else None
    accounts = [_account(path, args) for path in args.programs]
    found = document(accounts, {"leanspike": __version__, "command": command_line(args)})
    written = build(found, folder) if folder else None
    if args.json:
        print(json.dumps(found, indent=2))
        return 0
    print(text(found), end="")
    if written:
        print(f"page: {written}")
    return 0


def command_line(args: argparse.Namespace) -> str:
    """The command that makes the same account again."""
    words = ["leanspike costs", *(path.name for path in args.programs)]
    words += [f"--data {args.data}"] if args.data else []
    words += [f"--samples {args.samples}"] if args.samples != DEFAULT_SAMPLES else []
    words += [f"--board {args.board}"] if args.board else []
    return " ".join([*words, *(["--untimed"] if args.untimed else []), *([f"--out {args.out}"] if args.out else [])])


def _account(path: Path, args: argparse.Namespace) -> dict[str, Any]:
    from leanspike import ir
    from leanspike.cli.programs import load_samples
    from leanspike.measure.account import account

    program, origin = ir.load_with_origin(path)
    samples = load_samples(program, origin, args.data, args.samples)
    instructions = _instructions(program, args.board, samples) if args.board else None
    return account(path.stem, program, samples, instructions, timed=not args.untimed)


def _instructions(program: Any, board: str, samples: Any) -> float:
    from leanspike.targets.c.boards import measure_board

    return float(measure_board(program, board, samples.raw[:20], samples.numbers[:20]).instructions_mean)
