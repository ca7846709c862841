"""The network of a run: built from its configuration, stored when the run is done, loaded again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from leanspike import models
from leanspike.core.records import from_dict
from leanspike.encode import encoded_shape
from leanspike.nn import Network
from leanspike.train.checkpoint import Checkpoint, read, write
from leanspike.train.config import RunConfig
from leanspike.train.state import load_weights

PAGE, FILE = "network.json", "network.safetensors"


def build_network(config: RunConfig, shape: tuple[int, ...], classes: int) -> Network:
    """The configured network for samples of ``shape``, initialised from torch's random state."""
    encoded = encoded_shape(shape, config.encoder, config.timesteps)
    return models.build(config.model, config.neuron, encoded, classes, config.timesteps)


def store_network(folder: Path, network: nn.Module, facts: Mapping[str, Any], best_epoch: int) -> None:
    """Write the weights as ``network.safetensors``, with a page beside that says what they are.

    Raises:
        OutputError: disk full or read-only.
    """
    told = {"dataset": facts["config"]["dataset"], "best_epoch": best_epoch}
    write(folder, PAGE, FILE, Checkpoint(network.state_dict(), dict(facts)), **told)


def load_network(folder: Path, network: nn.Module | None = None) -> tuple[RunConfig, nn.Module]:
    """The configuration and the trained network of a finished run.

    Args:
        network: your own, which takes the weights; else the configured one is built.

    Raises:
        CheckpointError: no finished run, a damaged file, or the weights of another network.
    """
    found = read(folder, PAGE)
    config, data = from_dict(RunConfig, found.facts["config"]), found.facts["data"]
    if network is None:
        with torch.random.fork_rng(devices=[]):
            network = build_network(config, tuple(data["shape"]), len(data["classes"]))
    load_weights(network, found.tensors, folder)
    return config, network.eval()
