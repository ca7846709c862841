"""``leanspike measure net.lsp``: what a program does and costs, on the host, in other runtimes, or on a board."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from leanspike.ir import Program
    from leanspike.measure.program import Measurement
    from leanspike.measure.samples import Samples

EXAMPLE = """example:
  leanspike measure mnist.lsp                                    accuracy, spikes, operations, memory, latency
  leanspike measure mnist.lsp --target engine,onnx,tflite        the same samples in other runtimes
  leanspike measure mnist.lsp --target c --board m4 --samples 100   executed instructions, flash and RAM
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "measure",
        help="accuracy, activity, operations, memory, latency",
        description="Measure an integer program on test samples: accuracy with its 95 % interval, spikes, operations "
        "and memory by executing it, latency on this machine; or a target's size and latency, or its instructions on "
        "a board under QEMU.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", metavar="FILE", type=Path, help="a program (leanspike lower)")
    parser.add_argument("--data", metavar="DATASET", help="test samples; default: what the program was made from")
    parser.add_argument("--samples", type=int, metavar="N", help="how many (0: all; default: all, 100 on a board)")
    parser.add_argument(
        "--target", metavar="T[,T]", help="runtimes to compare: engine, onnx, tflite; or c, with --board"
    )
    parser.add_argument("--board", metavar="B", help="m4, m7, m55 or rv32: run the C target there, under QEMU")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    from leanspike import ir
    from leanspike.cli.programs import load_samples
    from leanspike.core.errors import ConfigError
    from leanspike.measure.runtimes import compare, table

    if args.board and args.target not in (None, "c"):
        raise ConfigError("boards run the C target", where=f"--target {args.target}", remedy="give --target c")
    if args.target == "c" and not args.board:
        raise ConfigError("the C target is measured on a board", where="--target c", remedy="add --board m4")
    program, origin = ir.load_with_origin(args.program)
    count = args.samples if args.samples is not None else 100 if args.board else 0
    samples = load_samples(program, origin, args.data, count)
    if samples.labels.ndim == 2 and args.target:
        what = "labels of steps are measured on the host; leanspike check compares targets in every step"
        raise ConfigError(what, where=f"--target {args.target}", remedy="leave it out")
    facts: dict[str, Any] = {"sha256": ir.content_hash(program), "dataset": samples.dataset, "samples": len(samples)}
    if args.board:
        facts |= _board(args.board, program, samples)
    elif args.target:
        names = [name.strip() for name in args.target.split(",") if name.strip()]
        rows = compare(names, program, samples.raw, samples.labels, samples.numbers)
        facts["runtimes"] = [asdict(row) for row in rows]
        if not args.json:
            print(f"{_head(facts)}\n{table(rows)}")
            return 0
    else:
        facts |= _host(program, samples)
    print(json.dumps(facts, indent=2) if args.json else _told(facts))
    return 0


def _host(program: Program, samples: Samples) -> dict[str, Any]:
    from leanspike.engine import Engine
    from leanspike.measure.latency import time_calls
    from leanspike.measure.program import measure

    found = measure(program, samples.raw, samples.labels, samples.numbers)
    some, engine = list(zip(samples.raw[:100], samples.numbers.tolist(), strict=False)), Engine(program)
    latency = time_calls(lambda i: engine.classify(*some[i % len(some)]), calls=2000)
    return {
        "accuracy": found.accuracy,
        "accuracy_ci95": list(found.accuracy_ci95),
        **(_per_step(found, samples.labels) if samples.labels.ndim == 2 else {}),
        "mean_steps": found.mean_steps,
        "spikes_per_sample": found.spikes_per_sample,
        "firing_rate": found.firing_rate,
        "sparsity": found.sparsity,
        "macs": found.macs,
        "acs": found.acs,
        "energy_nj": found.energy_nj,
        "footprint": asdict(found.footprint),
        "latency_us": asdict(latency),
    }


def _per_step(found: Measurement, labels: npt.NDArray[np.int64]) -> dict[str, Any]:
    """What a decision costs where every step is one."""
    from leanspike.measure.energy import DEFAULT

    steps = labels.shape[1]
    energy = found.energy_nj[DEFAULT]
    return {
        "labelled_steps": int((labels >= 0).sum()),
        "per_step": {
            "spikes": found.spikes_per_sample / steps,
            "acs": found.acs / steps,
            "macs": found.macs / steps,
            f"{DEFAULT} pj": None if energy is None else 1000 * energy / steps,
        },
    }


def _board(name: str, program: Program, samples: Samples) -> dict[str, Any]:
    from leanspike import engine
    from leanspike.targets.c.boards import measure_board

    found = measure_board(program, name, samples.raw, samples.numbers)
    expected = engine.run(program, samples.raw, samples.numbers)
    facts = {key: value for key, value in asdict(found).items() if key not in ("predictions", "scores")}
    differing = int((found.predictions != expected.predictions).sum())
    accuracy = float((found.predictions == samples.labels).mean())
    return {"accuracy": accuracy, "differing_from_program": differing, **facts}


def _head(facts: dict[str, Any]) -> str:
    return f"{facts['samples']} test samples of {facts['dataset']}, program {facts['sha256'][:16]}"


def _told(facts: dict[str, Any]) -> str:
    rows = [(key.replace("_", " "), _words(key, value)) for key, value in facts.items() if key not in _HEAD]
    width = max(len(key) for key, _ in rows)
    return "\n".join([_head(facts), *(f"{key:<{width}}  {value}" for key, value in rows)])


_HEAD = ("sha256", "dataset", "samples")


def _words(key: str, value: Any) -> str:
    if value is None:
        return "not measured"
    if key in ("accuracy", "sparsity"):
        return f"{value:.2%}"
    if key == "accuracy_ci95":
        return f"{value[0]:.2%} to {value[1]:.2%}"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {_words('', inner)}" for name, inner in value.items())
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
