"""The cost table of MNIST 784-400-10 over T, direct and rate coded, and of a lean program: results/hardware.

    python recipes/hardware_costs.py --runs runs/costs --out results/hardware

Trains what is not in ``--runs`` yet (5 epochs each, seed 0, one thread), lowers it, and writes ``costs.json`` and
``costs.html`` with ``leanspike costs``, latencies included. The lean program is that of ``leanspike lean`` in
``results/hardware``, as it is (T = 4) and run for other numbers of steps. Expected: every program costs more than the
fair ANN by every model, but the lean one of few steps with its weights in DRAM.
"""

from __future__ import annotations

import argparse
import lzma
import sys
from dataclasses import replace
from pathlib import Path

from leanspike import cli, ir
from leanspike.core.files import write_bytes
from leanspike.ir.narrow import fitted

STEPS = (5, 10, 25, 50)
CODINGS = ("direct", "rate")
EPOCHS = 5
SAMPLES = 1000
LEAN = Path(__file__).parents[1] / "results" / "hardware" / "lean-mnist.lsp.xz"


def program(runs: Path, coding: str, steps: int) -> Path:
    """A trained and lowered program, made where it is not there yet."""
    net = runs / f"{coding}-{steps}.lsp"
    if not net.is_file():
        settings = ["--timesteps", str(steps), "--encoder", coding, "--epochs", str(EPOCHS)]
        _do(["train", "mnist", "--out", str(runs / f"{coding}-{steps}"), *settings])
        _do(["lower", str(runs / f"{coding}-{steps}"), "-o", str(net)])
    return net


def lean_programs(runs: Path) -> list[Path]:
    """The lean program, and the same for other numbers of steps: nothing but T and the widths of sums differs."""
    paths = [runs / "lean-4.lsp", *(runs / f"lean-{steps}.lsp" for steps in STEPS)]
    write_bytes(paths[0], lzma.decompress(LEAN.read_bytes()))
    program, origin = ir.load_with_origin(paths[0])
    for steps, path in zip(STEPS, paths[1:], strict=True):
        ir.save(ir.verify(fitted(replace(program, steps=steps))), path, origin)
    return paths


def _do(arguments: list[str]) -> None:
    code = cli.main(arguments)
    if code:
        sys.exit(code)


def main() -> None:
    """Everything; finished parts are kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/costs"), help="folder of trained runs and programs")
    parser.add_argument("--board", action="store_true", help="with instructions of a Cortex-M4 under QEMU")
    parser.add_argument("--out", type=Path, default=Path("results/hardware"))
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    nets = [str(program(args.runs, coding, steps)) for coding in CODINGS for steps in STEPS]
    nets += map(str, lean_programs(args.runs))
    board = ["--board", "m4"] if args.board else []
    _do(["costs", *nets, "--samples", str(SAMPLES), *board, "--out", str(args.out)])


if __name__ == "__main__":
    main()
