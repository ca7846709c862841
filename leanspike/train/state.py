"""Where training stands: everything that the rest of a run depends on, as a checkpoint and back."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leanspike.core.errors import CheckpointError
from leanspike.core.records import from_dict, to_dict
from leanspike.data import TrainingData
from leanspike.train.checkpoint import Checkpoint, differences
from leanspike.train.config import TrainConfig
from leanspike.train.constraint import Constraint
from leanspike.train.progress import EpochRecord


@dataclass
class State:
    """The position of a run. Random numbers are functions of (seed, epoch, step), so none are kept.

    Attributes:
        epoch, step: epochs finished, and steps finished in the one under way.
        loss, right: sums over the samples of the epoch under way, float64 scalars on the device.
        history: one record a finished epoch.
        best, best_epoch: the network's tensors after the best epoch so far, counted from 1.
        average: running average of the weights; empty where it is off.
    """

    loss: Tensor
    right: Tensor
    epoch: int = 0
    step: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0
    average: list[Tensor] = field(default_factory=list)

    @staticmethod
    def start(network: nn.Module, config: TrainConfig, device: torch.device) -> State:
        """The state before the first step."""
        average = [weight.detach().clone() for weight in network.parameters()] if config.ema else []
        zero = torch.zeros((), dtype=torch.float64, device=device)
        return State(zero, zero.clone(), average=average)

    def finished(self, config: TrainConfig) -> bool:
        """Whether all epochs are done or too many have passed without a better one."""
        waited = self.epoch - self.best_epoch
        return self.epoch >= config.epochs or bool(config.patience and self.best_epoch and waited >= config.patience)


def facts_of(config: object, data: TrainingData) -> dict[str, Any]:
    """What a checkpoint must agree with: the configuration and the data it was trained on."""
    crc = zlib.crc32(np.ascontiguousarray(data.y).data, zlib.crc32(np.ascontiguousarray(data.x).data))
    shape, classes = list(data.shape), list(data.classes)
    return {"config": to_dict(config), "data": {"crc32": f"{crc:08x}", "shape": shape, "classes": classes}}


def check_same_run(checkpoint: Checkpoint, facts: Mapping[str, Any], folder: Path) -> None:
    """Refuse a checkpoint of another run.

    Raises:
        CheckpointError: naming every setting that differs.
    """
    found = differences({key: checkpoint.facts.get(key, {}) for key in facts}, dict(facts))
    if found:
        what = "holds a run of another configuration: " + ", ".join(line.removeprefix("config.") for line in found)
        raise CheckpointError(what, where=folder, remedy="choose another --out, or repeat that run's settings")


def to_checkpoint(
    state: State,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    constraint: Constraint,
    facts: Mapping[str, Any],
) -> Checkpoint:
    """The state, the weights and masks, and what the optimizer and the constraint remember."""
    tensors = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    tensors |= {f"average.{i}": tensor for i, tensor in enumerate(state.average)}
    tensors |= {f"constraint.{name}": tensor for name, tensor in constraint.remembered().items()}
    tensors |= {"sums.loss": state.loss, "sums.right": state.right}
    for i, memory in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": value for name, value in memory.items() if value is not None}
    position = {"epoch": state.epoch, "step": state.step, "best_epoch": state.best_epoch}
    return Checkpoint(tensors, {**facts, **position, "history": [to_dict(record) for record in state.history]})


def restore(
    checkpoint: Checkpoint,
    state: State,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    constraint: Constraint,
) -> None:
    """Put a checkpoint's content in place; the tensors move to the device of the network.

    Raises:
        CheckpointError: it holds the weights of another network.
    """
    load_weights(network, part(checkpoint, "network."), "the checkpoint")
    device, facts = state.loss.device, checkpoint.facts
    state.loss.copy_(checkpoint.tensors["sums.loss"])
    state.right.copy_(checkpoint.tensors["sums.right"])
    state.epoch, state.step, state.best_epoch = facts["epoch"], facts["step"], facts["best_epoch"]
    state.history = [from_dict(EpochRecord, record) for record in facts["history"]]
    state.best = {name: tensor.to(device) for name, tensor in part(checkpoint, "best.").items()}
    constraint.recall({name: tensor.to(device) for name, tensor in part(checkpoint, "constraint.").items()})
    for i, average in enumerate(state.average):
        average.copy_(checkpoint.tensors[f"average.{i}"])
    memory: dict[int, dict[str, Tensor]] = {}
    for name, tensor in part(checkpoint, "optimizer.").items():
        index, key = name.split(".", 1)
        memory.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})


def part(checkpoint: Checkpoint, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix``, without it."""
    return {name.removeprefix(prefix): x for name, x in checkpoint.tensors.items() if name.startswith(prefix)}


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], where: object) -> None:
    """Copy weights and buffers into ``network``.

    Raises:
        CheckpointError: names or shapes differ.
    """
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        remedy = "build the same network, or choose another --out"
        raise CheckpointError("holds the weights of another network", where=where, remedy=remedy) from error
