"""Studies by several processes: on a real PostgreSQL server, killed with -9, and started twice at once."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from optuna.trial import FrozenTrial, TrialState
from studies import options, study_config, weights
from torch import nn

from leanspike import data
from leanspike.core.errors import StudyError
from leanspike.data import TrainingData
from leanspike.measure.records import load
from leanspike.study import StudyConfig
from leanspike.study.queue import work
from leanspike.study.run import _first_points, plan, run
from leanspike.study.storage import in_reach, open_store, sqlite_url
from leanspike.study.worker import Job

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to find worker processes")


def command(config: StudyConfig, out: Path, workers: int) -> list[str]:
    start = [sys.executable, "-m", "leanspike", "study", "digits"]
    return [*start, *options(config), "--workers", str(workers), "--out", str(out)]


def finished(url: str, config: StudyConfig) -> list[FrozenTrial]:
    return open_store(url, config).trials([TrialState.COMPLETE])


def test_two_workers_on_postgresql_never_run_the_same_trial(postgresql: str, tmp_path: Path) -> None:
    config = study_config(timesteps=[1, 2], seeds=4)
    found = run(config, tmp_path, workers=2, storage=postgresql)
    trials = finished(postgresql, config)
    assert len(found.trials) == len(trials) == 8
    assert {(trial.timesteps, trial.seed) for trial in found.trials} == {(t, s) for t in (1, 2) for s in range(4)}
    claims = [trial.user_attrs["claimed_by"] for trial in trials]
    assert all(len(claim) == 1 for claim in claims)
    assert len({claim[0] for claim in claims}) == 2
    assert not (tmp_path / "study.db").exists()


def test_the_records_of_one_machine_reach_the_other(postgresql: str, tmp_path: Path) -> None:
    config = study_config(timesteps=[3], seeds=2)
    one, digits = tmp_path / "one", data.load("digits")
    first = run(config, one, storage=postgresql, data=digits)
    second = run(config, tmp_path / "two", storage=postgresql, data=digits)
    assert [dataclasses.replace(trial, details=None) for trial in first.trials] == list(second.trials)
    assert weights(tmp_path / "two") == {}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_many_that_plan_at_once_add_each_point_once(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = sqlite_url(tmp_path) if kind == "sqlite" else request.getfixturevalue("postgresql")
    config, digits, gate = (
        study_config(timesteps=[1, 2, 5], seeds=3, ann=True),
        data.load("digits"),
        threading.Barrier(5),
    )
    errors: list[BaseException] = []

    def start() -> None:
        gate.wait()
        try:
            job = Job(config, digits, open_store(url, config), tmp_path)
            plan(job.store, lambda: _first_points(job))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    points = [trial.user_attrs["point"] for trial in open_store(url, config).trials()]
    assert len(points) == len(set(points)) == 12


def test_the_same_study_started_twice_at_once(tmp_path: Path) -> None:
    config, out = study_config(timesteps=[1], seeds=2), tmp_path / "study"
    both = [
        subprocess.Popen(command(config, out, 1), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    trials = finished(sqlite_url(out), config)
    assert len(trials) == 2
    assert all(len(trial.user_attrs["claimed_by"]) == 1 for trial in trials)
    assert len(load(out).trials) == 2


@needs_proc
def test_killed_workers_and_starters_lose_nothing(tmp_path: Path) -> None:
    config = study_config(timesteps=[8], seeds=1, run={"train": {"epochs": 60}})
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    starter = _start_and_wait_for_checkpoint(config, killed)
    (worker,) = _children(starter.pid)
    os.kill(worker, signal.SIGKILL)
    _, said = starter.communicate(timeout=60)
    assert starter.returncode == 2
    assert "exit codes -9" in said
    assert "start the same command again" in said.strip().splitlines()[-1]
    first = _epochs_done(killed)
    assert weights(killed) == {}

    starter = _start_and_wait_for_checkpoint(config, killed, after=first)
    (worker,) = _children(starter.pid)
    starter.kill()
    starter.communicate()
    _wait(lambda: not Path(f"/proc/{worker}").exists())  # a worker ends with its starter
    assert first < _epochs_done(killed) < 60
    assert weights(killed) == {}

    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // 2))  # as each of two workers has
    for folder in (killed, whole):
        run(config, folder, data=data.load("digits"))
    torch.set_num_threads(threads)
    assert weights(killed) == weights(whole) != {}
    assert load(killed).trials[0].accuracy == load(whole).trials[0].accuracy
    (trial,) = finished(sqlite_url(killed), config)
    assert len(trial.user_attrs["claimed_by"]) == 3


def _start_and_wait_for_checkpoint(config: StudyConfig, out: Path, after: int = 0) -> subprocess.Popen[str]:
    starter = subprocess.Popen(command(config, out, 2), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    _wait(lambda: _epochs_done(out) > after)
    return starter


def _epochs_done(out: Path) -> int:
    page = out / "trials" / "000" / "checkpoint.json"
    return int(json.loads(page.read_text())["epoch"]) if page.exists() else 0


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _wait(until: object) -> None:
    assert callable(until)
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_storage_that_fails_half_way_is_said_in_one_line(tmp_path: Path) -> None:
    config = study_config(timesteps=[1], seeds=1)

    def cut(_: object, training: TrainingData) -> nn.Module:
        with sqlite3.connect(tmp_path / "study.db") as connection:
            connection.execute("ALTER TABLE leanspike_leases RENAME TO gone")
        connection.close()
        return nn.Sequential(nn.Flatten(), nn.Linear(64, len(training.classes)))

    job = Job(config, data.load("digits"), open_store(sqlite_url(tmp_path), config), tmp_path, cut)
    plan(job.store, lambda: _first_points(job))
    with pytest.raises(StudyError, match=r"storage cannot be used.*start the same command again"):
        in_reach("sqlite://")(work)(job)
