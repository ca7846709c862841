"""Training of a detector that survives kill -9 and resumes to the same weights: order and steps follow from the seed.

FOLDER/checkpoint.json, ...      after every epoch and every minute; see :mod:`leanspike.train.checkpoint`
FOLDER/network.json, .safetensors   the weights of the epoch with the highest mAP on the validation windows
"""

from __future__ import annotations

import math
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leanspike.compress import is_quantised
from leanspike.core.errors import Diverged
from leanspike.core.files import make_folder
from leanspike.core.records import from_dict, to_dict
from leanspike.core.rng import derive
from leanspike.detect.coco import measured
from leanspike.detect.config import DetectConfig, TrainConfig
from leanspike.detect.decode import detections
from leanspike.detect.evaluate import batch_of, float_scores, head_of
from leanspike.detect.loss import Grid, detection_loss
from leanspike.detect.model import BOX
from leanspike.detect.windows import Samples
from leanspike.nn import Network, readout
from leanspike.nn.bounds import hold
from leanspike.train import Progress
from leanspike.train import checkpoint as checkpoints
from leanspike.train.batches import Draw
from leanspike.train.checkpoint import Checkpoint
from leanspike.train.networks import FILE, PAGE
from leanspike.train.state import check_same_run, load_weights, part


@dataclass(frozen=True)
class Epoch:
    """One line of a training's history: mean loss, mAP and AP50 on the validation windows without a vote, seconds."""

    epoch: int
    loss: float
    map: float
    ap50: float
    seconds: float

    def line(self, epochs: int) -> str:
        """For a person to read."""
        told = f"loss {self.loss:.4f}  validation mAP {self.map:.3f}  AP50 {self.ap50:.3f}"
        return f"epoch {self.epoch}/{epochs}  {told}  {self.seconds:.0f} s"


@dataclass(frozen=True)
class Fitted:
    """A trained detector, with the weights of the best epoch (counted from 1)."""

    network: Network
    history: tuple[Epoch, ...]
    best_epoch: int


@dataclass(frozen=True, eq=False)
class Windows:
    """What a training sees."""

    training: Samples
    validation: Samples
    classes: int


@dataclass
class _State:
    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0


@dataclass
class _Run:
    network: Network
    windows: Windows
    config: DetectConfig
    settings: TrainConfig
    optimizer: torch.optim.Optimizer
    grid: Grid
    targets: tuple[Tensor, Tensor]
    facts: dict[str, Any]
    out: Path | None
    progress: Progress
    checkpoint_seconds: float


def fit(
    network: Network,
    windows: Windows,
    config: DetectConfig,
    settings: TrainConfig,
    out: Path | None = None,
    *,
    progress: Progress | None = None,
    checkpoint_seconds: float = 60.0,
) -> Fitted:
    """Train a detector, float or quantised, or go on where a training in ``out`` was cut off.

    Args:
        network: it is changed.
        settings: ``config.train``, or that of the fine-tuning.
        out: folder of the checkpoints and at last of the network; None writes nothing.

    Raises:
        Diverged: a loss that is not finite. CheckpointError: ``out`` holds another run, or damaged checkpoints alone.
        OutputError: ``out`` cannot be written. MissingTool: pycocotools is not installed.
    """
    head = head_of(config.model, windows.training, windows.classes)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    run = _Run(
        network=network,
        windows=windows,
        config=config,
        settings=settings,
        optimizer=optimizer,
        grid=Grid.of(head.rows, head.columns, head.stride, head.anchor),
        targets=_targets(windows.training),
        facts={"config": _asked(network, config, settings), "data": _digests(windows)},
        out=out,
        progress=progress or Progress(),
        checkpoint_seconds=checkpoint_seconds,
    )
    state = _resumed(run)
    with run.progress:
        while state.epoch < settings.epochs:
            _train_epoch(run, state)
    load_weights(network, state.best, out)
    if out:
        facts = {**run.facts, "history": [to_dict(record) for record in state.history]}
        checkpoints.write(out, PAGE, FILE, Checkpoint(network.state_dict(), facts), best_epoch=state.best_epoch)
    return Fitted(network.eval(), tuple(state.history), state.best_epoch)


def _train_epoch(run: _Run, state: _State) -> None:
    settings = run.settings
    draws = torch.Generator().manual_seed(derive(run.config.seed, Draw.ORDER, state.epoch))
    order = torch.randperm(len(run.windows.training), generator=draws)
    order = order[: settings.windows] if settings.windows else order
    batches = order.split(settings.batch_size)
    run.progress.begin(state.epoch + 1, settings.epochs, len(batches), state.step)
    run.network.train()
    started = saved = time.monotonic()
    for step in range(state.step, len(batches)):
        position = state.epoch * len(batches) + step
        state.loss += _train_step(run, batches[step], position, len(batches)) * len(batches[step])
        state.step = step + 1
        run.progress.step()
        if time.monotonic() - saved >= run.checkpoint_seconds and state.step < len(batches):
            saved = time.monotonic()
            state.seconds, started = state.seconds + saved - started, saved
            _save(run, state)
    _close(run, state, state.loss / len(order), started)


def _train_step(run: _Run, chosen: Tensor, position: int, steps: int) -> float:
    settings = run.settings
    x = batch_of(run.windows.training, chosen.numpy())
    scores = readout(run.network(x), run.network.readout).float()
    z = scores.unflatten(1, (len(run.grid.centres), BOX + run.windows.classes))
    boxes, labels = (target[chosen] for target in run.targets)
    loss = detection_loss(z, run.grid, boxes, labels, run.config.loss)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if settings.clip_norm:
        torch.nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(settings, position, steps)
    run.optimizer.step()
    hold(run.network)
    return float(loss.detach())


def learning_rate(settings: TrainConfig, position: int, steps: int) -> float:
    """Of the step after ``position`` steps, where an epoch has ``steps``: cosines to 0, times the warm-up's share."""
    cycle = settings.epochs * steps / settings.cycles
    done = position % cycle / cycle
    rise = min(1.0, (position + 1) / settings.warm_up) if settings.warm_up else 1.0
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done)) * rise


def _close(run: _Run, state: _State, loss: float, started: float) -> None:
    if not math.isfinite(loss):
        what = f"the loss is {loss} in epoch {state.epoch + 1}"
        raise Diverged(what, where="train.learning_rate", remedy="lower it")
    windows, config = run.windows, run.config
    scores = float_scores(run.network, windows.validation)
    head = head_of(config.model, windows.validation, windows.classes)
    found = detections(scores, 1.0, head, replace(config.decode, vote=0.0))
    quality = measured(found, windows.validation.boxes, windows.classes)
    state.epoch, state.step, state.loss = state.epoch + 1, 0, 0.0
    seconds, state.seconds = state.seconds + time.monotonic() - started, 0.0
    record = Epoch(state.epoch, loss, quality.map, quality.ap50, seconds)
    state.history.append(record)
    if not state.best_epoch or record.map > state.history[state.best_epoch - 1].map:
        state.best_epoch = state.epoch
        state.best = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
    _save(run, state)
    run.progress.say(record.line(run.settings.epochs))


def _targets(samples: Samples) -> tuple[Tensor, Tensor]:
    """Centres and sides ``[N, n, 4]`` and labels ``[N, n]``, filled up with boxes without width."""
    most = max(map(len, samples.boxes), default=0)
    boxes, labels = torch.zeros(len(samples), most, 4), torch.zeros(len(samples), most, dtype=torch.int64)
    for i, own in enumerate(samples.boxes):
        low, high = own.corners[:, :2], own.corners[:, 2:]
        boxes[i, : len(own)] = torch.from_numpy(np.concatenate([(low + high) / 2, high - low], axis=1)).float()
        labels[i, : len(own)] = torch.from_numpy(own.labels)
    return boxes, labels


def _asked(network: Network, config: DetectConfig, settings: TrainConfig) -> dict[str, Any]:
    """The settings that this training depends on: of the weights' bits only where there are some."""
    own = {key: value for key, value in to_dict(config).items() if key not in ("train", "lean")}
    bits = to_dict(config.lean.weights) if is_quantised(network) else {}
    return {**own, "train": to_dict(settings), "weights": bits}


def _digests(windows: Windows) -> dict[str, Any]:
    return {name: _digest(getattr(windows, name)) for name in ("training", "validation")}


def _digest(samples: Samples) -> str:
    found = zlib.crc32(samples.packed.data)
    for boxes in samples.boxes:
        found = zlib.crc32(boxes.labels.tobytes(), zlib.crc32(boxes.corners.tobytes(), found))
    return f"{found:08x}"


def _save(run: _Run, state: _State) -> None:
    if run.out is None:
        return
    tensors = {f"network.{name}": tensor for name, tensor in run.network.state_dict().items()}
    tensors |= {f"best.{name}": tensor for name, tensor in state.best.items()}
    for i, memory in run.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{name}": value for name, value in memory.items()}
    sums = {key: getattr(state, key) for key in ("epoch", "step", "loss", "seconds", "best_epoch")}
    history = [to_dict(record) for record in state.history]
    checkpoints.save(run.out, Checkpoint(tensors, {**run.facts, **sums, "history": history}), state.epoch, state.step)


def _resumed(run: _Run) -> _State:
    """Where a training in the folder stands, its tensors put in place; else the beginning."""
    if run.out is None:
        return _State()
    found, warning = checkpoints.load(make_folder(run.out))
    if warning:
        run.progress.say(f"leanspike: warning: {warning}")
        checkpoints.promote_previous(run.out)
    if found is None:
        return _State()
    check_same_run(found, run.facts, run.out)
    load_weights(run.network, part(found, "network."), run.out)
    memory: dict[int, dict[str, Tensor]] = {}
    for name, tensor in part(found, "optimizer.").items():
        index, key = name.split(".", 1)
        memory.setdefault(int(index), {})[key] = tensor
    groups = run.optimizer.state_dict()["param_groups"]
    run.optimizer.load_state_dict({"state": memory, "param_groups": groups})
    facts: Mapping[str, Any] = found.facts
    history = [from_dict(Epoch, record) for record in facts["history"]]
    kept = {key: facts[key] for key in ("epoch", "step", "loss", "seconds", "best_epoch")}
    return _State(**kept, history=history, best=dict(part(found, "best.")))
