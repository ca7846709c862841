"""One trial of a tune: train in floats, compress, lower, and judge the integer program on the validation split.

The test set is not looked at here; :mod:`leanspike.tune.winners` shows it to what is on the front, once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from leanspike import ir, train
from leanspike.compress import compress
from leanspike.core.errors import Diverged
from leanspike.core.files import make_folder
from leanspike.core.records import content_hash, to_dict
from leanspike.core.rng import derive
from leanspike.data import Dataset, Split, split
from leanspike.engine import Engine
from leanspike.ir import Program
from leanspike.lower.runs import lower_network
from leanspike.measure.latency import time_calls
from leanspike.measure.program import Measurement, measure
from leanspike.measure.records import TrialRecord
from leanspike.nn import Network
from leanspike.study.config import Point
from leanspike.study.deploy import PROGRAM
from leanspike.study.queue import Outcome, Pulse, trial_folder
from leanspike.study.storage import Store
from leanspike.study.trial import build_network, model_name, trained_record, versions
from leanspike.train import EpochRecord, RunConfig
from leanspike.tune.config import TuneConfig
from leanspike.tune.stop import Stopped, verdict

LATENCY_CALLS = 500


@dataclass(frozen=True)
class TuneJob:
    """All that a worker needs; a :class:`leanspike.study.queue.Queue`."""

    config: TuneConfig
    data: Dataset
    store: Store
    folder: Path
    deadline: float | None = None

    def train(self, frozen: FrozenTrial, pulse: Pulse) -> Outcome:
        """Run a trial.

        Raises:
            ConfigError, DataError, EncodingError, LoweringError, ProgramError: its point does not become a program.
        """
        number = frozen.number
        point = suggest(self, number)
        config = self.config.run_at(point)
        network = build_network(config, self.data, ann=False)
        model = model_name(network, config, self.data)
        try:
            return self._finished(number, point, config, network, pulse)
        except (Stopped, Diverged) as reason:
            why = str(reason) if isinstance(reason, Stopped) else f"exploding: {reason.what}"
            return Outcome(_stopped_record(self, number, point, model, why), None, TrialState.PRUNED)

    def _finished(self, number: int, point: Point, config: RunConfig, network: Any, pulse: Pulse) -> Outcome:
        folder, known = make_folder(trial_folder(self.folder, number)), self.data.training_only()
        compression = self.config.compression_at(point, config)
        pulse.part, pulse.watch = (0, 1 if compression is None else 2), _Watch(self, number)
        trained = train.fit(config, known, make_folder(folder / "float"), network=network, progress=pulse)
        record = trained_record(config, self.data, trained, model_name(network, config, self.data), point)
        lean, run, seconds = trained.network, config, trained.seconds
        assert isinstance(lean, Network)
        if compression is not None:
            pulse.part, pulse.watch = (1, 2), None
            compressed = compress(lean, config, compression, known, folder / "lean", progress=pulse)
            lean, run, seconds = compressed.network, compressed.run, seconds + compressed.trained.seconds
        program = lower_network(lean, run, self.data).program
        ir.save(program, folder / PROGRAM, origin(self, run, point))
        _, validation = split(self.data, config.train.validation, config.seed)
        measured = measure(program, ir.raw_samples(program, validation.x), validation.y, validation.numbers)
        goals = judged(self.config, program, measured, validation)
        record = dataclasses.replace(
            record,
            number=number,
            validation_accuracy=measured.accuracy,
            params=measured.footprint.parameters,
            synapses=measured.footprint.synapses,
            memory_bytes=measured.footprint.array_bytes + measured.footprint.state_bytes,
            train_seconds=seconds,
            goals=goals,
        )
        return Outcome(record, [goals[goal] for goal in self.config.goals])


def _stopped_record(job: TuneJob, number: int, point: Point, model: str, why: str) -> TrialRecord:
    config = job.config.run_at(point)
    return TrialRecord(
        job.data.name,
        model,
        config.encoder.kind,
        config.timesteps,
        config.seed,
        config_hash=content_hash(config),
        versions=versions(),
        parameters=point,
        number=number,
        stopped=why,
    )


def suggest(job: TuneJob, number: int) -> Point:
    """The point of a trial; chosen once, and the same again where a trial is taken over."""
    study = job.store.study
    study.sampler = TPESampler(seed=derive(job.config.run.seed, number), constant_liar=True, n_startup_trials=10)
    trial = optuna.Trial(study, job.store.trial_id(number))
    return {dimension.key: dimension.suggest(trial) for dimension in job.config.space}


def judged(config: TuneConfig, program: Program, measured: Measurement, samples: Split) -> dict[str, float]:
    """Every goal by name; latency only where it is one, because it is a measurement of its own."""
    found = {
        "accuracy": measured.accuracy,
        "bytes": float(measured.footprint.array_bytes + measured.footprint.state_bytes),
        "operations": measured.macs + measured.acs,
        "spikes": measured.spikes_per_sample,
    }
    energy = measured.energy_nj[config.energy_model]
    if energy is not None:
        found["energy"] = energy
    if "latency" in config.goals:
        engine, raw = Engine(program), ir.raw_samples(program, samples.x[:100])
        numbers = samples.numbers[:100].tolist()
        found["latency"] = time_calls(
            lambda i: engine.classify(raw[i % len(raw)], numbers[i % len(raw)]), calls=LATENCY_CALLS
        ).p50
    return found


def origin(job: TuneJob, run: RunConfig, point: Point) -> dict[str, Any]:
    """What a trial's program was made from, as its file tells."""
    config = {"config": to_dict(run), "config_hash": content_hash(run), "parameters": point}
    return {"dataset": run.dataset, **config, "classes": list(job.data.classes)}


class _Watch:
    """Stops a trial after an epoch that is not worth another, judged beside the epochs of all other trials."""

    def __init__(self, job: TuneJob, number: int) -> None:
        self.job, self.number = job, number
        self.curve: list[float] = []

    def __call__(self, record: EpochRecord) -> None:
        """Note the epoch, and raise :class:`Stopped` where it was the last."""
        store, goals = self.job.store, len(self.job.config.goals)
        trials = store.trials()
        if not self.curve:  # a trial that was taken over goes on in its own curve
            self.curve = list(trials[self.number].user_attrs.get("curve", []))[: record.epoch - 1]
        accuracy = record.validation_accuracy or 0.0
        self.curve.append(accuracy)
        store.note(self.number, "curve", self.curve)
        if goals == 1:
            store.storage.set_trial_intermediate_value(store.trial_id(self.number), record.epoch, accuracy)
        others = [trial.user_attrs.get("curve", []) for trial in trials if trial.number != self.number]
        reason = verdict(record, others, self.job.config.stop, goals=goals)
        if reason:
            raise Stopped(reason)
