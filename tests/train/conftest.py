"""What the training tests share: real digits, a small run, and processes that start in milliseconds."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from leanspike import data
from leanspike.data import Dataset, TrainingData
from leanspike.models import ModelConfig
from leanspike.train import RunConfig, TrainConfig

# Children are forked from a server that has imported torch once; they are real processes with real exit codes.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["leanspike.train", "leanspike.cli.train", "torch"])


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"


@pytest.fixture(scope="session")
def digits() -> Dataset:
    return data.load("digits")


@pytest.fixture(scope="session")
def training(digits: Dataset) -> TrainingData:
    return digits.training_only()


@pytest.fixture()
def config() -> RunConfig:
    return RunConfig(timesteps=4, model=ModelConfig(hidden=(32,)), train=TrainConfig(epochs=3, learning_rate=5e-3))


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def _child(args: list[str], folder: Path, prepare: Callable[[], None] | None) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["leanspike", *args]
    torch.set_num_threads(1)
    if prepare:
        prepare()
    runpy.run_module("leanspike", run_name="__main__")


@pytest.fixture()
def leanspike(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Finished]:
    """Run ``leanspike ARGS`` as a process; ``prepare`` is called in it first (limits, another user)."""

    def command(*args: Any, prepare: Callable[[], None] | None = None) -> Finished:
        folder = tmp_path_factory.mktemp("command")
        process = PROCESSES.Process(target=_child, args=([str(arg) for arg in args], folder, prepare))
        process.start()
        process.join(120)
        assert process.exitcode is not None, "the command did not end in two minutes"
        return Finished(process.exitcode, (folder / "out").read_text(), (folder / "err").read_text())

    return command
