"""``leanspike check net.lsp --target T[,T]``: does an artefact do what the program says, on real samples?"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanspike.cli import circuits, populations

if TYPE_CHECKING:
    from leanspike.core.trace import Trace
    from leanspike.ir import Program
    from leanspike.measure.samples import Samples
    from leanspike.targets import Artefact

_CHUNK = 500
_RECORDED = 8
_INTEROP_SAMPLES = 50
_PARTS = ("predictions", "scores", "steps", "spikes", "potentials")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="compare targets with the program on real samples",
        description="Emit a program for each target, run it on the test samples, and compare predictions, scores, "
        "steps, spike counts and final potentials with the reference; of circuits (spice), on the first samples, spike "
        "counts and times. What a target names as approximated (loihi) is measured. Exit 1 on the first kind of "
        "mismatch.",
        epilog="example:\n  leanspike check mnist.lsp --target engine,c,onnx,tflite --samples 10000\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="FILE", type=Path, help="a program (leanspike lower)")
    targets = "engine, c, onnx, tflite, nir, verilog, spice, loihi"
    parser.add_argument("--target", required=True, metavar="T[,T]", help=targets)
    parser.add_argument("--data", metavar="DATASET", help="test samples; default: what the program was made from")
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="how many (0: all; default 1000)")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    circuits.add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check every target; 0 if all agree, 1 if one does not."""
    from leanspike import ir, targets
    from leanspike.cli.programs import load_samples
    from leanspike.core.records import require

    program, origin = ir.load_with_origin(args.program)
    names = [name.strip() for name in args.target.split(",") if name.strip()]
    require(bool(names), "--target", args.target, f"one or more of {', '.join(targets.NAMES)}")
    for name in names:
        targets.target(name)
    samples = load_samples(program, origin, args.data, args.samples)
    rows = [
        circuits.check(args, program, samples) if name == "spice" else _check(name, program, samples, quiet=args.json)
        for name in names
    ]
    if args.json:
        facts = {"samples": len(samples), "dataset": samples.dataset, "sha256": ir.content_hash(program)}
        print(json.dumps({**facts, "targets": rows}, indent=2))
    return 1 if any(any(row["mismatches"].values()) for row in rows if not row.get("approximations")) else 0


def _check(name: str, program: Program, samples: Samples, *, quiet: bool) -> dict[str, Any]:
    from rich.console import Console
    from rich.progress import track

    from leanspike import ir, targets
    from leanspike.core.trace import mismatches

    counts: Counter[str] = Counter(dict.fromkeys(_PARTS, 0))
    right = 0
    with tempfile.TemporaryDirectory() as folder:
        artefact = targets.emit(name, program, Path(folder))
        every = samples.labels.ndim == 2
        size = _RECORDED if every else _CHUNK
        starts = range(0, len(samples), size)
        console = Console(stderr=True)
        for start in track(starts, name, console=console, transient=True, disable=quiet or not console.is_terminal):
            raw, numbers = samples.raw[start : start + size], samples.numbers[start : start + size]
            found = targets.run(artefact, raw, numbers, record=every)
            expected = ir.run(program, raw, numbers, record=True) if every else ir.run_fast(program, raw, numbers)
            for what, wrong in mismatches(expected, found).items():
                counts[what.split(" ")[0]] += wrong
            right += int((_decisions(program, found, every) == samples.labels[start : start + size]).sum())
        more = _MORE[name](artefact, samples) if name in _MORE else {}
    accuracy = right / int((samples.labels >= 0).sum())
    if not quiet:
        differing = ", ".join(f"{part} {counts[part]}" for part in _PARTS)
        verdict = ("differs" if more.get("approximations") else "MISMATCH") if any(counts.values()) else "agrees"
        print(f"{name:<7} {verdict} on {len(samples)} samples: {differing}; accuracy {accuracy:.2%}")
        for line in _lines(more):
            print(f"        {line}")
    return {"target": name, "mismatches": dict(counts), "accuracy": accuracy, **more}


def _decisions(program: Program, found: Trace, every: bool) -> Any:
    """Classes ``[B]``, or ``[B, T]`` of every step, of a record."""
    if not every:
        return found.predictions
    state = next(op.state for op in program.operations if op.result.name == program.readout.source)  # type: ignore[union-attr]
    return found.step_states[state].argmax(-1).T


def _interop(artefact: Artefact, samples: Samples) -> dict[str, Any]:
    """The graph in other simulators, on the first samples: a difference there is measured, and no mismatch."""
    from leanspike.targets.nir import interop

    raw, numbers = samples.raw[:_INTEROP_SAMPLES], samples.numbers[:_INTEROP_SAMPLES]
    return {"interop": [{**asdict(row), "samples": len(raw)} for row in interop(artefact, raw, numbers)]}


_MORE = {"nir": _interop, "loihi": populations.check}
"""What a target has to tell beside mismatches."""


def _lines(more: dict[str, Any]) -> Iterator[str]:
    yield from (_told(row) for row in more.get("interop", ()))
    if "agreement" in more:
        yield from populations.lines(more)


def _told(row: dict[str, Any]) -> str:
    head = f"{row['framework']} {row['version'] or ''} {row['layer']}:".replace("  ", " ")
    if row["agreement"] is None:
        return f"{head} not measured ({row['reason']})"
    spikes = f"{row['spikes_ours']:,} spikes here, {row['spikes_theirs']:,} there"
    return (
        f"{head} {spikes}, {row['differing']:,} places differ; {row['agreement']:.3%} agree ({row['samples']} samples)"
    )
