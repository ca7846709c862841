"""``leanspike emit net.lsp --target T --out D``: write what a device runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanspike.cli import circuits, fpga

if TYPE_CHECKING:
    from leanspike.targets.base import Artefact


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "emit",
        help="write a program for a target",
        description="Write a program as C99, ONNX, TFLite, NIR, Verilog or populations of Loihi, or neurons of a layer "
        "as circuits for ngspice, which are run and compared. A target that cannot express it says so, with every "
        "reason, before anything is written.",
        epilog="example:\n  leanspike emit mnist.lsp --target c --out firmware\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="FILE", type=Path, help="a program (leanspike lower)")
    targets = "engine, c, onnx, tflite, nir, verilog, spice or loihi"
    parser.add_argument("--target", required=True, metavar="T", help=targets)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the files")
    parser.add_argument("--json", action="store_true", help="print the files and figures as JSON")
    circuits.add_options(parser)
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="spice: test sample (default 0)")
    parser.add_argument(
        "--data", metavar="DATASET", help="spice, --device: test samples; default: what the program was made from"
    )
    fpga.register(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, write, and say what was written."""
    from leanspike import ir, targets

    fpga.check(args)
    if args.target == "spice":
        return circuits.emit(args)
    if args.device:
        return fpga.run(args)
    if args.lanes is not None:
        artefact = fpga.emit(ir.load(args.program), args.out, args.lanes)
    else:
        artefact = targets.emit(args.target, ir.load(args.program), args.out)
    facts = {**artefact.facts, **(_code(artefact) if args.target == "c" else {})}
    if args.json:
        print(json.dumps({"target": args.target, "files": list(artefact.files), **facts}, indent=2))
        return 0
    for name in artefact.files:
        print(f"{artefact.folder / name}  {(artefact.folder / name).stat().st_size:,} bytes")
    for key, value in facts.items():
        if key != "warnings":
            told = f"{value:,}" if isinstance(value, int) else "not measured" if value is None else value
            print(f"{key.replace('_', ' ')}: {told}")
    for warning in facts.get("warnings", ()):
        print(f"warning: {warning}")
    return 0


def _code(artefact: Artefact) -> dict[str, Any]:
    """What the code takes on a Cortex-M4, if its compiler is here."""
    from dataclasses import asdict

    from leanspike.core.errors import MissingTool
    from leanspike.targets.c.footprint import footprint

    try:
        return asdict(footprint(artefact, "m4"))
    except MissingTool as error:
        warning = f"flash and stack on a board were not measured: {error.line()}"
        return {"flash_bytes": None, "stack_bytes": None, "warnings": [warning]}
