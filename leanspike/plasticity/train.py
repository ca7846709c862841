"""Unsupervised learning over the training samples: killed at any moment, it goes on to the same weights, bit for bit.

Samples come in the order of :func:`leanspike.plasticity.encoding.order`, another one in every pass, and both learning
rates are multiplied by ``cooling`` after a pass. Labels teach nothing: they are looked at for the history only, whose
accuracy is that of neurons labelled by one window of samples on the window after it, while the network learns.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from leanspike.core.files import make_folder, write_json
from leanspike.core.records import from_dict, to_dict
from leanspike.data import Split, TrainingData
from leanspike.plasticity import encoding, kernel
from leanspike.plasticity.config import RuleConfig, StdpConfig
from leanspike.plasticity.labels import Doubles, assign_sums, decide, matrix, sums
from leanspike.plasticity.reference import Learned, Presentation, normalised
from leanspike.train import Progress
from leanspike.train import checkpoint as checkpoints
from leanspike.train.checkpoint import Checkpoint
from leanspike.train.state import check_same_run, facts_of

_CHUNK = 256
_LEAST, _MOST = 100, 2000


@dataclass(frozen=True)
class WindowRecord:
    """A line of the history.

    Attributes:
        samples: seen since the start, at the window's end.
        accuracy: of the labels of the window before; None in the first.
        spikes: a sample, mean over the window.
        theta: mean adaptive threshold at the end, mV.
    """

    samples: int
    accuracy: float | None
    spikes: float
    theta: float


@dataclass(frozen=True, eq=False)
class Trained:
    """A network that has learned.

    Attributes:
        history: one record a window.
        samples_per_second: of the learning that this call did; None where all was done before.
    """

    learned: Learned
    history: tuple[WindowRecord, ...]
    samples_per_second: float | None


@dataclass
class _State:
    """Where learning stands; sums, seen, right and spikes belong to the window under way."""

    learned: Learned
    sums: Doubles
    seen: Doubles
    readout: Doubles
    done: int = 0
    right: int = 0
    history: list[WindowRecord] = field(default_factory=list)


def fit(
    config: StdpConfig,
    data: TrainingData,
    teaching: Split,
    out: Path | None = None,
    *,
    progress: Progress | None = None,
    checkpoint_seconds: float = 20.0,
) -> Trained:
    """Learn, or go on where a run in ``out`` was cut off.

    Args:
        data: the whole training set, which a checkpoint must agree with.
        teaching: the samples of it that teach.
        out: folder of ``config.json`` and the checkpoints; None writes nothing.

    Raises:
        CheckpointError: ``out`` holds another run, or is damaged. OutputError: it cannot be written.
        MissingTool: the kernel was not built.
    """
    progress, facts = progress or Progress(), facts_of(config, data)
    state = _start(config, data)
    if out is not None:
        make_folder(out)
        _resume(state, facts, out, progress)
        write_json(out / "config.json", to_dict(config))
    levels, first, since = encoding.raw(teaching.x), state.done, time.perf_counter()
    total = config.passes * _samples(config, teaching)
    saved = since
    with progress:
        progress.begin(1, 1, total, state.done)
        while state.done < total:
            _chunk(config, state, levels, teaching, total, progress)
            late = time.perf_counter() - saved > checkpoint_seconds
            if out is not None and (late or state.done == total):
                checkpoints.save(out, _checkpoint(state, facts), 0, state.done)
                saved = time.perf_counter()
    took = time.perf_counter() - since
    speed = (state.done - first) / took if state.done > first else None
    return Trained(state.learned, tuple(state.history), speed)


def rule_of(config: StdpConfig, number: int) -> RuleConfig:
    """The rule of a pass, counted from 0."""
    factor = config.cooling**number
    return replace(config.rule, rate_pre=config.rule.rate_pre * factor, rate_post=config.rule.rate_post * factor)


def first_state(config: StdpConfig, inputs: int) -> Learned:
    """The network before it has learned: normalised random weights, thresholds that have not adapted."""
    weights = encoding.first_weights(config.seed, inputs, config.neurons, config.initial)
    if config.rule.mean_weight:
        weights = normalised(weights, config.rule.mean_weight, np.ones(config.neurons, dtype=bool))
    return Learned(weights, np.zeros(config.neurons, dtype=np.float32))


def _start(config: StdpConfig, data: TrainingData) -> _State:
    inputs, classes = int(np.prod(data.shape)), len(data.classes)
    empty = np.zeros((config.neurons, classes))
    return _State(first_state(config, inputs), empty, np.zeros(classes), empty)


def _samples(config: StdpConfig, teaching: Split) -> int:
    return min(config.samples or len(teaching), len(teaching))


def _chunk(config: StdpConfig, state: _State, levels: Any, teaching: Split, total: int, progress: Progress) -> None:
    """Present the next samples: whole batches, none beyond a pass or a window."""
    a_pass = _samples(config, teaching)
    number, start = divmod(state.done, a_pass)
    size = max(1, _CHUNK // config.batch) * config.batch
    chosen = encoding.order(config.seed, number, len(teaching))[:a_pass][start : start + size]
    shown = Presentation(config.steps, config.batch, encoding.pass_seed(config.seed, number))
    given = encoding.thresholds(levels[chosen], config.rate)
    state.learned, counts = kernel.present(
        config.neuron, rule_of(config, number), shown, state.learned, given, teaching.numbers[chosen]
    )
    labels, classes = teaching.y[chosen], len(state.seen)
    state.sums = state.sums + sums(counts, labels, classes)
    state.seen = state.seen + np.bincount(labels, minlength=classes)
    state.right += int((decide(counts, state.readout) == labels).sum())
    state.done += len(chosen)
    for _ in range(len(chosen)):
        progress.step()
    if state.seen.sum() >= min(max(a_pass // 8, _LEAST), _MOST) or state.done == total:
        _close(config, state, progress, total)


def _close(config: StdpConfig, state: _State, progress: Progress, total: int) -> None:
    """End a window: its record, and the labels for the next one."""
    seen = int(state.seen.sum())
    accuracy = state.right / seen if state.history else None
    spikes, theta = float(state.sums.sum() / seen), float(state.learned.theta.mean())
    state.history.append(WindowRecord(state.done, accuracy, spikes, theta))
    told = "labels come with the next window" if accuracy is None else f"accuracy {accuracy:.2%} while learning"
    progress.say(f"{state.done:,} of {total:,} samples  {spikes:.1f} spikes a sample  {told}")
    state.readout = matrix(assign_sums(state.sums, state.seen), config.readout)
    state.sums, state.seen, state.right = np.zeros_like(state.sums), np.zeros_like(state.seen), 0


def _checkpoint(state: _State, facts: Mapping[str, Any]) -> Checkpoint:
    arrays: dict[str, Any] = {"weights": state.learned.weights, "theta": state.learned.theta}
    arrays |= {"sums": state.sums, "seen": state.seen, "readout": state.readout}
    position = {"done": state.done, "right": state.right, "history": [to_dict(record) for record in state.history]}
    return Checkpoint({name: torch.from_numpy(array) for name, array in arrays.items()}, {**facts, **position})


def _resume(state: _State, facts: Mapping[str, Any], out: Path, progress: Progress) -> None:
    found, warning = checkpoints.load(out)
    if found is None:
        return
    check_same_run(found, facts, out)
    if warning:
        progress.say(warning)
        checkpoints.promote_previous(out)
    arrays = {name: tensor.numpy() for name, tensor in found.tensors.items()}
    state.learned = Learned(arrays["weights"], arrays["theta"])
    state.sums, state.seen, state.readout = arrays["sums"], arrays["seen"], arrays["readout"]
    state.done, state.right = found.facts["done"], found.facts["right"]
    state.history = [from_dict(WindowRecord, record) for record in found.facts["history"]]
