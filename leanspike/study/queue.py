"""Trials of a study that several workers take from: a lease each, a pulse while one works, until none is left.

Killed at any moment, a worker loses nothing but time: its lease runs out, and whoever takes the trial over goes on from
the trial's own folder, with the same number.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import optuna
from optuna.trial import FrozenTrial, TrialState

from leanspike import train
from leanspike.core.errors import ConfigError, DataError, EncodingError, LoweringError, ProgramError
from leanspike.core.records import to_dict
from leanspike.measure.records import TrialRecord
from leanspike.study.leases import BEAT
from leanspike.study.storage import FAILURES, OPEN, Store

POLL = 0.5  # seconds between two looks for work while others hold all that is left


class LeaseLost(Exception):
    """Another worker took this one for dead and has its trial now."""


class OutOfTime(Exception):
    """The time given to all trials is over; this one stays open, and goes on when the study does."""


@dataclass(frozen=True)
class Outcome:
    """What became of a trial; ``values`` are its goals', where it has any."""

    record: TrialRecord
    values: list[float] | None
    state: TrialState = TrialState.COMPLETE


class Queue(Protocol):
    """What workers take trials from."""

    @property
    def store(self) -> Store:
        """The study's storage."""

    @property
    def folder(self) -> Path:
        """The study's folder on this machine."""

    @property
    def deadline(self) -> float | None:
        """When training stops, as ``time.time()``; None: when all trials are finished."""

    def train(self, frozen: FrozenTrial, pulse: Pulse) -> Outcome:
        """Run a trial."""


def work(queue: Queue) -> None:
    """Run trials until every trial of the study is finished, by whomever, or the time is over."""
    while (left := queue.store.trials(OPEN)) and not is_over(queue.deadline):
        for trial in left:
            if is_over(queue.deadline) or _take(queue, trial.number):
                break
        else:
            time.sleep(POLL)


def is_over(deadline: float | None) -> bool:
    """Whether a deadline has passed."""
    return deadline is not None and time.time() >= deadline


def _take(queue: Queue, number: int) -> bool:
    """Run the trial if its lease is to be had; False if somebody else has it."""
    key = f"trial {number}"
    if not queue.store.leases.acquire(key):
        return False
    try:
        if queue.store.trials()[number].state in OPEN:
            with beating(queue, key) as pulse:
                _run(queue, number, pulse)
    except (LeaseLost, OutOfTime):
        return True
    finally:
        queue.store.leases.release(key)
    return True


def _run(queue: Queue, number: int, pulse: Pulse) -> None:
    store = queue.store
    store.storage.set_trial_state_values(store.trial_id(number), TrialState.RUNNING)
    frozen = store.trials()[number]
    store.note(number, "claimed_by", [*frozen.user_attrs.get("claimed_by", []), store.leases.owner])
    try:
        outcome = queue.train(frozen, pulse)
    except (ConfigError, DataError, EncodingError, LoweringError, ProgramError) as error:
        store.note(number, "error", error.line())
        _finish(store, number, TrialState.FAIL, None, pulse)
        return
    store.note(number, "record", to_dict(outcome.record))
    _finish(store, number, outcome.state, outcome.values, pulse)


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
    """A trial's progress; a thread beats the lease with it, and training stops when the lease is lost.

    Attributes:
        watch: is shown every epoch's record, and may raise.
        part: (index, count) of the trainings of this trial, of which the progress is a part.
    """

    def __init__(self, queue: Queue, key: str) -> None:
        self.queue, self.key = queue, key
        self.done, self.total, self.lost = 0, 1, False
        self.part = (0, 1)
        self.watch: Callable[[train.EpochRecord], None] | None = None
        self.stop = threading.Event()

    @property
    def share(self) -> float:
        """How far the trial is, 0..1."""
        index, count = self.part
        return min(1.0, (index + min(1.0, self.done / self.total)) / count)

    def begin(self, epoch: int, epochs: int, steps: int, done: int) -> None:
        """Where the epoch starts."""
        self.total, self.done = epochs * steps, (epoch - 1) * steps + done

    def step(self) -> None:
        """One more step; raises where the lease is no longer this worker's, or the time is over."""
        self.done += 1
        if self.lost:
            raise LeaseLost
        if is_over(self.queue.deadline):
            raise OutOfTime

    def epoch(self, record: train.EpochRecord, epochs: int) -> None:  # noqa: ARG002
        """Show the record to ``watch``."""
        if self.watch:
            self.watch(record)

    def check(self) -> None:
        """Beat once, and raise :class:`LeaseLost` where that fails."""
        if not self.queue.store.leases.beat(self.key, self.share):
            raise LeaseLost

    def beat(self) -> None:
        """Beat until told to stop."""
        while not self.stop.wait(BEAT):
            with suppress(*FAILURES):  # a storage out of reach for a moment: the next beat tells
                self.lost = not self.queue.store.leases.beat(self.key, self.share)


@contextmanager
def beating(queue: Queue, key: str) -> Iterator[Pulse]:
    """Keep a lease alive while the body runs."""
    pulse = Pulse(queue, key)
    thread = threading.Thread(target=pulse.beat, daemon=True)
    thread.start()
    try:
        yield pulse
    finally:
        pulse.stop.set()
        thread.join()
