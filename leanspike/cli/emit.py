"""``leanspike emit net.lsp --target T --out D``: write what a device runs."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "emit",
        help="write a program for a target",
        description="Write a program as C99, ONNX, TFLite or NIR. A target that cannot express it says so, with every "
        "reason, before anything is written.",
        epilog="example:\n  leanspike emit mnist.lsp --target c --out firmware\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="FILE", type=Path, help="a program (leanspike lower)")
    parser.add_argument("--target", required=True, metavar="T", help="engine, c, onnx, tflite or nir")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="folder for the files")
    parser.add_argument("--json", action="store_true", help="print the files and figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check, write, and say what was written."""
    from leanspike import ir, targets

    artefact = targets.emit(args.target, ir.load(args.program), args.out)
    if args.json:
        print(json.dumps({"target": args.target, "files": list(artefact.files), **artefact.facts}, indent=2))
        return 0
    for name in artefact.files:
        print(f"{artefact.folder / name}  {(artefact.folder / name).stat().st_size:,} bytes")
    for key, value in artefact.facts.items():
        if key != "warnings":
            told = f"{value:,}" if isinstance(value, int) else value
            print(f"{key.replace('_', ' ')}: {told}")
    for warning in artefact.facts.get("warnings", ()):
        print(f"warning: {warning}")
    return 0
