"""400 neurons learn MNIST without labels: accuracy over seeds, as floats and as an integer program on every runtime.

    python recipes/stdp_mnist.py --out runs/stdp-mnist --results results/plasticity/mnist.json

Every run is ``leanspike stdp mnist`` with the options of its row; one that was cut off goes on where it was, and
finished ones are read again. Then the first seed's programs run on the reference interpreter, the engine, C and ONNX.
Settings were chosen on 10,000 training samples held out (``--set validation=0.1667``), never on the test set; the
runs here learn from all 60,000.

Expected, mean of 3 seeds: pair rule, one pass 90.3 %; three passes 91.2 %; triplet rule, one pass 90.3 %; programs
within 0.1 point; no difference between the runtimes. About 10 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from leanspike import cli, data, ir
from leanspike.core.files import make_folder, write_json
from leanspike.core.trace import mismatches
from leanspike.measure.quality import mean_interval
from leanspike.targets import base

ROWS: dict[str, tuple[str, ...]] = {
    "pair-1": ("--passes", "1"),
    "pair-3": ("--passes", "3", "--set", "cooling=0.4"),
    "triplet-1": ("--passes", "1", "--rule", "triplet"),
}
TARGETS = ("engine", "c", "onnx")


def learn(row: str, seed: int, out: Path) -> dict[str, Any]:
    """One run's results."""
    folder = out / f"{row}-{seed}"
    code = cli.main(["stdp", "mnist", "--out", str(folder), "--neurons", "400", "--seed", str(seed), *ROWS[row]])
    if code:
        raise SystemExit(code)
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds with their intervals."""
    floats = mean_interval([run["accuracy"] for run in runs])
    programs = mean_interval([run["program"]["accuracy"] for run in runs])
    return {
        "seeds": len(runs),
        "passes": runs[0]["passes"],
        "rule": runs[0]["rule"],
        "accuracy": floats.mean,
        "accuracy_ci95": [floats.lo, floats.hi],
        "program_accuracy": programs.mean,
        "program_accuracy_ci95": [programs.lo, programs.hi],
        "same_decision": sum(run["program"]["same"] for run in runs) / len(runs),
        "spikes_per_sample": sum(run["spikes_per_sample"] for run in runs) / len(runs),
        "program_bytes": runs[0]["program"]["bytes"],
        "runs": [{key: run[key] for key in _KEPT} for run in runs],
    }


_KEPT = ("seed", "accuracy", "accuracy_ci95", "program", "samples_per_second", "config_hash", "versions")


def agreement(path: Path, samples: int) -> dict[str, Any]:
    """Samples that differ from the reference interpreter, by target and by what differs."""
    program, test = ir.load(path), data.load("mnist").test()
    raw, numbers = ir.raw_samples(program, test.x[:samples]), test.numbers[:samples]
    expected = ir.run(program, raw, numbers)
    found: dict[str, Any] = {"samples": samples, "sha256": ir.content_hash(program)}
    for target in TARGETS:
        with tempfile.TemporaryDirectory() as folder:
            trace = base.run(base.emit(target, program, Path(folder)), raw, numbers)
        found[target] = mismatches(expected, trace)
        print(f"{target}: {sum(found[target].values())} differences on {samples} samples", flush=True)
    return found


def main() -> int:
    """Learn, compare, print, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--results", type=Path, default=Path("results/plasticity/mnist.json"), metavar="FILE")
    parser.add_argument("--rows", default=",".join(ROWS), help="which of " + ", ".join(ROWS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=500, help="test samples for the comparison of the runtimes")
    args = parser.parse_args()
    make_folder(args.results.parent)
    rows: dict[str, Any] = {}
    for row in args.rows.split(","):
        rows[row] = summary([learn(row, seed, args.out) for seed in range(args.seeds)])
        rows[row]["agreement"] = agreement(args.out / f"{row}-0" / "net.lsp", args.samples)
        write_json(args.results, {"schema": 1, "dataset": "mnist", "neurons": 400, "rows": rows})
    for row, found in rows.items():
        low, high = (f"{bound:.2%}" if bound is not None else "-" for bound in found["accuracy_ci95"])
        print(f"{row}: {found['accuracy']:.2%} ({low} to {high}), as a program {found['program_accuracy']:.2%}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
