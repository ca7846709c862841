"""Training: batches in, weights out, on Lightning Fabric. Read :func:`fit`, then :func:`_train_epoch`.

Every process takes its share of each batch, cuts it into pieces where the loss allows, and averages gradients with
the others: the step is that of one process with the whole batch. Order, augmentation, spikes and dropout are functions
of (seed, epoch, step), so a run that is killed and resumed ends in the same weights, bit for bit on the same machine
(CUDA kernels that add in no fixed order excepted). The test set is not here: :class:`~leanspike.data.TrainingData`
does not lead to it.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from leanspike.core.errors import Diverged
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import require, to_dict
from leanspike.core.rng import derive
from leanspike.data import Split, TrainingData, split
from leanspike.nn.bounds import hold
from leanspike.nn.delays import sharpen
from leanspike.train import checkpoint as checkpoints
from leanspike.train.batches import Draw, Epoch, Samples
from leanspike.train.checkpoint import Checkpoint
from leanspike.train.config import RunConfig
from leanspike.train.constraint import Constraint
from leanspike.train.devices import generator_of, make_fabric, reduce
from leanspike.train.evaluate import evaluate
from leanspike.train.labels import check_labels
from leanspike.train.mismatch import check_mismatch, mismatched
from leanspike.train.networks import build_network, store_network
from leanspike.train.objective import Objective
from leanspike.train.optimizer import averaged, follow, forget_gradients, learning_rate, make_optimizer
from leanspike.train.progress import EpochRecord, Progress
from leanspike.train.state import State, check_same_run, facts_of, load_weights, restore, to_checkpoint
from leanspike.train.tensorboard import Board


@dataclass(frozen=True)
class TrainResult:
    """A trained network.

    Attributes:
        network: with the weights of the best epoch.
        history: one record an epoch.
        best_epoch: counted from 1, chosen on the validation split (the last one where there is none).
        seconds: of all epochs.
        main: whether this is the process that writes (the only one, unless there are several).
    """

    network: nn.Module
    history: tuple[EpochRecord, ...]
    best_epoch: int
    seconds: float
    main: bool

    @property
    def validation_accuracy(self) -> float | None:
        """Of the best epoch."""
        return self.history[self.best_epoch - 1].validation_accuracy


@dataclass
class _Run:
    config: RunConfig
    fabric: Fabric
    network: nn.Module
    constraint: Constraint
    objective: Objective
    model: Any
    optimizer: Any
    samples: Samples
    validation: Split
    facts: dict[str, Any]
    out: Path | None
    checkpoint_seconds: float
    progress: Progress
    board: Board | None = None


def fit(
    config: RunConfig,
    data: TrainingData,
    out: Path | None = None,
    *,
    network: nn.Module | None = None,
    constraint: Constraint | None = None,
    fabric: Fabric | None = None,
    devices: int = 1,
    nodes: int = 1,
    progress: Progress | None = None,
    checkpoint_seconds: float = 60.0,
    tensorboard: bool = False,
) -> TrainResult:
    """Train a network, or go on where a run in ``out`` was cut off.

    Args:
        config: the run; ``config.model`` is built unless ``network`` is given.
        data: ``dataset.training_only()``.
        out: folder of ``config.json``, the checkpoints and at last ``network.safetensors``; None writes nothing.
        network: your own, or an artificial one (any module ``[B, ...] -> logits [B, K]``).
        constraint: acts after each step and on the loss (pruning, learnable thresholds); a fresh one for each call.
        fabric: your own, launched; else one with ``devices`` a machine on ``nodes`` machines.
        checkpoint_seconds: within an epoch, save when so much time has passed; after each epoch always.
        tensorboard: log to ``out/tensorboard``.

    Raises:
        ConfigError: settings that do not fit each other or the data. Diverged: a loss that is not finite.
        CheckpointError: ``out`` holds another run or nothing but damaged checkpoints.
        OutputError: ``out`` cannot be written.
    """
    if not isinstance(data, TrainingData):
        raise TypeError("fit takes dataset.training_only(), from which the test set cannot be reached")
    training, validation = split(data, config.train.validation, config.seed)
    constraint, progress = constraint or Constraint(), progress or Progress()
    facts = facts_of(config, data) | {"constraint": constraint.facts()}
    found = _resume(out, config, facts, progress) if out else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        if network is None:
            network = build_network(config, data.shape, len(data.classes))
        check_mismatch(network, config.train.mismatch)
        check_labels(network, config, data)
        fabric = fabric or make_fabric(config, devices, nodes)
        possible, key = fabric.world_size <= min(config.train.batch_size, len(training)), "train.batch_size"
        require(possible, key, config.train.batch_size, f"a sample for each of the {fabric.world_size} processes")
        objective = Objective(network, config, partial(reduce, fabric, how="mean"), constraint)
        run = _Run(
            config=config,
            fabric=fabric,
            network=network,
            constraint=constraint,
            objective=objective,
            model=fabric.setup_module(objective),
            optimizer=fabric.setup_optimizers(make_optimizer(network, config.train)),
            samples=Samples.of(training, fabric.device),
            validation=validation,
            facts=facts,
            out=out,
            checkpoint_seconds=checkpoint_seconds,
            progress=progress if fabric.is_global_zero else Progress(),
        )
        state = _state(run, found)
        run.board = Board(out / "tensorboard", state.epoch) if tensorboard and out and fabric.is_global_zero else None
        with run.progress:
            while not state.finished(config.train):
                _train_epoch(run, state)
    return _result(run, state)


def _state(run: _Run, found: Checkpoint | None) -> State:
    """The state to start from: what the first process found in its folder, or the beginning."""
    state = State.start(run.network, run.config.train, run.fabric.device)
    found = run.fabric.broadcast(found)
    if found:
        restore(found, state, run.network, run.optimizer.optimizer, run.constraint)
        run.fabric.strategy.precision.load_state_dict(found.facts["loss_scale"])
    return state


def _train_epoch(run: _Run, state: State) -> None:
    config, fabric, started, first = run.config.train, run.fabric, time.monotonic(), state.step
    saved, generator = started, generator_of(fabric.device)
    epoch = Epoch.draw(run.samples, config, run.config.seed, state.epoch)
    steps = epoch.steps(fabric.world_size)
    layers_seed = derive(run.config.seed, Draw.LAYERS, state.epoch, fabric.global_rank)
    spikes_seed = derive(run.config.seed, Draw.ENCODE_TRAINING, state.epoch)
    run.progress.begin(state.epoch + 1, config.epochs, steps, first)
    run.model.train()
    for step in range(first, steps):
        generator.manual_seed(layers_seed + step)
        rate = learning_rate(config, state.epoch + step / steps)
        sharpen(run.network, (state.epoch + step / steps) / config.epochs)
        _train_step(run, state, epoch, step, spikes_seed, rate)
        if config.ema:
            follow(state.average, run.network, config.ema, state.epoch * steps + step)
        state.step = step + 1
        run.progress.step()
        if time.monotonic() - saved >= run.checkpoint_seconds and state.step < steps:
            _save(run, state)
            saved = time.monotonic()
    seconds = time.monotonic() - started
    seen, trained = (sum(epoch.size(step) for step in range(start, steps)) for start in (0, first))
    _close_epoch(run, state, seen, rate, seconds, trained / seconds)


def _train_step(run: _Run, state: State, epoch: Epoch, step: int, seed: int, rate: float) -> None:
    config, fabric, processes = run.config.train, run.fabric, run.fabric.world_size
    batch = epoch.size(step)
    limit = run.objective.piece_size(-(-batch // processes))
    pieces = list(epoch.pieces(run.samples, step, fabric.global_rank, processes, limit))
    circuit = derive(run.config.seed, Draw.MISMATCH, state.epoch, step) if config.mismatch.on else 0
    with mismatched(run.network, config.mismatch, circuit):
        for piece in pieces:
            with fabric.no_backward_sync(run.model, enabled=piece is not pieces[-1]):
                share = len(piece) * processes / batch
                loss, right = run.model(piece.x, piece.numbers, piece.y, seed, share)
                fabric.backward(loss)
            state.loss.add_(loss.detach(), alpha=batch / processes)
            state.right.add_(right)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    if config.clip_norm:
        fabric.clip_gradients(run.model, run.optimizer, max_norm=config.clip_norm, error_if_nonfinite=False)
    run.optimizer.step()
    hold(run.network)
    run.constraint.after_step(run.network, state.epoch + (step + 1) / epoch.steps(processes))
    forget_gradients(run.optimizer)


def _close_epoch(run: _Run, state: State, seen: int, rate: float, seconds: float, speed: float) -> None:
    started = time.monotonic()
    loss, right = (float(reduce(run.fabric, value, "sum")) for value in (state.loss, state.right))
    if not math.isfinite(loss):
        remedy = "lower it, or set train.clip_norm=1"
        raise Diverged(f"the loss is {loss} in epoch {state.epoch + 1}", where="train.learning_rate", remedy=remedy)
    labels = run.samples.labels
    with averaged(state.average, run.network):
        validation_loss, validation_accuracy, rates = _validate(run)
        state.epoch, state.step = state.epoch + 1, 0
        seconds += time.monotonic() - started
        score = (validation_loss, validation_accuracy, rates)
        record = EpochRecord(state.epoch, loss / seen, right / (seen * labels), *score, rate, seconds, speed)
        state.history.append(record)
        settled = state.epoch >= run.constraint.settled_at or state.epoch == run.config.train.epochs
        if settled and _better(state.history, state.best_epoch):
            state.best_epoch = state.epoch
            state.best = {name: tensor.clone() for name, tensor in run.network.state_dict().items()}
        if run.board:
            run.board.epoch(record, run.network, run.validation, run.config)
    state.loss.zero_()
    state.right.zero_()
    _save(run, state)
    run.progress.epoch(record, run.config.train.epochs)


def _validate(run: _Run) -> tuple[float | None, float | None, tuple[float, ...]]:
    whole, fabric = run.validation, run.fabric
    if not len(whole):
        return None, None, ()
    # Too few samples to go round: everyone takes them all, which leaves the averages what they are.
    own = slice(fabric.global_rank, None, fabric.world_size) if len(whole) >= fabric.world_size else slice(None)
    found = evaluate(run.network, Split(whole.x[own], whole.y[own], whole.numbers[own]), run.config)
    count = len(found.labels)
    sums = torch.tensor([1.0, found.loss, found.accuracy, *found.layer_rates], dtype=torch.float64) * count
    total, *means = reduce(fabric, sums.to(fabric.device), "sum").tolist()
    loss, accuracy, *rates = (mean / total for mean in means)
    return loss, accuracy, tuple(rates)


def _better(history: list[EpochRecord], best_epoch: int) -> bool:
    """Whether the last epoch has the highest validation accuracy, or at the same one the lowest loss."""

    def key(record: EpochRecord) -> tuple[float, float]:
        return (record.validation_accuracy or 0.0, -(record.validation_loss or 0.0))

    return not best_epoch or history[-1].validation_accuracy is None or key(history[-1]) > key(history[best_epoch - 1])


def _resume(out: Path, config: RunConfig, facts: dict[str, Any], progress: Progress) -> Checkpoint | None:
    found, warning = checkpoints.load(make_folder(out))
    if found:
        check_same_run(found, facts, out)
    if warning:
        progress.say(f"leanspike: warning: {warning}")
        checkpoints.promote_previous(out)
    write_json(out / "config.json", to_dict(config))
    return found


def _save(run: _Run, state: State) -> None:
    if run.out and run.fabric.is_global_zero:
        facts = {**run.facts, "loss_scale": run.fabric.strategy.precision.state_dict()}
        held = to_checkpoint(state, run.network, run.optimizer.optimizer, run.constraint, facts)
        checkpoints.save(run.out, held, state.epoch, state.step)


def _result(run: _Run, state: State) -> TrainResult:
    load_weights(run.network, state.best, run.out)
    if run.board:
        run.board.close()
    if run.out and run.fabric.is_global_zero:
        store_network(run.out, run.network, run.facts, state.best_epoch)
    seconds = sum(record.seconds for record in state.history)
    return TrainResult(run.network, tuple(state.history), state.best_epoch, seconds, run.fabric.is_global_zero)
