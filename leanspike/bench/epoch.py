"""A whole MNIST epoch with rate coding: our training loop, and the loop a user of each peer would write.

All learn by the cross-entropy of spike counts.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import time
from typing import Any

import numpy as np
import torch

from leanspike.bench.candidates import Stepper
from leanspike.bench.workloads import Workload
from leanspike.data import TrainingData, load
from leanspike.encode import EncoderConfig
from leanspike.models import ModelConfig
from leanspike.train import RunConfig, TrainConfig, fit


@functools.cache
def training(samples: int | None) -> TrainingData:
    """MNIST's training set, or its first ``samples``.

    Raises:
        DataError: MNIST is neither here nor to be fetched.
    """
    whole = load("mnist").training_only()
    return dataclasses.replace(whole, x=whole.x[:samples], y=whole.y[:samples])


def seconds(stepper: Stepper, family: str, work: Workload, samples: int | None) -> float:
    """Seconds of one epoch. The peers leave the last, smaller batch out, so that nothing is compiled twice."""
    data = training(samples)
    if family == "ours":
        train = TrainConfig(epochs=1, batch_size=work.batch, validation=0.0, label_smoothing=0.0)
        model, encoder = ModelConfig(readout="count"), EncoderConfig(kind="rate")
        config = RunConfig("mnist", work.timesteps, encoder=encoder, model=model, train=train)
        return fit(config, data).seconds
    start = time.perf_counter()
    (_jax if family == "jax" else _torch)(stepper, work, data)
    return time.perf_counter() - start


def _torch(stepper: Stepper, work: Workload, data: TrainingData) -> None:
    x, y = torch.from_numpy(data.x).flatten(1), torch.from_numpy(data.y)
    order = torch.randperm(len(y))
    for step in range(len(order) // work.batch):
        chosen = order[step * work.batch : (step + 1) * work.batch]
        p = x[chosen].float() / 255
        stepper.step(((torch.rand(work.timesteps, *p.shape) < p).float(), y[chosen]))


def _jax(stepper: Stepper, work: Workload, data: TrainingData) -> None:
    jax: Any = importlib.import_module("jax")

    def code(key: Any, values: Any) -> Any:
        p = values.astype("float32") / 255
        return (jax.random.uniform(key, (work.timesteps, *p.shape)) < p).astype("float32")

    coded = jax.jit(code)
    x, order = data.x.reshape(len(data.x), -1), np.random.default_rng(0).permutation(len(data.y))
    for step in range(len(order) // work.batch):
        chosen = order[step * work.batch : (step + 1) * work.batch]
        stepper.step((coded(jax.random.key(step), x[chosen]), data.y[chosen]))
