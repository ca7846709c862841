"""The trials of a comparison: a setting of the tuning, a figure of a chosen setting, or 1-NN DTW as a whole."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial, TrialState
from torch import nn

from leanspike import data as data_sets
from leanspike import ir, train
from leanspike.core.errors import StudyError
from leanspike.core.files import make_folder
from leanspike.core.records import content_hash, to_dict
from leanspike.data import Dataset
from leanspike.data.base import as_unit
from leanspike.ir.samples import resampled
from leanspike.lower.runs import lower_network
from leanspike.measure import rivals
from leanspike.measure.energy import energies
from leanspike.measure.overhead import executed
from leanspike.measure.program import measure
from leanspike.measure.quality import correct, wilson
from leanspike.measure.records import TrialRecord
from leanspike.measure.tally import tally
from leanspike.models.sequence import SequenceNetwork
from leanspike.nn import Network
from leanspike.study.comparison import neighbour, networks
from leanspike.study.comparison.config import NEIGHBOUR, ComparisonConfig
from leanspike.study.config import Point
from leanspike.study.deploy import PROGRAM
from leanspike.study.queue import Outcome, Pulse, trial_folder
from leanspike.study.storage import Store
from leanspike.study.trial import versions
from leanspike.train import RunConfig, TrainResult

ACCOUNTED = 64
"""Test samples on which the memory traffic of a program is counted."""


@dataclass(frozen=True)
class ComparisonJob:
    """All that a worker needs; a :class:`leanspike.study.queue.Queue`."""

    config: ComparisonConfig
    store: Store
    folder: Path
    deadline: float | None = None
    loaded: dict[str, Dataset] = field(default_factory=dict)

    def data(self, name: str) -> Dataset:
        """A set, loaded once; one at a time is kept."""
        if name not in self.loaded:
            self.loaded.clear()
            self.loaded[name] = data_sets.load(name)
        return self.loaded[name]

    def steps(self, data: Dataset) -> int:
        """T."""
        return min(data.shape[1], self.config.steps)

    def train(self, frozen: FrozenTrial, pulse: Pulse) -> Outcome:
        """Train, and test unless it tunes.

        Raises:
            ConfigError, DataError, EncodingError: its point cannot be trained.
            LoweringError, ProgramError: its network cannot become a program.
        """
        point, tuning = frozen.user_attrs["parameters"], frozen.user_attrs["kind"] == "search"
        data = self.data(point["dataset"])
        if point["model"] == NEIGHBOUR:
            return Outcome(self._neighbour(point, data), None)
        run, network = self.network(point, data, tuning=tuning)
        trained = train.fit(run, data.training_only(), network=network, progress=pulse)
        record = self._record(point, run, network, data, trained)
        if tuning:
            last = trained.history[-1]
            assert last.validation_accuracy is not None
            assert last.validation_loss is not None
            goal = last.validation_accuracy - min(last.validation_loss, 99.0) * 1e-6
            return Outcome(dataclasses.replace(record, validation_accuracy=last.validation_accuracy), [goal])
        if isinstance(network, Network):
            folder = make_folder(trial_folder(self.folder, frozen.number))
            return Outcome(spiking_figures(record, network, run, data, folder), None)
        assert isinstance(network, SequenceNetwork)
        return Outcome(rival_figures(record, network, run, data), None)

    def network(self, point: Mapping[str, Any], data: Dataset, *, tuning: bool) -> tuple[RunConfig, nn.Module]:
        """The run and the untrained network of a point."""
        run = self.config.run_at(point, samples=len(data.y_train), steps=self.steps(data), tuning=tuning)
        return networks.build(run, point["model"], self.config.size, data.training_only())

    def _record(
        self, point: Point, run: RunConfig, network: nn.Module, data: Dataset, trained: TrainResult
    ) -> TrialRecord:
        return TrialRecord(
            dataset=data.name,
            model=point["model"],
            encoder=run.encoder.kind if isinstance(network, Network) else "none",
            timesteps=run.timesteps,
            seed=run.seed,
            params=networks.parameters(network),
            train_seconds=trained.seconds,
            epochs=len(trained.history),
            best_epoch=trained.best_epoch,
            config_hash=content_hash(run),
            versions=versions(),
            parameters={**point, **facts_of(data)},
        )

    def _neighbour(self, point: Point, data: Dataset) -> TrialRecord:
        """1-NN DTW, tuned on the training set, measured on the test set."""
        started, steps = time.monotonic(), self.steps(data)
        known, asked = (series(x, steps) for x in (data.x_train, data.x_test))
        best = neighbour.tuned(known, data.y_train)
        right = correct(neighbour.predictions(known, data.y_train, asked, best.window), data.y_test)
        cells, channels, count = neighbour.cells(steps, best.window), data.shape[0], len(known)
        done = rivals.neighbour(cells, channels, count, steps)
        return TrialRecord(
            dataset=data.name,
            model=NEIGHBOUR,
            encoder="none",
            timesteps=steps,
            seed=0,
            accuracy=right / len(data.y_test),
            accuracy_ci95=wilson(right, len(data.y_test)),
            measured_on="floats",
            validation_accuracy=best.validation_accuracy,
            params=0,
            macs=float(cells * channels * count),
            acs=0.0,
            memory_bytes=count * steps * channels,
            energy_nj=energies(done),
            train_seconds=time.monotonic() - started,
            config_hash=content_hash(to_dict(self.config) | dict(point)),
            versions=versions(),
            parameters={**point, "window": best.window, **facts_of(data)},
        )


def facts_of(data: Dataset) -> dict[str, Any]:
    """What a table says of a set."""
    return {"samples": f"{len(data.y_train)} / {len(data.y_test)}", "classes": len(data.classes)}


def series(x: np.ndarray, steps: int) -> neighbour.Floats:
    """``[N, C, T]`` float64 in [0, 1] of samples ``[N, C, L]``."""
    return np.ascontiguousarray(resampled(as_unit(x), steps), dtype=np.float64)


def spiking_figures(record: TrialRecord, network: Network, run: RunConfig, data: Dataset, folder: Path) -> TrialRecord:
    """``record`` with what the network's program does on the test set; the program is written to ``folder``."""
    test = data.test()
    program = lower_network(network, run, data).program
    origin = {"dataset": run.dataset, "config": to_dict(run), "classes": list(data.classes)}
    ir.save(program, folder / PROGRAM, origin)
    raw = ir.raw_samples(program, test.x)
    measured = measure(program, raw, test.y, test.numbers)
    some = np.linspace(0, len(raw) - 1, min(ACCOUNTED, len(raw))).astype(int)
    _, counted = tally(program, raw[some], test.numbers[some])
    return dataclasses.replace(
        record,
        accuracy=measured.accuracy,
        accuracy_ci95=measured.accuracy_ci95,
        float_accuracy=train.evaluate(network, test, run).accuracy,
        measured_on="program",
        spikes_per_sample=measured.spikes_per_sample,
        firing_rate=measured.firing_rate,
        sparsity=measured.sparsity,
        macs=measured.macs,
        acs=measured.acs,
        synapses=measured.footprint.synapses,
        memory_bytes=measured.footprint.array_bytes + measured.footprint.state_bytes,
        energy_nj=energies(executed(program, counted)),
    )


def rival_figures(record: TrialRecord, network: SequenceNetwork, run: RunConfig, data: Dataset) -> TrialRecord:
    """``record`` with what a network without spikes does on the test set, in floats; its operations by count."""
    found, done = train.evaluate(network, data.test(), run), network.multiplications()
    values = network.channels * network.timesteps + network.hidden
    work = rivals.network(done.layers, done.others, record.params or 0, values)
    return dataclasses.replace(
        record,
        accuracy=found.accuracy,
        accuracy_ci95=wilson(found.correct, len(found.labels)),
        float_accuracy=found.accuracy,
        measured_on="floats",
        macs=float(done.macs + done.others),
        acs=0.0,
        memory_bytes=(record.params or 0) + values,
        energy_nj=energies(work),
    )


def winners(job: ComparisonJob) -> list[Point]:
    """The best setting of every set and model, for every seed.

    Raises:
        StudyError: all settings of one failed.
    """
    tuned = [t for t in job.store.trials([TrialState.COMPLETE]) if t.user_attrs["kind"] == "search"]
    points: list[Point] = []
    for dataset in job.config.datasets:
        for model in job.config.models:
            if model == NEIGHBOUR:
                points.append({"dataset": dataset, "model": model, "seed": 0})
                continue
            own = [t for t in tuned if _belongs(t, dataset, model)]
            if not own:
                raise StudyError(f"every setting of {model} failed on {dataset}", remedy="see the trials' errors")
            best = max(own, key=lambda trial: (trial.values[0], -trial.number)).user_attrs["parameters"]
            points += [{**best, "seed": seed} for seed in range(job.config.seeds)]
    return sorted(points, key=lambda point: point["seed"])  # cut short, a comparison has whole rounds of seeds


def _belongs(trial: FrozenTrial, dataset: str, model: str) -> bool:
    point = trial.user_attrs["parameters"]
    return bool(point["dataset"] == dataset and point["model"] == model)
