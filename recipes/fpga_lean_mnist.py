"""The lean MNIST program as a core on an FPGA: checked against the program, placed and routed, its latency.

    pip install 'leanspike[fpga]'; a Verilog simulator; python recipes/fpga_lean_mnist.py --work runs/fpga

The program (784-293-10, 2-bit weights, 95 % pruned, T = 4) lies in ``results/hardware``, packed; ``leanspike lean``
made it, see results/README.md. Lanes are chosen by the budget of 7,000 LUT4 and 100 microseconds. Every core that is
placed is simulated on 1,000 test samples and compared with the program: predictions, scores, steps, spikes and
potentials. Expected: no mismatch, at least 97 % of the samples right, and an iCE40 HX8K that is too small, told with
what it lacks.
"""

from __future__ import annotations

import argparse
import lzma
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from leanspike import ir
from leanspike.cli.programs import load_samples
from leanspike.core.errors import TargetError
from leanspike.core.files import make_folder, write_bytes, write_json
from leanspike.core.records import to_dict
from leanspike.core.trace import mismatches
from leanspike.measure.samples import Samples
from leanspike.targets import verilog
from leanspike.targets.verilog.cycles import Cycles, cycles
from leanspike.targets.verilog.explore import LANES, Budget, Exploration, explore
from leanspike.targets.verilog.implement import Order

HARDWARE = Path(__file__).parents[1] / "results" / "hardware"
SAMPLES = 1000
BUDGET = Budget(luts=7000, us=100.0)


def load(work: Path) -> tuple[ir.Program, dict[str, Any]]:
    """The program and its origin."""
    path = work / "lean-mnist.lsp"
    write_bytes(path, lzma.decompress((HARDWARE / "lean-mnist.lsp.xz").read_bytes()))
    return ir.load_with_origin(path)


def compared(program: ir.Program, samples: Samples, lanes: int) -> dict[str, Any]:
    """How far the simulated core agrees with the program, and how many samples it decides rightly."""
    with tempfile.TemporaryDirectory() as folder:
        artefact = verilog.emit(program, Path(folder), shape=verilog.Shape(lanes=lanes))
        found = verilog.run(artefact, samples.raw, samples.numbers)
    wrong = mismatches(ir.run_fast(program, samples.raw, samples.numbers), found)
    right = int((found.predictions == samples.labels).sum())
    return {"lanes": lanes, "mismatches": wrong, "accuracy": right / len(samples)}


def explored(program: ir.Program, samples: Samples, device: str, lanes: Sequence[int], work: Path) -> Exploration:
    """Lane counts on a device."""

    def count(lanes: int) -> Cycles:
        with tempfile.TemporaryDirectory() as folder:
            artefact = verilog.emit(program, Path(folder), shape=verilog.Shape(lanes=lanes))
            return cycles(artefact, samples.raw, samples.numbers)

    told = f"{samples.dataset}, the first {len(samples)} test samples"
    folder = make_folder(work / device)
    return explore(program, Order(device), BUDGET, folder, count, told, lanes=lanes, watch=print)


def main() -> None:
    """Explore both families, check what was placed, write the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="what was made is kept here")
    parser.add_argument("--out", type=Path, default=HARDWARE / "fpga-lean-mnist.json", metavar="FILE")
    args = parser.parse_args()
    program, origin = load(make_folder(args.work))
    samples = load_samples(program, origin, None, SAMPLES)
    found = explored(program, samples, "ecp5", LANES, args.work)
    checks = [compared(program, samples, point.lanes) for point in found.points if point.placed]
    try:
        ice40: dict[str, Any] = to_dict(explored(program, samples, "ice40", (1, 4), args.work))
    except TargetError as error:
        ice40 = {"refused": error.line()}
    facts = {"dataset": samples.dataset, "samples": len(samples), "sha256": ir.content_hash(program)}
    write_json(args.out, {**facts, "checks": checks, "ecp5": to_dict(found), "ice40": ice40})
    print(f"{found.chosen} lanes; mismatches: {[check['mismatches'] for check in checks]}; {args.out}")


if __name__ == "__main__":
    main()
