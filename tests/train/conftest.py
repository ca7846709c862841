"""What the training tests share: real digits, a small run, and the command line as a process."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from training_processes import PROCESSES, Finished, run_leanspike

from leanspike import data
from leanspike.data import Dataset, TrainingData
from leanspike.models import ModelConfig
from leanspike.train import RunConfig, TrainConfig


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


@pytest.fixture
def config() -> RunConfig:
    plain = TrainConfig(epochs=3, learning_rate=5e-3, schedule="none", loss="count", label_smoothing=0.0)
    return RunConfig(timesteps=4, model=ModelConfig(hidden=(32,), readout="count"), train=plain)


@pytest.fixture
def leanspike(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Finished]:
    """Run ``leanspike ARGS`` as a process; ``prepare`` is called in it first (limits, another user)."""

    def command(*args: Any, prepare: Callable[[], None] | None = None) -> Finished:
        folder = tmp_path_factory.mktemp("command")
        process = PROCESSES.Process(target=run_leanspike, args=([str(arg) for arg in args], folder, prepare))
        process.start()
        process.join(120)
        assert process.exitcode is not None, "the command did not end in two minutes"
        return Finished(process.exitcode, (folder / "out").read_text(), (folder / "err").read_text())

    return command
