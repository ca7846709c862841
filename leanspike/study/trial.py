"""One trial: train, then look at the test set once, and measure everything but the latency.

The latency is left out because other workers load the machine now; :mod:`leanspike.study.timing` measures it later.
"""

from __future__ import annotations

import dataclasses
import math
import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch
from torch import nn

from leanspike import __version__, models, train
from leanspike.core.files import write_json
from leanspike.core.records import content_hash, to_dict
from leanspike.data import Dataset, TrainingData, split
from leanspike.encode import encoded_shape
from leanspike.measure.activity import LayerActivity, firing_rates, sparsity, spikes_per_sample
from leanspike.measure.exits import anytime, exit_curve
from leanspike.measure.quality import confusion, wilson
from leanspike.measure.records import TrialRecord
from leanspike.nn import Network
from leanspike.study.deploy import lowered, program_record
from leanspike.study.details import connections, layer_names, write_details
from leanspike.train import Evaluation, RunConfig, TrainResult

Build = Callable[[RunConfig, TrainingData], nn.Module]  # a user's own network for a run and its data
DETAILS = "details.npz"
RECORD = "record.json"


def build_network(config: RunConfig, data: Dataset, *, ann: bool, own: Build | None = None) -> nn.Module:
    """A trial's network, its same-size ANN, or the user's own; initialised from the run's seed.

    Raises:
        ConfigError, EncodingError: the model or the encoder does not suit the data.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if ann:
            return models.build_ann(config.model, data.shape, len(data.classes))
        if own is not None:
            return own(config, data.training_only())
        shape = encoded_shape(data.shape, config.encoder, config.timesteps)
        return models.build(config.model, config.neuron, shape, len(data.classes), config.timesteps)


def test_trial(
    config: RunConfig, data: Dataset, trained: TrainResult, record: TrialRecord, folder: Path
) -> TrialRecord:
    """Evaluate on the test set, once, and measure; writes details of a few samples beside the weights.

    Args:
        record: of :func:`trained_record`.
        folder: ``DIR/trials/NNN``.
    """
    network, test = trained.network, data.test()
    found = lowered(network, config, data) if isinstance(network, Network) else None
    floats = train.evaluate(network, test, config, steps=found is None, operations=found is None)
    record = dataclasses.replace(record, float_accuracy=floats.accuracy)
    predictions = floats.predictions
    if found is None:
        record = float_record(record, floats, network, len(data.classes))
    else:
        assert isinstance(network, Network)
        record, measured = program_record(record, found, network, config, test, data.classes, folder)
        predictions = measured.predictions
    if isinstance(network, Network):
        write_details(folder / DETAILS, network, test, predictions, config)
        record = dataclasses.replace(record, details=f"trials/{folder.name}/{DETAILS}")
    write_json(folder / RECORD, to_dict(record))
    return record


def float_record(record: TrialRecord, found: Evaluation, network: nn.Module, classes: int) -> TrialRecord:
    """``record`` of a network that has no program: an artificial one, or one with layers of the user's own."""
    lo, hi = wilson(found.correct, len(found.labels))
    record = dataclasses.replace(
        record,
        measured_on="floats",
        accuracy=found.accuracy,
        accuracy_ci95=(lo, hi),
        confusion=tuple(map(tuple, confusion(found.predictions, found.labels, classes).tolist())),
    )
    if isinstance(network, Network):
        return _spiking(record, found, layer_names(network))
    return dataclasses.replace(record, macs=record.synapses, acs=0.0, memory_bytes=4 * (record.params or 0))


def _spiking(record: TrialRecord, found: Evaluation, names: list[str]) -> TrialRecord:
    assert found.step_logits is not None, "evaluate(..., steps=True)"
    layers = [
        LayerActivity(name, rates.size, record.timesteps, spikes)
        for name, rates, spikes in zip(names, found.rates, found.spikes, strict=True)
    ]
    return dataclasses.replace(
        record,
        spikes_per_sample=spikes_per_sample(layers),
        firing_rate=dict(firing_rates(layers)),
        sparsity=sparsity(layers) if layers else None,
        macs=found.macs,
        acs=found.acs,
        anytime=anytime(found.step_logits, found.labels),
        exit_curve=exit_curve(found.step_logits, found.labels),
    )


def trained_record(
    config: RunConfig, data: Dataset, trained: TrainResult, model: str, parameters: Mapping[str, Any]
) -> TrialRecord:
    """What is known of a trained network that has not seen the test set."""
    network, spiking = trained.network, isinstance(trained.network, Network)
    return TrialRecord(
        dataset=data.name,
        model=model,
        encoder=config.encoder.kind if spiking else "none",
        timesteps=config.timesteps if spiking else 0,
        seed=config.seed,
        validation_accuracy=trained.validation_accuracy,
        params=sum(parameter.numel() for parameter in network.parameters()),
        synapses=connections(network, data.x_train[:1], config),
        train_seconds=trained.seconds,
        epochs=len(trained.history),
        best_epoch=trained.best_epoch,
        config_hash=content_hash(config),
        versions=versions(),
        parameters=dict(parameters),
    )


def validation_spikes(config: RunConfig, data: Dataset, trained: TrainResult) -> float:
    """Spikes a sample on the validation split: a search's second goal."""
    _, validation = split(data, config.train.validation, config.seed)
    return sum(train.evaluate(trained.network, validation, config).spikes)


def model_name(network: nn.Module, config: RunConfig, data: Dataset, own: str = "") -> str:
    """``mlp 784-400-10``, ``ann 784-400-10``, ``convnet 1x28x28-32-64-10``, or ``own`` for a user's own network."""
    spiking, dense = isinstance(network, Network), config.model.kind == "mlp"
    if own and spiking:
        return own
    start = str(math.prod(data.shape)) if dense else "x".join(map(str, data.shape))
    inner = config.model.hidden if dense else config.model.channels
    kind = config.model.kind if spiking else "ann"
    return f"{kind} {'-'.join(map(str, [start, *inner, len(data.classes)]))}"


def versions() -> dict[str, str]:
    """What the figures depend on besides the configuration."""
    found = {"leanspike": __version__, "python": platform.python_version()}
    return {**found, "torch": torch.__version__, "numpy": np.__version__, "optuna": optuna.__version__}
