"""What a network does with a split: scores, spikes and rates, in batches and without gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from leanspike.core.rng import derive
from leanspike.data import Split
from leanspike.encode import encoded_shape
from leanspike.nn import Network, readout, readout_at_every_step
from leanspike.train.batches import Draw, Samples, scaled
from leanspike.train.coding import coded
from leanspike.train.config import RunConfig
from leanspike.train.losses import classification

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

_VALUES_AT_ONCE = 20_000_000


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A network's answers on N samples; an artificial network has no layers here and a single step.

    Attributes:
        logits: ``[N, K]`` scores after the last step; ``[N, T, K]`` after every one where labels are those of steps.
        labels: ``[N]``, or ``[N, T]`` with -1 for steps that have none.
        loss: the configured loss, mean over samples.
        spikes: total number of spikes a sample, a spiking layer each.
        rates: mean firing rate of every neuron, ``[features]`` of each spiking layer.
        step_logits: ``[T, N, K]`` scores as they stand after each step; None unless asked for.
        macs, acs: synaptic operations a sample; None unless asked for.
    """

    logits: Floats
    labels: Labels
    loss: float
    spikes: tuple[float, ...] = ()
    rates: tuple[Floats, ...] = ()
    step_logits: Floats | None = None
    macs: float | None = None
    acs: float | None = None

    @property
    def predictions(self) -> Labels:
        """As the labels, the class with the highest score, the first of equal ones."""
        return np.asarray(self.logits.argmax(-1))

    @property
    def step_predictions(self) -> Labels:
        """``[T, N]``, the prediction as it stands after each step."""
        if self.step_logits is None:
            raise ValueError("evaluate(..., steps=True) keeps the scores of every step")
        return np.asarray(self.step_logits.argmax(-1))

    @property
    def correct(self) -> int:
        """Number of right predictions."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Share of right predictions, of steps that have a label where labels are those of steps."""
        return self.correct / int((self.labels >= 0).sum())

    @property
    def layer_rates(self) -> tuple[float, ...]:
        """Mean firing rate of each spiking layer, spikes a neuron and step."""
        return tuple(float(rates.mean()) for rates in self.rates)


@dataclass
class _Sums:
    logits: list[Tensor] = field(default_factory=list)
    step_logits: list[Tensor] = field(default_factory=list)
    loss: float = 0.0
    spikes: Any = 0.0
    rates: list[Any] = field(default_factory=list)
    macs: float = 0.0
    acs: float = 0.0


@torch.no_grad()
def evaluate(
    network: nn.Module,
    split: Split,
    config: RunConfig,
    *,
    steps: bool = False,
    operations: bool = False,
    batch_size: int = 0,
) -> Evaluation:
    """Run a network on a split in evaluation mode; the encoder's seed depends on ``config.seed`` alone.

    Args:
        network: spiking, or any module ``[B, ...] -> [B, K]``; it stays on its device and keeps its mode.
        steps: keep the scores of every step.
        operations: count synaptic operations (runs the network a second time).
        batch_size: samples at once; 0 chooses by the size of the encoded input.
    """
    training, device = network.training, next(network.parameters()).device
    network.eval()
    samples = Samples.of(split, device)
    batch = batch_size or _batch_size(samples, config, network)
    sums = _Sums()
    for start in range(0, len(samples), batch):
        piece = Samples(*(part[start : start + batch] for part in (samples.x, samples.y, samples.numbers)))
        if isinstance(network, Network):
            _add_spiking(sums, network, piece, config, steps, operations)
        else:
            _add_artificial(sums, network, piece, config, steps)
    network.train(training)
    return _evaluation(sums, split, steps, operations)


def _add_spiking(
    sums: _Sums, network: Network, piece: Samples, config: RunConfig, steps: bool, operations: bool
) -> None:
    seed, count = derive(config.seed, Draw.ENCODE_EVALUATION), len(piece)
    x = coded(piece.x, piece.numbers, network, config, seed)
    output = network(x)
    per_step = piece.y.dim() == 2
    scores = readout_at_every_step(output, network.readout).transpose(0, 1) if per_step else None
    sums.logits.append(readout(output, network.readout) if scores is None else scores)
    sums.loss += float(classification(output, piece.y, network.readout, config)) * count
    sums.spikes = sums.spikes + np.array([layer.count() for layer in output.hidden])
    rates = [layer.rates() * count for layer in output.hidden]
    sums.rates = [old + new for old, new in zip(sums.rates, rates, strict=True)] if sums.rates else rates
    if steps:
        sums.step_logits.append(readout_at_every_step(output, network.readout))
    if operations:
        counted = network.operations(x)
        sums.macs += counted.macs * count
        sums.acs += counted.acs * count


def _add_artificial(sums: _Sums, network: nn.Module, piece: Samples, config: RunConfig, steps: bool) -> None:
    logits = network(scaled(piece.x))
    sums.logits.append(logits)
    sums.loss += float(cross_entropy(logits, piece.y, label_smoothing=config.train.label_smoothing)) * len(piece)
    if steps:
        sums.step_logits.append(logits[None])


def _evaluation(sums: _Sums, split: Split, steps: bool, operations: bool) -> Evaluation:
    count = len(split)
    return Evaluation(
        logits=torch.cat(sums.logits).float().cpu().numpy(),
        labels=split.y,
        loss=sums.loss / count,
        spikes=tuple(float(total) / count for total in np.atleast_1d(sums.spikes)) if sums.rates else (),
        rates=tuple((total / count).float().cpu().numpy() for total in sums.rates),
        step_logits=torch.cat(sums.step_logits, 1).float().cpu().numpy() if steps else None,
        macs=sums.macs / count if operations and sums.rates else None,
        acs=sums.acs / count if operations and sums.rates else None,
    )


def _batch_size(samples: Samples, config: RunConfig, network: nn.Module) -> int:
    """So many that the widest signal of all steps stays small."""
    widest = [math.prod(encoded_shape(tuple(samples.x.shape[1:]), config.encoder, config.timesteps))]
    widest += [layer.channels for layer in network.neurons] if isinstance(network, Network) else []
    return max(1, min(512, _VALUES_AT_ONCE // (max(widest) * config.timesteps)))
