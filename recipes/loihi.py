"""Networks as programs and as simulated Loihi networks: results/hardware/loihi.json. No chip is used.

    python recipes/loihi.py --out runs/loihi --results results/hardware/loihi.json

Each row is a training, sometimes a compression, and what ``leanspike check --target loihi`` and ``leanspike emit`` tell
of the program it ends in: accuracy both ways, spikes and decisions that differ by rule, and what it takes of a chip.
A run that is there is not run again. 784-400-10 on MNIST; about ten minutes on one thread.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanspike.core.files import make_folder, write_bytes, write_json

RESULTS = Path(__file__).resolve().parents[1] / "results" / "hardware"
RATE = ("--encoder", "rate", "--timesteps", "10", "--epochs", "3")
ZERO = ("--set", "neuron.reset=zero")
FOUR_BITS = ("--set", "weights.bits=4", "--set", "weights.per_channel=false")


@dataclass(frozen=True)
class Row:
    """A network: options of ``leanspike train``, and of ``leanspike compress`` where there is one."""

    name: str
    what: str
    train: tuple[str, ...]
    compress: tuple[str, ...] = ()
    after: str = ""
    """The row whose training it shares."""
    packed: str = ""
    """A program that lies in the repository, packed, in place of a training."""


ROWS = (
    Row("exact", "rate, reset to zero, no leak; 4-bit weights", (*RATE, *ZERO, "--set", "neuron.beta=1.0"), FOUR_BITS),
    Row("leaky", "rate, reset to zero, beta 0.9", (*RATE, *ZERO)),
    Row("leaky-4bit", "the same, 4-bit weights", (*RATE, *ZERO), FOUR_BITS, after="leaky"),
    Row("subtract", "rate, subtract reset, beta 0.9", RATE),
    Row("direct", "direct, subtract reset, beta 0.9, T = 5", ("--timesteps", "5", "--epochs", "3")),
    Row("lean", "the lean network: direct, 2-bit weights, few-bit potentials, T = 4", (), packed="lean-mnist.lsp.xz"),
)


def program(row: Row, out: Path) -> Path:
    """The row's program, trained and lowered if it is not there yet."""
    run, packed = out / (row.after or row.name), out / f"{row.name}.lsp"
    if packed.exists():
        return packed
    if row.packed:
        write_bytes(packed, lzma.decompress((RESULTS / row.packed).read_bytes()))
        return packed
    if not (run / "result.json").exists():
        leanspike("train", "mnist", "--seed", "0", "--out", str(run), *row.train)
    if row.compress:
        leanspike("compress", str(run), "--out", str(out / f"{row.name}-compressed"), *row.compress)
        run = out / f"{row.name}-compressed"
    leanspike("lower", str(run), "-o", str(packed))
    return packed


def measured(row: Row, packed: Path, samples: int, out: Path) -> dict[str, Any]:
    """What check and emit tell of a program."""
    told = json.loads(leanspike("check", str(packed), "--target", "loihi", "--samples", str(samples), "--json"))
    (found,) = told["targets"]
    files = out / f"{row.name}-files"
    leanspike("emit", str(packed), "--target", "loihi", "--out", str(files))
    held = json.loads(next(files.glob("*.loihi.json")).read_text(encoding="utf-8"))
    kept = {key: held[key] for key in ("note", "exact", "neurocores", "cores", "steps", "steps_in_the_pipeline")}
    return {
        "row": row.name,
        "network": row.what,
        "train": row.train,
        "compress": row.compress,
        "program": told["sha256"],
        **kept,
        "approximations": found["approximations"],
        **found["agreement"],
    }


def leanspike(*words: str) -> str:
    """What a command prints; what it says where it fails ends the recipe."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "leanspike", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[2:])}\n{done.stderr[-2000:]}")
    return done.stdout


def told(row: dict[str, Any]) -> str:
    """A row for people."""
    places = sum(layer["places"] for layer in row["layers"])
    differing = sum(layer["differing"] for layer in row["layers"])
    accuracies = f"{row['accuracy_program']:.2%} as program, {row['accuracy_simulated']:.2%} simulated"
    differs = f"{differing / places:.4%} of spikes and {row['decisions_differing']} decisions differ"
    return f"{row['row']:<11} {accuracies}; {differs}; {row['neurocores']} neurocores"


def main() -> None:
    """Train, map, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, required=True, help="the figures, as JSON")
    parser.add_argument("--samples", type=int, default=2000, help="test samples of each row")
    args = parser.parse_args()
    make_folder(args.out)
    rows = []
    for row in ROWS:
        rows.append(measured(row, program(row, args.out), args.samples, args.out))
        print(told(rows[-1]), flush=True)
    make_folder(args.results.parent)
    write_json(args.results, {"command": "python recipes/loihi.py", "samples": args.samples, "rows": rows})


if __name__ == "__main__":
    main()
