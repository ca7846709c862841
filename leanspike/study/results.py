"""From the study's storage to ``results.json``: records of all machines, in order."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from optuna.trial import FrozenTrial, TrialState

from leanspike import __version__
from leanspike.core.records import to_dict
from leanspike.measure.records import SCHEMA, Study, parse
from leanspike.study.config import StudyConfig
from leanspike.study.timing import THREADS, latency_of
from leanspike.study.worker import Job


def collect(job: Job, command: str) -> Study:
    """The study with every finished trial that the storage holds."""
    finished = [trial for trial in job.store.trials([TrialState.COMPLETE]) if "record" in trial.user_attrs]
    study = {
        "dataset": job.data.name,
        "configuration": to_dict(job.config),
        "config_hash": job.config.hash,
        "command": command,
        "split": split_in_words(job.config),
        "machine": machine(),
        "planned": len(job.store.trials()),
        "classes": list(job.data.classes),
    }
    records = [_record(job, trial) for trial in sorted(finished, key=_order)]
    created = job.store.study.user_attrs["created"]
    return parse({"schema": SCHEMA, "leanspike": __version__, "created": created, "study": study, "trials": records})


def split_in_words(config: StudyConfig) -> str:
    """Which samples trained, chose and tested."""
    share = config.run.train.validation
    held = f"{share:.0%} of the training set, stratified and drawn by the trial's seed, chose the epoch"
    chosen = held if share else "nothing was held out: the last epoch was kept"
    searched = " and, in the search, the settings" if config.search else ""
    return f"{chosen}{searched}; the test set was evaluated once a reported trial, at its end, and chose nothing"


def machine() -> dict[str, Any]:
    """This machine, as far as it explains times."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "latency_threads": THREADS,
    }


def _record(job: Job, trial: FrozenTrial) -> dict[str, Any]:
    record = dict(trial.user_attrs["record"])
    latency = latency_of(job, trial.number)
    record["latency_us"] = None if latency is None else to_dict(latency)
    if record["details"] and not (job.folder / record["details"]).is_file():
        record["details"] = None  # the samples of this trial lie on the machine that trained it
    return record


def _order(trial: FrozenTrial) -> tuple[bool, int, int, int]:
    record = trial.user_attrs["record"]
    return record["timesteps"] == 0, record["timesteps"], record["seed"], trial.number


def _cpu() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
