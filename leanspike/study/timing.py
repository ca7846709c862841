"""Latency of one answer at batch 1, measured when nothing trains any more: one process, one thread, in alternation.

Every network gets some calls in each round, so that a machine that grows slower or busier does so for all of them.
The time is that of encoding one sample, running all T steps and reading the answer: of the deployed program on the
engine, and in PyTorch of what has no program or where the engine was not built.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn

from leanspike import ir, train
from leanspike.core.errors import MissingTool
from leanspike.engine import Engine
from leanspike.measure.latency import Latency, percentile
from leanspike.nn import Network, readout
from leanspike.study import trial as trials
from leanspike.study.deploy import PROGRAM
from leanspike.study.details import encoded
from leanspike.study.queue import Pulse, beating, trial_folder
from leanspike.study.worker import Job
from leanspike.train import RunConfig
from leanspike.train.batches import Samples, scaled

ROUNDS, CALLS, WARM_UP = 4, 100, 10
THREADS = 1
KEY = "latency"


def measure_latencies(job: Job) -> None:
    """Measure every tested trial whose weights lie in this folder, once; another process at it is waited for."""
    while _missing(job):
        if job.store.leases.acquire(KEY):
            threads = torch.get_num_threads()
            torch.set_num_threads(THREADS)
            try:
                with beating(job, KEY) as pulse:
                    _measure(job, _missing(job), pulse)
            finally:
                torch.set_num_threads(threads)
                job.store.leases.release(KEY)
        else:
            time.sleep(0.2)


def latency_of(job: Job, number: int) -> Latency | None:
    """A trial's latency, if it was measured."""
    values = job.store.study.user_attrs.get(f"{KEY} {number}")
    return Latency(**values) if values else None


def _missing(job: Job) -> list[int]:
    done = job.store.study.user_attrs
    tested = [
        trial.number for trial in job.store.trials() if trial.user_attrs.get("record", {}).get("accuracy") is not None
    ]
    here = [number for number in tested if (trial_folder(job.folder, number) / "network.json").exists()]
    return [number for number in here if f"{KEY} {number}" not in done]


def _measure(job: Job, numbers: list[int], pulse: Pulse) -> None:
    calls = [_call(job, number) for number in numbers]
    times: list[list[float]] = [[] for _ in numbers]
    for _ in range(ROUNDS):
        for call, found in zip(calls, times, strict=True):
            for i in range(WARM_UP + CALLS):
                start = time.perf_counter_ns()
                call(i)
                found += [(time.perf_counter_ns() - start) / 1000] if i >= WARM_UP else []
            pulse.done = sum(map(len, times))
    pulse.check()
    for number, found in zip(numbers, times, strict=True):
        latency = Latency(percentile(found, 0.50), percentile(found, 0.99))
        job.store.annotate(f"{KEY} {number}", dataclasses.asdict(latency))


def _call(job: Job, number: int) -> Callable[[int], int]:
    """A function that answers training sample i (the test set has had its one look)."""
    program = trial_folder(job.folder, number) / PROGRAM
    if program.exists():
        with suppress(MissingTool):
            return _program_call(program, job)
    attributes = job.store.trials()[number].user_attrs
    config = job.config.run_at(attributes["parameters"])
    network = trials.build_network(config, job.data, ann=attributes["kind"] == "ann", own=job.build)
    _, trained = train.load_network(trial_folder(job.folder, number), network)
    some = slice(0, 100)
    y = torch.from_numpy(job.data.y_train[some])
    samples = Samples(torch.from_numpy(job.data.x_train[some]), y, torch.arange(len(y)))
    return lambda i: _answer(trained, samples, i % len(y), config)


def _program_call(path: Path, job: Job) -> Callable[[int], int]:
    program = ir.load(path)
    engine, raw = Engine(program), ir.raw_samples(program, job.data.x_train[:100])
    return lambda i: engine.classify(raw[i % len(raw)], i % len(raw))


@torch.inference_mode()
def _answer(network: nn.Module, samples: Samples, i: int, config: RunConfig) -> int:
    x = samples.x[i : i + 1]
    if isinstance(network, Network):
        logits = readout(network(encoded(x, samples.numbers[i : i + 1], network, config)), network.readout)
    else:
        logits = network(scaled(x))
    return int(logits.argmax(-1))
