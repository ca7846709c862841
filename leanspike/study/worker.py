"""A study's trials: each is trained, and unless it belongs to the search, tested; a search's points are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial

from leanspike import train
from leanspike.core.files import make_folder
from leanspike.core.rng import derive
from leanspike.data import Dataset
from leanspike.study import trial as trials
from leanspike.study.config import Point, StudyConfig
from leanspike.study.queue import Outcome, Pulse, trial_folder
from leanspike.study.storage import Store


@dataclass(frozen=True)
class Job:
    """All that a worker needs; a :class:`leanspike.study.queue.Queue`."""

    config: StudyConfig
    data: Dataset
    store: Store
    folder: Path
    build: trials.Build | None = None
    deadline: float | None = None

    def train(self, frozen: FrozenTrial, pulse: Pulse) -> Outcome:
        """Train and measure a trial.

        Raises:
            ConfigError, DataError, EncodingError: its point cannot be trained.
        """
        kind, folder = frozen.user_attrs["kind"], trial_folder(self.folder, frozen.number)
        point = suggest(self, frozen.number) if kind == "search" else frozen.user_attrs["parameters"]
        config, data = self.config.run_at(point), self.data
        network = trials.build_network(config, data, ann=kind == "ann", own=self.build)
        trained = train.fit(config, data.training_only(), make_folder(folder), network=network, progress=pulse)
        model = trials.model_name(network, config, data, self.config.network)
        record = trials.trained_record(config, data, trained, model, point)
        if kind != "search":
            record = trials.test_trial(config, data, trained, record, folder)
        goals = [trained.validation_accuracy]
        if self.config.goals == "accuracy,spikes":
            goals.append(trials.validation_spikes(config, data, trained))
        values = None if kind == "ann" or None in goals else [goal for goal in goals if goal is not None]
        return Outcome(record, values)


def suggest(job: Job, number: int) -> Point:
    """The point of a search trial; chosen once, and the same again where a trial is taken over."""
    study = job.store.study
    study.sampler = TPESampler(seed=derive(job.config.run.seed, number), constant_liar=True, n_startup_trials=10)
    trial = optuna.Trial(study, job.store.trial_id(number))
    steps = job.config.timesteps
    point: Point = {"timesteps": steps[0] if len(steps) == 1 else trial.suggest_categorical("timesteps", steps)}
    point["seed"] = 0
    return point | {span.key: span.suggest(trial) for span in job.config.search}
