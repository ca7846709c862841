"""A tune from its plan to its page. The steps, in order, are :func:`tune`; started again, it goes on."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from leanspike import data as data_sets
from leanspike.core.errors import StudyError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import require, to_dict
from leanspike.data import Dataset
from leanspike.measure.records import Study, save
from leanspike.study.deploy import PROGRAM
from leanspike.study.monitor import Monitor
from leanspike.study.processes import train_all
from leanspike.study.queue import is_over, trial_folder
from leanspike.study.run import PAGE, check_folder, plan
from leanspike.study.storage import OPEN, in_reach, open_store, sqlite_url
from leanspike.study.trial import build_network
from leanspike.tune.config import TuneConfig
from leanspike.tune.results import collect
from leanspike.tune.trial import TuneJob
from leanspike.tune.winners import measure_winners

RESERVED = 0.08, 20.0  # share of the time, and seconds at least, for testing the winners and the page


def tune(
    config: TuneConfig,
    out: Path,
    *,
    trials: int = 50,
    minutes: float | None = None,
    workers: int = 1,
    storage: str | None = None,
    command: str = "",
    data: Dataset | None = None,
) -> Study:
    """Run, or go on with, a tune; write ``out/results.json``, ``out/report.html`` and the chosen ``out/program.lsp``.

    Args:
        trials: how many in all; more than before continue it.
        minutes: stop training in time to be done after so many minutes from now; begun trials stay and may go on.
        workers: processes that train at the same time on this machine; 1 with ``data``, in this process.
        storage: address of the PostgreSQL database that several machines share; ``out/study.db`` without.
        command: what a person types to run it again.
        data: a data set of your own instead of ``config.run.dataset``.

    Raises:
        ConfigError, DataError, EncodingError: settings that do not fit each other or the data.
        StudyError: the storage cannot be used, ``out`` holds something else, or no trial finished.
        OutputError: ``out`` cannot be written.
    """
    require(workers >= 1, "--workers", workers, "a whole number from 1 up")
    require(trials >= 1, "--trials", trials, "a whole number from 1 up")
    require(minutes is None or minutes > 0, "--minutes", minutes, "a number above 0")
    known, started = data_sets.whole_samples(data or data_sets.load(config.run.dataset)), time.time()
    config.check(known.shape)
    for point in config.corners():
        build_network(config.run_at(point), known, ann=False)
    check_folder(out, config.hash, to_dict(config))
    store = open_store(storage, config) if storage else None
    make_folder(out)
    url = storage or sqlite_url(out)
    deadline = None if minutes is None else started + training_seconds(minutes)
    job = TuneJob(config, known, store or open_store(url, config), out, deadline)
    write_json(out / PAGE, {"config_hash": config.hash, "config": to_dict(config)})
    with in_reach(url):
        _train(job, url, trials, 0 if data is not None else workers)
        measure_winners(job)
        study = collect(job, command, None if is_over(deadline) else trials)
    save(study, out)
    _hand_over(study, out)
    from leanspike.report import build as build_report  # here: workers need no plotting

    build_report(out)
    _report_nothing(job, study)
    return study


def training_seconds(minutes: float) -> float:
    """Of ``minutes``, what trials may use: all but what the end needs, at least half."""
    share, least = RESERVED
    return 60 * minutes - min(30 * minutes, max(60 * minutes * share, least))


def _train(job: TuneJob, url: str, trials: int, workers: int) -> None:
    plan(job.store, lambda: job.store.add("tune", [{"place": i} for i in range(trials)]))
    order = {"config": to_dict(job.config), "out": str(job.folder), "url": url, "deadline": job.deadline}
    with Monitor(job.store, job.config.steps):
        train_all(job, order, workers, "leanspike.tune")


def _hand_over(study: Study, out: Path) -> None:
    """Copy the chosen program beside the page, if it lies on this machine."""
    if study.chosen is not None:
        program = trial_folder(out, study.chosen) / PROGRAM
        if program.exists():
            shutil.copyfile(program, out / PROGRAM)


def _report_nothing(job: TuneJob, study: Study) -> None:
    """A point that fails or is stopped is an answer; a tune without any finished trial is an error."""
    if study.chosen is not None:
        return
    ended = [trial for trial in job.store.trials() if trial.state not in OPEN]
    reasons = [t.user_attrs.get("error") or t.user_attrs.get("record", {}).get("stopped") for t in ended]
    told = f"; the first one: {reasons[0]}" if reasons else ""
    remedy = "give it more time or trials, or another --search"
    raise StudyError(f"no trial finished ({len(ended)} failed or were stopped{told})", where=job.folder, remedy=remedy)
