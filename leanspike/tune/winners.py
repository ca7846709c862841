"""The front of a tune, the point that is chosen from it, and its one look at the test set."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from leanspike import ir
from leanspike.core.records import to_dict
from leanspike.engine import Engine
from leanspike.measure.latency import time_calls
from leanspike.measure.pareto import front
from leanspike.measure.program import measure
from leanspike.study.deploy import PROGRAM
from leanspike.study.queue import beating, trial_folder
from leanspike.tune.config import TuneConfig
from leanspike.tune.trial import TuneJob

KEY = "winners"


def on_front(trials: Sequence[FrozenTrial], config: TuneConfig) -> list[FrozenTrial]:
    """The finished trials that no other one beats in every goal, on validation data; with one goal the best."""
    finished = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not finished:
        return []
    if len(config.goals) == 1:
        sign = -1 if config.directions[0] == "max" else 1
        return [min(finished, key=lambda trial: (sign * trial.values[0], trial.number))]
    kept = front([trial.values for trial in finished], config.directions)
    return [trial for trial, is_kept in zip(finished, kept, strict=True) if is_kept]


def choose(winners: Sequence[FrozenTrial], config: TuneConfig) -> FrozenTrial | None:
    """Of those with an accuracy within ``config.within`` of the best, the cheapest by the first cost, then the next."""
    if not winners:
        return None
    signed = {t.number: _signed(t, config) for t in winners}
    near = list(winners)
    costs = [i for i, goal in enumerate(config.goals) if goal != "accuracy"]
    if "accuracy" in config.goals:
        place = config.goals.index("accuracy")
        best = max(trial.values[place] for trial in winners)
        near = [trial for trial in winners if trial.values[place] >= best - config.within]
        costs.append(place)
    return min(near, key=lambda trial: (*(signed[trial.number][i] for i in costs), trial.number))


def _signed(trial: FrozenTrial, config: TuneConfig) -> list[float]:
    return [-v if way == "max" else v for v, way in zip(trial.values, config.directions, strict=True)]


def measure_winners(job: TuneJob) -> None:
    """Show the test set, once, to each winner whose program lies here; another process at it is waited for."""
    while _untested(job):
        if job.store.leases.acquire(KEY):
            try:
                with beating(job, KEY):
                    for number in _untested(job):
                        job.store.annotate(f"tested {number}", _tested(job, number))
            finally:
                job.store.leases.release(KEY)
        else:
            time.sleep(0.2)


def tested(job: TuneJob, number: int) -> dict[str, Any]:
    """What a trial's program did on the test set, as fields of its record; empty if it was not shown it."""
    found: dict[str, Any] = job.store.study.user_attrs.get(f"tested {number}", {})
    return found


def _untested(job: TuneJob) -> list[int]:
    numbers = [trial.number for trial in on_front(job.store.trials(), job.config)]
    done = job.store.study.user_attrs
    return [n for n in numbers if f"tested {n}" not in done and (trial_folder(job.folder, n) / PROGRAM).exists()]


def _tested(job: TuneJob, number: int) -> dict[str, Any]:
    program, test = ir.load(trial_folder(job.folder, number) / PROGRAM), job.data.test()
    found = measure(program, ir.raw_samples(program, test.x), test.y, test.numbers)
    engine, raw = Engine(program), ir.raw_samples(program, job.data.x_train[:100])
    latency = time_calls(lambda i: engine.classify(raw[i % len(raw)], i % len(raw)), calls=500)
    return {
        "measured_on": "program",
        "accuracy": found.accuracy,
        "accuracy_ci95": list(found.accuracy_ci95),
        "spikes_per_sample": found.spikes_per_sample,
        "firing_rate": found.firing_rate,
        "sparsity": found.sparsity,
        "macs": found.macs,
        "acs": found.acs,
        "energy_nj": found.energy_nj,
        "latency_us": to_dict(latency),
    }
