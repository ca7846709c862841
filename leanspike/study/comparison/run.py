"""A comparison from its plan to its page; started again, it goes on, and a trial that was under way starts anew."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from leanspike import __version__
from leanspike import data as data_sets
from leanspike.core.errors import ConfigError, StudyError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import require, to_dict
from leanspike.data.logmel import operations
from leanspike.data.sounds import FRONT_END
from leanspike.measure.records import SCHEMA, Study, parse, save
from leanspike.study.comparison import neighbour
from leanspike.study.comparison.config import NEIGHBOUR, ComparisonConfig
from leanspike.study.comparison.job import ComparisonJob, winners
from leanspike.study.comparison.timing import latency_of, measure_latencies
from leanspike.study.monitor import Monitor
from leanspike.study.processes import train_all
from leanspike.study.results import machine
from leanspike.study.run import PAGE, check_folder, plan
from leanspike.study.storage import in_reach, open_store, sqlite_url

SPLIT = (
    "settings were chosen on {held:.0%} of each training set, held out once; the figures are of networks trained on "
    "the whole training set, after their last update; the test set was evaluated once a figure and chose nothing"
)


def run(
    config: ComparisonConfig, out: Path, *, workers: int = 1, storage: str | None = None, command: str = ""
) -> Study:
    """Run, or go on with, a comparison, and write ``out/results.json`` and ``out/report.html``.

    Args:
        workers: processes that train at the same time on this machine; 0 trains in this process.
        storage: address of the PostgreSQL database that several machines share; ``out/study.db`` without.
        command: what a person types to run it again.

    Raises:
        ConfigError, DataError: settings that do not fit each other or the data. MissingTool: DTW's library.
        StudyError: the storage cannot be used, ``out`` holds another study, or trials failed.
        OutputError: ``out`` cannot be written.
    """
    require(workers >= 0, "--workers", workers, "a whole number from 1 up")
    _check(config)
    check_folder(out, config.hash, to_dict(config))
    make_folder(out)
    url = storage or sqlite_url(out)
    job = ComparisonJob(config, open_store(url, config), out)
    write_json(out / PAGE, {"config_hash": config.hash, "config": to_dict(config)})
    order = {"config": to_dict(config), "out": str(out), "url": url}
    with in_reach(url):
        with Monitor(job.store, (config.steps,)):
            plan(job.store, lambda: job.store.add("search", config.tuning_points()))
            train_all(job, order, workers, "leanspike.study.comparison")
            plan(job.store, lambda: job.store.add("chosen", winners(job)))
            train_all(job, order, workers, "leanspike.study.comparison")
        measure_latencies(job)
        study = collect(job, command)
    save(study, out)
    from leanspike.report import build  # here: workers need no plotting

    build(out)
    failed = [trial for trial in job.store.trials([TrialState.FAIL]) if trial.user_attrs["kind"] == "chosen"]
    if failed:
        told = failed[0].user_attrs
        what = f"{len(failed)} trials failed, the first one at {told['parameters']} with: {told.get('error')}"
        raise StudyError(what, remedy="the others are in results.json; change the setting and choose another --out")
    return study


def _check(config: ComparisonConfig) -> None:
    """Every set is one of series, and every tool is here, before anything is trained."""
    if NEIGHBOUR in config.models:
        neighbour.library()
    for name in config.datasets:
        found = data_sets.load(name)
        if found.kind != "series":
            remedy = "leave --models out, or name sets of series (leanspike data list)"
            raise ConfigError(f"holds samples of kind {found.kind}, not series", where=name, remedy=remedy)


def _front_end(config: ComparisonConfig) -> str:
    """Of spoken digits, what their front end takes: no model's figures hold it."""
    if not any(name.startswith("fsdd") for name in config.datasets):
        return ""
    done = operations(FRONT_END, 8000)
    told = (
        "the front end of the spoken digits (log-mel, the same for every model) is in none of these figures: it takes"
    )
    return f"; {told} {done.macs:,} MACs, {done.adds:,} additions and {done.logs:,} logarithms a recording"


def collect(job: ComparisonJob, command: str) -> Study:
    """The comparison with every finished trial: figures first, in the order of sets and models, then the tuning."""
    finished = [t for t in job.store.trials([TrialState.COMPLETE]) if "record" in t.user_attrs]
    config = job.config
    study = {
        "dataset": ", ".join(config.datasets),
        "configuration": {**to_dict(config), "kind": "comparison"},
        "config_hash": config.hash,
        "command": command,
        "split": SPLIT.format(held=config.run.train.validation) + _front_end(config),
        "machine": machine(),
        "planned": len(job.store.trials()),
    }
    order = {name: i for i, name in enumerate((*config.datasets, *config.models))}

    def place(trial: FrozenTrial) -> tuple[bool, int, int, int]:
        point = trial.user_attrs["parameters"]
        tuning = trial.user_attrs["kind"] == "search"
        return tuning, order[point["dataset"]], order[point["model"]], trial.number

    records = []
    for trial in sorted(finished, key=place):
        latency = latency_of(job, trial.number)
        told = None if latency is None else dataclasses.asdict(latency)
        records.append({**trial.user_attrs["record"], "latency_us": told, "number": trial.number})
    created = job.store.study.user_attrs["created"]
    return parse({"schema": SCHEMA, "leanspike": __version__, "created": created, "study": study, "trials": records})
