"""``leanspike lower RUN -o net.lsp``: a trained run becomes an integer program."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EXAMPLE = """example:
  leanspike train digits --out runs/digits && leanspike lower runs/digits -o digits.lsp
  leanspike lower runs/mnist -o mnist.lsp --set weight_bits=4
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "lower",
        help="turn a trained run into an integer program",
        description="Turn a finished run into one integer program, by named steps that are each checked, and measure "
        "on the validation samples what going from floats to integers cost.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="RUN", type=Path, help="folder of a finished run (leanspike train)")
    parser.add_argument("-o", "--out", metavar="FILE", type=Path, required=True, help="the program, FILE.lsp")
    help_set = "weight_bits (8), leak_bits (10), input_bits (8), exit_margin (0: off)"
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="A=B", help=help_set)
    parser.add_argument("--json", action="store_true", help="print what was done as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Lower, measure the loss, and write the program."""
    from leanspike.core.files import make_folder
    from leanspike.core.records import to_dict, with_settings
    from leanspike.ir import content_hash, save
    from leanspike.lower import LowerConfig
    from leanspike.lower.runs import lower_run

    config = with_settings(LowerConfig(), args.settings)
    make_folder(args.out.parent)
    found = lower_run(args.folder, config)
    program = found.lowered.program
    save(program, args.out, found.origin)
    digest = content_hash(program)
    if args.json:
        steps = [to_dict(step) for step in found.lowered.steps]
        facts = {"program": str(args.out), "sha256": digest, "steps": steps, "validation": to_dict(found.loss)}
        print(json.dumps(facts, indent=2))
        return 0
    for step in found.lowered.steps:
        print(f"{step.step:<11} {step.seen}")
    loss = found.loss
    print(
        f"accuracy    floats {loss.float_accuracy:.2%}, program {loss.program_accuracy:.2%} on {loss.samples} samples"
    )
    print(f"            of the validation split; the same decision on {loss.same:.2%}")
    print(f"program     {args.out}  {args.out.stat().st_size / 1024:.1f} KiB  {digest[:16]}")
    return 0
