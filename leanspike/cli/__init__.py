"""The command line: one module a command, each with ``register`` and ``run``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from leanspike import __version__
from leanspike.core.errors import LeanspikeError

COMMANDS = (
    "data", "neuron", "train", "stdp", "study", "tune", "lean", "compress", "lower", "show", "emit", "check", "measure",
    "costs", "mismatch", "run", "detect", "report", "bench",
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0 done, 2 bad input (one line says what and the remedy)."""
    parser = argparse.ArgumentParser(prog="leanspike", description="Train, measure and ship lean spiking networks.")
    parser.add_argument("--version", action="version", version=f"leanspike {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"leanspike.cli.{name}").register(commands)
    args = parser.parse_args(argv)
    try:
        code: int = args.run(args)
        sys.stdout.flush()
    except LeanspikeError as error:
        print(f"leanspike: error: {error.line()}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("leanspike: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code
