"""Latency of one answer at batch 1, for the first seed of every set and model, in alternation within a set.

Spiking networks run as programs on the engine, from the encoded sample to the decision; their rivals in PyTorch, whose
calls cost more than the arithmetic of such small networks; 1-NN DTW in its compiled library. One thread. A network
without spikes takes the same time whatever its weights are, so it is timed untrained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import torch
from optuna.trial import FrozenTrial, TrialState

from leanspike import ir
from leanspike.core.errors import MissingTool
from leanspike.data import Dataset
from leanspike.data.base import as_unit
from leanspike.engine import Engine
from leanspike.measure.latency import Latency, time_in_turn
from leanspike.study.comparison import neighbour
from leanspike.study.comparison.config import NEIGHBOUR, SPIKING
from leanspike.study.comparison.job import ComparisonJob, series
from leanspike.study.deploy import PROGRAM
from leanspike.study.queue import trial_folder

CALLS = 200
SAMPLES = 50
KEY = "latency"


def measure_latencies(job: ComparisonJob) -> None:
    """Measure what was not measured yet, and whose program lies in this folder."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for dataset in job.config.datasets:
            trials = [trial for trial in _first_seeds(job, dataset) if f"{KEY} {trial.number}" not in _known(job)]
            calls = {str(trial.number): call for trial in trials if (call := _call(job, trial)) is not None}
            if calls:
                for number, found in time_in_turn(calls, calls=CALLS, warm_up=5).items():
                    job.store.annotate(f"{KEY} {number}", dataclasses.asdict(found))
    finally:
        torch.set_num_threads(threads)


def latency_of(job: ComparisonJob, number: int) -> Latency | None:
    """A trial's latency, if it was measured."""
    values = _known(job).get(f"{KEY} {number}")
    return Latency(**values) if values else None


def _known(job: ComparisonJob) -> dict[str, dict[str, float]]:
    return job.store.study.user_attrs


def _first_seeds(job: ComparisonJob, dataset: str) -> list[FrozenTrial]:
    done = [t for t in job.store.trials([TrialState.COMPLETE]) if t.user_attrs["kind"] == "chosen"]
    points = [(t, t.user_attrs["parameters"]) for t in done]
    return [t for t, point in points if point["dataset"] == dataset and point["seed"] == 0]


def _call(job: ComparisonJob, trial: FrozenTrial) -> Callable[[int], object] | None:
    point = trial.user_attrs["parameters"]
    data, model = job.data(point["dataset"]), point["model"]
    if model == NEIGHBOUR:
        return _neighbour(job, data, trial)
    if model not in SPIKING:
        _, network = job.network(point, data, tuning=False)
        x = torch.from_numpy(as_unit(data.x_train[:SAMPLES]))
        network.eval()

        @torch.inference_mode()
        def answer(i: int) -> int:
            return int(network(x[i % len(x)][None]).argmax(-1))

        return answer
    path = trial_folder(job.folder, trial.number) / PROGRAM
    if not path.is_file():
        return None
    with suppress(MissingTool):
        program = ir.load(path)
        engine, raw = Engine(program), ir.raw_samples(program, data.x_train[:SAMPLES])
        return lambda i: engine.classify(raw[i % len(raw)], i % len(raw))
    return None


def _neighbour(job: ComparisonJob, data: Dataset, trial: FrozenTrial) -> Callable[[int], object]:
    known = series(data.x_train, job.steps(data))
    window = trial.user_attrs["record"]["parameters"]["window"]
    labels = np.asarray(data.y_train)
    return lambda i: neighbour.predictions(known, labels, known[i % len(known)][None], window)
