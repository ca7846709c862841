"""A finished run as a program, and what lowering cost: the same samples through floats and through integers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leanspike import __version__
from leanspike.compress import load as load_run
from leanspike.core.records import content_hash, to_dict
from leanspike.core.rng import derive
from leanspike.data import Dataset, load, split
from leanspike.ir import raw_samples
from leanspike.ir.fast import decisions
from leanspike.lower.config import LowerConfig
from leanspike.lower.lower import Lowered, lower
from leanspike.lower.source import Encoded
from leanspike.nn import Network
from leanspike.train import RunConfig, evaluate
from leanspike.train.batches import Draw

_MOST_SIZES = 8


@dataclass(frozen=True)
class Loss:
    """What lowering cost on the samples that validated the run (all training samples where it held out none).

    Attributes:
        samples: how many; the shares are those of steps that have a label where labels are those of steps.
        float_accuracy, program_accuracy: shares of right decisions.
        same: share of samples on which both decide alike.
    """

    samples: int
    float_accuracy: float
    program_accuracy: float
    same: float


@dataclass(frozen=True)
class LoweredRun:
    """A run's program, the way to it, what it cost, and what it was made from."""

    lowered: Lowered
    loss: Loss
    origin: dict[str, Any]


def lower_run(folder: Path, config: LowerConfig | None = None) -> LoweredRun:
    """The program of a finished run, compressed or not; of its data set, the test samples are not looked at.

    Raises:
        CheckpointError: no finished run. ConfigError: no spiking network. DataError: its data set is not here.
        LoweringError, ProgramError: as :func:`leanspike.lower.lower`.
    """
    found = load_run(folder)
    run, network, dataset = found.run, found.network, load(found.run.dataset)
    config = config or LowerConfig()
    lowered = lower_network(network, run, dataset, config)
    loss = loss_of(lowered, network, run, dataset)
    origin = {
        "leanspike": __version__,
        "dataset": run.dataset,
        "config": to_dict(run),
        "config_hash": content_hash(run),
        "lower": to_dict(config),
        "classes": list(dataset.classes),
        "validation": to_dict(loss),
    }
    return LoweredRun(lowered, loss, origin)


def lower_network(network: Network, run: RunConfig, dataset: Dataset, config: LowerConfig | None = None) -> Lowered:
    """The program of a network that was trained by ``run`` on ``dataset``, checked on its training samples."""
    encoded = Encoded(
        run.encoder,
        dataset.shape,
        run.timesteps,
        derive(run.seed, Draw.ENCODE_EVALUATION),
        exact_bytes=dataset.x_train.dtype == "uint8",
    )
    return lower(network, encoded, config, name=name_of(network, run, dataset))


def name_of(network: Network, run: RunConfig, dataset: Dataset) -> str:
    """``mnist-784-400-10-t5``: data set, sizes of the layers, timesteps; of a deep one ``cifar10-vgg9-t4``."""
    inputs = 1
    for side in dataset.shape:
        inputs *= side
    sizes = [str(size) for size in (inputs, *(layer.channels for layer in network.neurons))]
    if len(sizes) > _MOST_SIZES:
        sizes = [run.model.kind]
    stem = re.sub(r"[^A-Za-z0-9_.+-]+", "-", Path(run.dataset).stem).strip(".+-") or "network"
    return f"{stem[:40]}-{'-'.join(sizes)}-t{run.timesteps}"[:100]


def loss_of(lowered: Lowered, network: Network, run: RunConfig, dataset: Dataset) -> Loss:
    """Run both on the validation samples."""
    training, validation = split(dataset, run.train.validation, run.seed)
    samples = validation if len(validation) else training
    floats = evaluate(network, samples, run)
    raw, known = raw_samples(lowered.program, samples.x), samples.y >= 0
    found = decisions(lowered.program, raw, samples.numbers, samples.y)
    right, same = (float((found == other)[known].mean()) for other in (samples.y, floats.predictions))
    return Loss(len(samples), floats.accuracy, right, same)
