"""Processes that hold prepared candidates and run them in turns, one at a time.

Every candidate on torch lives in one process, those on JAX in another: the two thread pools would fight for the
cores in one. Both get the same cores, threads and allocator settings; only one works at a time, and every turn
begins with an untimed step that wakes its threads and refills its caches.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import time
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np

from leanspike.bench.candidates import Candidate, Stepper
from leanspike.bench.workloads import Workload, make_batch, make_weights

ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
}
CHECKED_STEPS = 3


@dataclass(frozen=True)
class Prepared:
    """What preparing a candidate showed: the losses of its first steps, and the seconds of the very first."""

    losses: list[float]
    first_seconds: float


def environment(threads: int) -> dict[str, str]:
    """What every process of a timing gets: the threads, and an allocator that keeps freed pages."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")
    return {**{name: str(threads) for name in names}, **ALLOCATOR, "JAX_PLATFORMS": "cpu"}


def limit_cores(threads: int) -> None:
    """Keep this process on ``threads`` of its cores, so that XLA, which counts cores, uses as many threads."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


class Worker:
    """The driver's end of such a process; a context manager."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, threads), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment(threads))
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        other.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.terminate()

    def ask(self, command: str, *arguments: Any) -> Any:
        """Run ``command`` there; RuntimeError with the last line of what went wrong."""
        try:
            self._pipe.send((command, *arguments))
            good, answer = self._pipe.recv()
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError("its process died") from error
        if not good:
            raise RuntimeError(answer)
        return answer


class _Bench:
    def __init__(self) -> None:
        self.work: Workload | None = None
        self.steppers: dict[str, tuple[Stepper, Any]] = {}

    def prepare(self, candidate: Candidate, work: Workload) -> Prepared:
        """Build, load the weights, run the first steps (compiling what has to be compiled)."""
        if work != self.work:
            self.work, self.steppers = work, {}
            self.input, self.weights = make_batch(work), make_weights(work)
        stepper = candidate.prepare(work)
        batch = stepper.batch(self.input)
        stepper.load(self.weights)
        start = time.perf_counter()
        losses = [stepper.step(batch)]
        seconds = time.perf_counter() - start
        losses += [stepper.step(batch) for _ in range(CHECKED_STEPS - 1)]
        self.steppers[candidate.name] = (stepper, batch)
        return Prepared(losses, seconds)

    def steps(self, name: str, count: int) -> list[float]:
        """Seconds of ``count`` steps from the given weights, after an untimed one."""
        stepper, batch = self.steppers[name]
        stepper.load(self.weights)
        stepper.step(batch)
        seconds = []
        for _ in range(count):
            start = time.perf_counter()
            stepper.step(batch)
            seconds.append(time.perf_counter() - start)
        return seconds

    def passes(self, name: str, count: int) -> list[Any]:
        """:class:`~leanspike.bench.candidates.Passes` of ``count`` rounds, after an untimed one."""
        stepper, batch = self.steppers[name]
        stepper.load(self.weights)
        stepper.passes(batch)
        return [stepper.passes(batch) for _ in range(count)]

    def density(self, name: str) -> list[float]:
        """Share of ones in our layers at the given weights."""
        stepper, batch = self.steppers[name]
        stepper.load(self.weights)
        found: list[float] = getattr(stepper, "density")(batch)  # noqa: B009
        return found

    def epoch(self, candidate: Candidate, samples: int | None) -> float:
        """Seconds of one epoch over MNIST (its first ``samples``) from the given weights."""
        assert self.work is not None
        stepper, _ = self.steppers[candidate.name]
        stepper.load(self.weights)
        seconds: float = self.call("leanspike.bench.epoch", "seconds", stepper, candidate.family, self.work, samples)
        return seconds

    def call(self, module: str, function: str, *arguments: Any) -> Any:
        """Any other function of this package, with this process's settings."""
        return getattr(importlib.import_module(module), function)(*arguments)


def _serve(pipe: Connection, threads: int) -> None:
    warnings.filterwarnings("ignore")
    limit_cores(threads)
    import torch

    torch.set_num_threads(threads)
    np.random.seed(0)
    bench = _Bench()
    while True:
        try:
            command, *arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            pipe.send((True, getattr(bench, command)(*arguments)))
        except Exception as error:
            last = traceback.format_exception_only(error)[-1].strip().splitlines()
            pipe.send((False, last[0][:300] if last else repr(error)))
