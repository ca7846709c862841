"""A worker: takes a trial nobody works on, trains and measures it, hands in the record; until none is left.

Killed at any moment, it loses nothing but time: its lease runs out, and whoever takes the trial over goes on from the
trial's own folder, with the same number, to the same weights.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from leanspike import train
from leanspike.core.errors import ConfigError, DataError, EncodingError
from leanspike.core.files import make_folder
from leanspike.core.records import to_dict
from leanspike.core.rng import derive
from leanspike.data import Dataset
from leanspike.measure.records import TrialRecord
from leanspike.study import trial as trials
from leanspike.study.config import Point, StudyConfig
from leanspike.study.leases import BEAT
from leanspike.study.storage import FAILURES, OPEN, Store

POLL = 0.5  # seconds between two looks for work while others hold all that is left


class LeaseLost(Exception):
    """Another worker took this one for dead and has its trial now."""


@dataclass(frozen=True)
class Job:
    """All that a worker needs."""

    config: StudyConfig
    data: Dataset
    store: Store
    folder: Path
    build: trials.Build | None = None


def work(job: Job) -> None:
    """Run trials until every trial of the study is finished, by whomever."""
    while left := job.store.trials(OPEN):
        for trial in left:
            if _take(job, trial.number):
                break
        else:
            time.sleep(POLL)


def _take(job: Job, number: int) -> bool:
    """Run the trial if its lease is to be had; False if somebody else has it."""
    key = f"trial {number}"
    if not job.store.leases.acquire(key):
        return False
    try:
        if job.store.trials()[number].state in OPEN:
            with beating(job, key) as pulse:
                _run(job, number, pulse)
    except LeaseLost:
        return True
    finally:
        job.store.leases.release(key)
    return True


def _run(job: Job, number: int, pulse: Pulse) -> None:
    store = job.store
    store.storage.set_trial_state_values(store.trial_id(number), TrialState.RUNNING)
    frozen = store.trials()[number]
    store.note(number, "claimed_by", [*frozen.user_attrs.get("claimed_by", []), store.leases.owner])
    try:
        record, values = _train(job, frozen, pulse)
    except (ConfigError, DataError, EncodingError) as error:
        store.note(number, "error", error.line())
        _finish(store, number, TrialState.FAIL, None, pulse)
        return
    store.note(number, "record", to_dict(record))
    _finish(store, number, TrialState.COMPLETE, values, pulse)


def _train(job: Job, frozen: FrozenTrial, pulse: Pulse) -> tuple[TrialRecord, list[float] | None]:
    kind, folder = frozen.user_attrs["kind"], trial_folder(job.folder, frozen.number)
    point = suggest(job, frozen.number) if kind == "search" else frozen.user_attrs["parameters"]
    config, data = job.config.run_at(point), job.data
    network = trials.build_network(config, data, ann=kind == "ann", own=job.build)
    trained = train.fit(config, data.training_only(), make_folder(folder), network=network, progress=pulse)
    model = trials.model_name(network, config, data, job.config.network)
    record = trials.trained_record(config, data, trained, model, point)
    if kind != "search":
        record = trials.test_trial(config, data, trained, record, folder)
    goals = [trained.validation_accuracy]
    if job.config.goals == "accuracy,spikes":
        goals.append(trials.validation_spikes(config, data, trained))
    return record, None if kind == "ann" or None in goals else [goal for goal in goals if goal is not None]


def suggest(job: Job, number: int) -> Point:
    """The point of a search trial; chosen once, and the same again where a trial is taken over."""
    study = job.store.study
    study.sampler = TPESampler(seed=derive(job.config.run.seed, number), constant_liar=True, n_startup_trials=10)
    trial = optuna.Trial(study, job.store.trial_id(number))
    steps = job.config.timesteps
    point: Point = {"timesteps": steps[0] if len(steps) == 1 else trial.suggest_categorical("timesteps", steps)}
    point["seed"] = 0
    for span in job.config.search:
        if span.whole:
            point[span.key] = trial.suggest_int(span.key, int(span.low), int(span.high), log=span.log)
        else:
            point[span.key] = trial.suggest_float(span.key, span.low, span.high, log=span.log)
    return point


def _finish(store: Store, number: int, state: TrialState, values: list[float] | None, pulse: Pulse) -> None:
    pulse.check()
    try:
        store.storage.set_trial_state_values(store.trial_id(number), state, values)
    except optuna.exceptions.UpdateFinishedTrialError as error:
        raise LeaseLost from error


def trial_folder(folder: Path, number: int) -> Path:
    """``DIR/trials/NNN``."""
    return folder / "trials" / f"{number:03d}"


class Pulse(train.Progress):
    """A trial's progress; a thread beats the lease with it, and training stops when the lease is lost."""

    def __init__(self, job: Job, key: str) -> None:
        self.job, self.key = job, key
        self.done, self.total, self.lost = 0, 1, False
        self.stop = threading.Event()

    def begin(self, epoch: int, epochs: int, steps: int, done: int) -> None:
        """Where the epoch starts."""
        self.total, self.done = epochs * steps, (epoch - 1) * steps + done

    def step(self) -> None:
        """One more step; raises :class:`LeaseLost` where the lease is no longer this worker's."""
        self.done += 1
        if self.lost:
            raise LeaseLost

    def check(self) -> None:
        """Beat once, and raise :class:`LeaseLost` where that fails."""
        if not self.job.store.leases.beat(self.key, self.done / self.total):
            raise LeaseLost

    def beat(self) -> None:
        """Beat until told to stop."""
        while not self.stop.wait(BEAT):
            with suppress(*FAILURES):  # a storage out of reach for a moment: the next beat tells
                self.lost = not self.job.store.leases.beat(self.key, min(1.0, self.done / self.total))


@contextmanager
def beating(job: Job, key: str) -> Iterator[Pulse]:
    """Keep a lease alive while the body runs."""
    pulse = Pulse(job, key)
    thread = threading.Thread(target=pulse.beat, daemon=True)
    thread.start()
    try:
        yield pulse
    finally:
        pulse.stop.set()
        thread.join()
