"""A study from its plan to its page. The steps, in order, are :func:`run`; each may be started again, and goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from leanspike import data as data_sets
from leanspike.core.errors import StudyError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import require, to_dict
from leanspike.data import Dataset
from leanspike.measure.pareto import front
from leanspike.measure.records import Study, save
from leanspike.study.config import Point, StudyConfig
from leanspike.study.monitor import Monitor
from leanspike.study.processes import train_all
from leanspike.study.results import collect
from leanspike.study.storage import Store, in_reach, open_store, sqlite_url
from leanspike.study.timing import measure_latencies
from leanspike.study.trial import Build, build_network
from leanspike.study.worker import Job
from leanspike.train.checkpoint import differences

PAGE = "study.json"


def run(
    config: StudyConfig,
    out: Path,
    *,
    workers: int = 1,
    storage: str | None = None,
    command: str = "",
    data: Dataset | None = None,
    build: Build | None = None,
) -> Study:
    """Run, or go on with, a study, and write ``out/results.json`` and ``out/report.html``.

    Args:
        workers: processes that train at the same time on this machine; 1 with ``data`` or ``build``, which then train
            in this process.
        storage: address of the PostgreSQL database that several machines share; ``out/study.db`` without.
        command: what a person types to run it again.
        data: a data set of your own instead of ``config.run.dataset``.
        build: makes your own network from (run, data); ``config.network`` names it.

    Raises:
        ConfigError, DataError: settings that do not fit each other or the data.
        StudyError: the storage cannot be used, ``out`` holds another study, or trials failed.
        OutputError: ``out`` cannot be written.
    """
    require(workers >= 1, "--workers", workers, "a whole number from 1 up")
    require(
        bool(config.network) == bool(build), "network", config.network, "a name where, and only where, build is given"
    )
    known = data_sets.whole_samples(data or data_sets.load(config.run.dataset))
    _check(config, known, build)
    check_folder(out, config.hash, to_dict(config))
    store = open_store(storage, config) if storage else None
    make_folder(out)
    url = storage or sqlite_url(out)
    job = Job(config, known, store or open_store(url, config), out, build)
    write_json(out / PAGE, {"config_hash": config.hash, "config": to_dict(config)})
    with in_reach(url):
        _train(job, url, 0 if data is not None or build is not None else workers)
        measure_latencies(job)
        study = collect(job, command)
    save(study, out)
    from leanspike.report import build as build_report  # here: workers need no plotting

    build_report(out)
    _report_failures(job)
    return study


def _train(job: Job, url: str, workers: int) -> None:
    """Plan and train; a search plans twice."""
    plan(job.store, lambda: _first_points(job))
    order = {"config": to_dict(job.config), "out": str(job.folder), "url": url}
    with Monitor(job.store, job.config.timesteps):
        train_all(job, order, workers)
        if job.config.search:
            plan(job.store, lambda: _add_chosen(job))
            train_all(job, order, workers)


def _check(config: StudyConfig, data: Dataset, build: Build | None) -> None:
    """Build every network of the plan once, so that what cannot work is said before anything is trained."""
    config.check(data.shape)
    for point in config.grid_points() + config.search_corners():
        if point["seed"] == 0:
            build_network(config.run_at(point), data, ann=False, own=build)
            if config.ann:
                build_network(config.run_at(point), data, ann=True)


def check_folder(out: Path, name: str, config: dict[str, Any]) -> None:
    """Whether a folder is free for, or holds, the study of this hash.

    Raises:
        StudyError: it holds another one.
    """
    page = out / PAGE
    if not page.exists():
        return
    remedy = "choose another --out, or remove the folder"
    try:
        found = json.loads(page.read_text(encoding="utf-8"))
        there, known = found["config"], found["config_hash"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError("is damaged: not a study's page", where=page, remedy=remedy) from error
    if known != name:
        changed = differences(there, config)
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise StudyError(f"holds another study ({'; '.join(changed[:3])}{more})", where=out, remedy=remedy)


def plan(store: Store, add: Callable[[], None]) -> None:
    """Add trials, one process after the other: what one has added the next one finds."""
    while not store.leases.acquire("plan"):
        time.sleep(0.1)
    try:
        if "created" not in store.study.user_attrs:
            store.annotate("created", datetime.now(UTC).isoformat(timespec="seconds"))
        add()
    finally:
        store.leases.release("plan")


def _first_points(job: Job) -> None:
    config, points = job.config, job.config.grid_points()
    job.store.add("grid", points)
    job.store.add("ann", config.ann_points(points))
    if config.search:
        job.store.add("search", [{"place": i} for i in range(config.trials)])


def _add_chosen(job: Job) -> None:
    """The search's winners, from every seed: they, and only they, see the test set."""
    seeds = range(job.config.seeds)
    points = [{**point, "seed": seed} for point in chosen(job.store) for seed in seeds]
    job.store.add("chosen", points)
    job.store.add("ann", job.config.ann_points(points))


def chosen(store: Store) -> list[Point]:
    """The points of a search that no other one beats on the validation split.

    Raises:
        StudyError: every trial of the search failed.
    """
    searched = [trial for trial in store.trials([TrialState.COMPLETE]) if trial.user_attrs["kind"] == "search"]
    if not searched:
        _raise_failures(store.trials([TrialState.FAIL]))
    if len(store.study.directions) == 1:
        winners = [max(searched, key=lambda trial: (trial.values[0], -trial.number))]
    else:
        kept = front([trial.values for trial in searched], ("max", "min"))
        winners = [trial for trial, is_kept in zip(searched, kept, strict=True) if is_kept]
    return [trial.user_attrs["record"]["parameters"] for trial in winners]


def _report_failures(job: Job) -> None:
    """In a search a point that cannot be trained is an answer; in a grid it is a hole."""
    failed = [trial for trial in job.store.trials([TrialState.FAIL]) if trial.user_attrs["kind"] != "search"]
    if failed:
        _raise_failures(failed)


def _raise_failures(failed: list[FrozenTrial]) -> None:
    first: dict[str, Any] = failed[0].user_attrs
    what = f"{len(failed)} trials failed, the first one at {first['parameters']} with: {first.get('error')}"
    raise StudyError(what, remedy="the others are in results.json; change the setting and choose another --out")
