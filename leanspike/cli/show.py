"""``leanspike show net.lsp``: a program as text, its sizes and its limits."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "show",
        help="print a program, its sizes and its limits",
        description="Print an integer program as text, the memory its arrays and states take as stored, and the "
        "intervals in which every value, potential and sum provably stays.",
        epilog="example:\n  leanspike show mnist.lsp\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="FILE", type=Path, help="a program (leanspike lower)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Load, verify and print."""
    from leanspike import ir
    from leanspike.measure.footprint import footprint

    program, origin = ir.load_with_origin(args.program)
    sizes, found = footprint(program), ir.ranges(program)
    facts: dict[str, Any] = {
        "sha256": ir.content_hash(program),
        "array_bytes": sizes.array_bytes,
        "state_bytes": sizes.state_bytes,
        "synapses": sizes.synapses,
        "neurons": sizes.neurons,
        "ranges": {name: [r.lowest, r.highest] for name, r in {**found.values, **found.states}.items()},
    }
    if args.json:
        print(json.dumps({**facts, "text": ir.render(program), "origin": origin}, indent=2))
        return 0
    print(ir.render(program), end="")
    print(f"\nsha256     {facts['sha256']}")
    print(f"memory     {sizes.array_bytes:,} bytes of constants, {sizes.state_bytes:,} bytes of states, as stored")
    print(f"size       {sizes.synapses:,} synapses, {sizes.neurons:,} neurons, {program.steps} steps")
    print("limits     whatever goes in:")
    for name, (low, high) in facts["ranges"].items():
        kind = program.state[name].type if name in program.state else program.values[name].type
        print(f"  {name:<10} {kind!s:<4} {low:>12,} .. {high:,}")
    dataset, config = origin.get("dataset"), origin.get("config_hash")
    if isinstance(dataset, str) and f"{dataset}{config}".isprintable():
        print(f"made from  {dataset}, configuration {config}")
    return 0
