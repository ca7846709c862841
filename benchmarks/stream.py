"""Events in, decisions out: our session beside the loop that one writes with NumPy, torch or snnTorch, on one thread.

    python benchmarks/stream.py PROGRAM [--rounds 5] [--out results/streams]

PROGRAM is a dense network on frames of events, such as ``recipes/streams.py`` trains (34x34x2-400-10). All get the same
events in memory, cut them into steps, scatter each step's events into a frame, take one step of the network with its
state kept, and sum potentials over windows. NumPy and torch compute our integers (products in float32, where they are
exact, the leak in float64), and every score is compared. snnTorch runs the same weights with its own neuron (float32,
no floor, reset a step late): time only. In turns; the median round.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from leanspike import ir
from leanspike.core.files import make_folder, write_json
from leanspike.engine import EVENT, Grid, Session, Windows

RATE, SIDE = 1_000_000, 34
STEPS_US = {100: 1_000_000, 1_000: 3_000_000, 20_000: 10_000_000}
"""By the length of a step: how many events."""
Scores = list[list[int]]
Loop = Callable[[npt.NDArray[np.void], int], Scores]


class Weights:
    """A dense network of one hidden layer, in the arrays of its program."""

    def __init__(self, program: ir.Program) -> None:
        kinds = [op.keyword for op in program.operations if not isinstance(op, ir.Reshape)]
        if kinds != ["dense", "lif", "dense", "integrate"] or program.readout.kind != "membrane_mean":
            raise SystemExit("give a program of dense, lif, dense, integrate and membrane_mean")
        first, fire, second, hold = (op for op in program.operations if not isinstance(op, ir.Reshape))
        assert isinstance(first, ir.Dense)
        assert isinstance(fire, ir.LIF)
        assert isinstance(second, ir.Dense)
        assert isinstance(hold, ir.Integrate)
        self.steps = program.steps
        self.first, self.second = program.array(first.weight), program.array(second.weight)
        self.leaks = [float(program.array(op.leak)[0, 0]) / 2**op.shift for op in (fire, hold)]
        self.threshold = program.array(fire.threshold)[0]
        self.biases = [program.array(op.bias)[0] if op.bias else np.zeros(1) for op in (fire, hold)]


def frames(events: npt.NDArray[np.void], ticks: int) -> Iterator[npt.NDArray[np.int64]]:
    """The active inputs of every step, cut and counted for all events at once."""
    place = (events["y"].astype(np.int64) * SIDE + events["x"]) * 2 + events["on"]
    ends = np.searchsorted(events["t"], np.arange(ticks, int(events["t"][-1]) + 1, ticks))
    yield from np.split(place, ends)


def ours(program: ir.Program) -> Loop:
    """A session, whose engine cuts the steps itself."""

    def loop(events: npt.NDArray[np.void], ticks: int) -> Scores:
        session = Session(program, Windows(), Grid(ticks))
        found = [one.scores.tolist() for one in session.feed(events) if one is not None]
        return found + [one.scores.tolist() for one in session.advance(int(events["t"][-1]) + 1) if one is not None]

    return loop


def in_numpy(weights: Weights) -> Loop:
    """The loop in NumPy."""
    first, second = weights.first.astype(np.float32), weights.second.astype(np.float32)

    def loop(events: npt.NDArray[np.void], ticks: int) -> Scores:
        hidden, out, total, kept = np.zeros(first.shape[1]), np.zeros(second.shape[1]), np.zeros(second.shape[1]), []
        for step, active in enumerate(frames(events, ticks)):
            x = np.zeros(len(first), dtype=np.float32)
            x[active] = 1
            hidden = np.floor(hidden * weights.leaks[0]) + x @ first + weights.biases[0]
            fired = hidden >= weights.threshold
            hidden -= fired * weights.threshold
            out = np.floor(out * weights.leaks[1]) + fired.astype(np.float32) @ second + weights.biases[1]
            total += out
            if step % weights.steps == weights.steps - 1:
                kept.append(total.astype(np.int64).tolist())
                total = np.zeros(second.shape[1])
        return kept

    return loop


def in_torch(weights: Weights) -> Loop:
    """The loop in torch."""
    first, second = (torch.tensor(array, dtype=torch.float32) for array in (weights.first, weights.second))
    threshold, *biases = (torch.tensor(array, dtype=torch.float64) for array in (weights.threshold, *weights.biases))

    @torch.inference_mode()
    def loop(events: npt.NDArray[np.void], ticks: int) -> Scores:
        hidden, out, total = (
            torch.zeros(size, dtype=torch.float64) for size in (len(threshold), *(2 * [len(second.T)]))
        )
        kept = []
        for step, active in enumerate(frames(events, ticks)):
            x = torch.zeros(len(first))
            x[torch.from_numpy(active)] = 1
            hidden = torch.floor(hidden * weights.leaks[0]) + x @ first + biases[0]
            fired = hidden >= threshold
            hidden = hidden - fired * threshold
            out = torch.floor(out * weights.leaks[1]) + fired.float() @ second + biases[1]
            total = total + out
            if step % weights.steps == weights.steps - 1:
                kept.append(total.long().tolist())
                total = torch.zeros_like(total)
        return kept

    return loop


def in_snntorch(weights: Weights) -> Loop:
    """snnTorch's Leaky between two linear layers, a step a call."""
    import snntorch

    def linear(array: npt.NDArray[np.int64], bias: npt.NDArray[Any]) -> torch.nn.Linear:
        found = torch.nn.Linear(*array.shape)
        found.weight.data, found.bias.data = (
            torch.tensor(array.T).float(),
            torch.tensor(bias).float().expand(array.shape[1]),
        )
        return found

    first, second = (linear(*pair) for pair in zip((weights.first, weights.second), weights.biases, strict=True))
    fire = snntorch.Leaky(weights.leaks[0], torch.tensor(weights.threshold).float(), reset_mechanism="subtract")
    hold = snntorch.Leaky(weights.leaks[1], 1.0, reset_mechanism="none")

    @torch.inference_mode()
    def loop(events: npt.NDArray[np.void], ticks: int) -> Scores:
        hidden, out, total, kept = fire.init_leaky(), hold.init_leaky(), torch.zeros(1), []
        for step, active in enumerate(frames(events, ticks)):
            x = torch.zeros(len(weights.first))
            x[torch.from_numpy(active)] = 1
            spikes, hidden = fire(first(x), hidden)
            _, out = hold(second(spikes), out)
            total = total + out
            if step % weights.steps == weights.steps - 1:
                kept.append(total.tolist())
                total = torch.zeros_like(total)
        return kept

    return loop


def stream(count: int) -> npt.NDArray[np.void]:
    """1 M events a second anywhere on the sensor."""
    random, found = np.random.default_rng(0), np.zeros(count, dtype=EVENT)
    found["t"] = np.arange(count)
    found["x"], found["y"] = random.integers(0, SIDE, count), random.integers(0, SIDE, count)
    found["on"] = random.integers(0, 2, count)
    return found


def measured(loops: dict[str, Loop], ticks: int, count: int, rounds: int) -> dict[str, Any]:
    """Events a second of every loop, and whether its scores are ours."""
    events, seconds = stream(count), dict[str, list[float]]()
    told = {name: loop(events[: 64 * ticks * RATE // 1_000_000], ticks) for name, loop in loops.items()}
    for _ in range(rounds):
        for name, loop in loops.items():
            start = time.perf_counter()
            loop(events, ticks)
            seconds.setdefault(name, []).append(time.perf_counter() - start)
    rates = {name: round(count / statistics.median(kept)) for name, kept in seconds.items()}
    alike = {name: found == told["leanspike"] for name, found in told.items() if name != "snntorch"}
    return {"step_us": ticks, "events": count, "events_per_second": rates, "scores_alike": alike}


def main(words: list[str] | None = None) -> int:
    """Measure, and exit with 1 where a loop that computes our integers decides otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, metavar="DIR", help="keep benchmark.json there")
    args = parser.parse_args(words)
    torch.set_num_threads(1)
    program = ir.load(args.program)
    weights = Weights(program)
    loops = {"leanspike": ours(program), "numpy": in_numpy(weights), "torch": in_torch(weights)}
    versions = {"python": platform.python_version(), "numpy": np.__version__, "torch": torch.__version__}
    try:
        loops["snntorch"] = in_snntorch(weights)
        versions["snntorch"] = sys.modules["snntorch"].__version__
    except ImportError:
        print("snntorch: not installed, not measured")
    rows = [measured(loops, ticks, count, args.rounds) for ticks, count in STEPS_US.items()]
    for row in rows:
        print(json.dumps(row))
    if args.out is not None:
        found = {"schema": 1, "program": ir.content_hash(program), "versions": versions, "rounds": args.rounds}
        write_json(make_folder(args.out) / "benchmark.json", {**found, "rows": rows})
    return 0 if all(all(row["scores_alike"].values()) for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
