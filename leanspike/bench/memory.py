"""Peak memory of a training step above the model, each measurement in its own process.

The model, the optimiser and the input stand ready and one tiny batch has passed (a whole one, its pages given
back, where something is compiled for the batch's shape). Then the kernel's high-water mark is reset, three steps
run, and the mark less the memory held before is what the steps needed. The input is not counted for anyone: the
peers' is a float array of 0.4 MB a step at batch 128.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from leanspike.bench.candidates import Candidate
from leanspike.bench.results import judge_memory
from leanspike.bench.tables import MEMORY_CANDIDATES, Settings, left_out
from leanspike.bench.worker import environment, limit_cores
from leanspike.bench.workloads import Workload, make_batch, make_weights
from leanspike.core.records import from_dict

STEPS = 3
WARM_STEPS = 2
# One arena, so that malloc_trim can give back what a warm-up on another thread left. glibc lets its threshold for
# giving back at once grow to 32 MB; held at its first value, what is resident is what is in use.
ALLOCATORS = {
    "as it is": {"MALLOC_ARENA_MAX": "1"},
    "giving back": {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "131072"},
}
TINY = 2
PLOTTED = "memory, malloc as it is"


def table(allocator: str, steps: tuple[int, ...], settings: Settings, say: Callable[[str], None]) -> dict[str, Any]:
    """The table over ``steps`` as JSON; ``allocator`` is a key of ``ALLOCATORS``."""
    rows = []
    for candidate in MEMORY_CANDIDATES:
        row: dict[str, Any] = {"candidate": candidate.name, "family": candidate.family, "megabytes": [], "reasons": []}
        for timesteps in steps:
            say(f"  memory of {candidate.name} at T={timesteps}")
            value, reason = None, left_out(candidate, settings.quick, settings.compiling)
            if reason is None:
                try:
                    value = measure(candidate, Workload("memory", timesteps, 128), settings.threads, allocator)
                except RuntimeError as error:
                    reason = str(error)
            row["megabytes"].append(value)
            row["reasons"].append(reason)
        rows.append(row)
    return {
        "name": f"memory, malloc {allocator}",
        "group": "memory",
        "kind": "memory",
        "title": f"Peak memory above model, optimiser and input (MB), 784-400-10, B=128, malloc {allocator}",
        "timesteps": list(steps),
        "rows": rows,
        "promises": [] if settings.quick else judge_memory(steps, rows),
    }


def measure(candidate: Candidate, work: Workload, threads: int, allocator: str, timeout: float = 600) -> float:
    """Megabytes (10^6 bytes) above the model.

    Args:
        allocator: a key of ``ALLOCATORS``.

    Raises:
        RuntimeError: it cannot be measured; the reason.
    """
    question = json.dumps({"candidate": vars(candidate), "work": work.to_dict(), "threads": threads})
    settings = {name: value for name, value in environment(threads).items() if not name.startswith("MALLOC_")}
    settings |= ALLOCATORS[allocator]
    command = [sys.executable, "-W", "ignore", "-m", __name__, question]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout, env={**os.environ, **settings}, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"no result within {timeout:.0f} s") from None
    if done.returncode:
        raise RuntimeError(
            (done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"])[-1][:300]
        )
    return float(done.stdout.strip().splitlines()[-1])


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


def _above_model(candidate: Candidate, work: Workload) -> float:
    batch, weights = make_batch(work), make_weights(work)
    stepper = candidate.prepare(work)
    stepper.load(weights)
    whole = stepper.batch(batch)
    shaped = candidate.compiled or candidate.family == "jax"
    warm = whole if shaped else stepper.batch(make_batch(work.resized(TINY, TINY)))
    for _ in range(WARM_STEPS):
        stepper.step(warm)
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    for _ in range(STEPS):
        stepper.step(whole)
    return (_status("VmHWM") - before) / 1e6


def main(question: str) -> None:
    """Measure in this process and print the megabytes."""
    import torch

    warnings.filterwarnings("ignore")
    asked = json.loads(question)
    limit_cores(asked["threads"])
    torch.set_num_threads(asked["threads"])
    work = from_dict(Workload, asked["work"])
    sys.stdout.write(f"{_above_model(Candidate(**asked['candidate']), work)}\n")


if __name__ == "__main__":
    main(sys.argv[1])
