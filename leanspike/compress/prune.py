r"""Dynamic pruning: connections or neurons go while the network is fine-tuned, by magnitude or by activity.

    cubic    s(p) = s1 + (s0 - s1) (1 - p/P)^3              Zhu & Gupta 2017, arXiv:1710.01878
    rounds   1 - s(k) = (1 - s0) ((1 - s1)/(1 - s0))^(k/K)  the same share each round, fine-tuned in between, as in
                                                            Frankle & Carbin 2019, arXiv:1803.03635

p: epochs done, updated every ``every`` epochs; P: ``until`` of all epochs; s0, s1: sparsity at the start and the end.
What goes is what scores lowest:

    connections, magnitude   |w[i, j]|                      Han et al. 2015, arXiv:1506.02626
    connections, activity    |w[i, j]| r[i]                 r[i]: mean activity of the input i; cf. Sun et al. 2023,
                                                            arXiv:2306.11695, where it is an L2 norm
    neurons, magnitude       |w[:, j]|_2 |w'[j, :]|_2       w': the next layer's weights
    neurons, activity        r[j] |w'[j, :]|_2              r[j]: firing rate, spikes a neuron and step

A neuron goes with its column AND its rows in the next layer. Re-growth (connections): at every update a share
a(p) = regrow_share (1 + cos(pi p/P))/2 more is dropped than asked, and as many grow, from zero, where the gradient is
largest (RigL; Evci et al. 2020, arXiv:1911.11134) or at random (Mocanu et al. 2018, arXiv:1707.04780).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanspike.compress.channels import Activities, Calibration, hidden_layers, mask_of, synapses
from leanspike.core.errors import ConfigError
from leanspike.core.records import require, to_dict
from leanspike.core.rng import derive
from leanspike.nn import Network
from leanspike.nn.synapses import Synapses
from leanspike.train import Constraint

_REGROW = 401
_SLACK = 1e-9


@dataclass(frozen=True)
class PruneConfig:
    """What is pruned, how much, and when.

    Attributes:
        sparsity: share that is gone at the end: of all connections together, or of all hidden neurons; 0 is off.
        unit: single ``connections``, or whole ``neurons`` (channels of a convolution).
        by: ``magnitude`` of weights, or ``activity``, measured on samples of the training set.
        scope: ``layer`` takes the same share of every layer, ``global`` ranks all layers together.
        output_sparsity: share of the output layer's connections; the hidden layers then make up for it. None: as all.
        schedule: ``cubic`` or ``rounds``.
        every: epochs between updates; of ``rounds``, the fine-tuning of a round.
        until: share of all epochs after which the sparsity is reached; 0 prunes at once.
        regrow: ``gradient`` or ``random``: connections may grow again.
        regrow_share: share of a layer's connections that is exchanged at the first update; it falls to 0.
    """

    sparsity: float = 0.0
    unit: Literal["connections", "neurons"] = "connections"
    by: Literal["magnitude", "activity"] = "magnitude"
    scope: Literal["layer", "global"] = "layer"
    output_sparsity: float | None = None
    schedule: Literal["cubic", "rounds"] = "cubic"
    every: float = 0.1
    until: float = 0.6
    regrow: Literal["none", "gradient", "random"] = "none"
    regrow_share: float = 0.3

    def __post_init__(self) -> None:
        require(0 <= self.sparsity < 1, "prune.sparsity", self.sparsity, "0 (off) or more and below 1")
        output = self.output_sparsity or 0.0
        require(0 <= output < 1, "prune.output_sparsity", output, "0 or more and below 1")
        require(self.every > 0, "prune.every", self.every, "epochs, above 0")
        require(0 <= self.until <= 1, "prune.until", self.until, "a share of the epochs, between 0 and 1")
        require(0 < self.regrow_share < 1, "prune.regrow_share", self.regrow_share, "a share between 0 and 1")
        single = self.unit == "connections"
        require(single or self.regrow == "none", "prune.regrow", self.regrow, "none: neurons do not grow again")
        remedy = "leave it out: only connections are pruned by layer of synapses"
        require(single or self.output_sparsity is None, "prune.output_sparsity", self.output_sparsity, remedy)


class Pruning(Constraint):
    """Prunes a network in training; how far it is stands in ``memory``.

    Args:
        epochs: of the fine-tuning.
        calibration: needed where ``config.by`` is activity.
        seed: of random re-growth.
    """

    def __init__(
        self, config: PruneConfig, network: Network, epochs: int, calibration: Calibration | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        self.config, self.calibration, self.seed = config, calibration, seed
        self.span = config.until * epochs
        self.settled_at = self.span
        if config.by == "activity" and calibration is None:
            raise ValueError("pruning by activity takes a calibration")
        if config.unit == "neurons":
            hidden_layers(network)
        self.start = sparsity_of(network, config.unit)
        what = f"{config.sparsity!r} is less than the network has lost already ({self.start:.3f})"
        if config.sparsity < self.start - _SLACK and config.regrow == "none":
            raise ConfigError(what, where="prune.sparsity", remedy="ask for more, or set prune.regrow")
        self.memory["updates"] = torch.zeros((), dtype=torch.int64)

    def facts(self) -> dict[str, Any]:
        """The settings and where pruning starts from."""
        return {"prune": to_dict(self.config), "start": self.start, "span": self.span, "seed": self.seed}

    @property
    def last_update(self) -> int:
        """Number of the update that reaches the final sparsity; the first one is 0."""
        return math.ceil(self.span / self.config.every - _SLACK)

    def target(self, update: int) -> float:
        """Sparsity after an update."""
        start, end = self.start, self.config.sparsity
        done = 1.0 if update >= self.last_update else update / self.last_update
        if self.config.schedule == "cubic":
            return end + (start - end) * (1 - done) ** 3
        return 1 - (1 - start) * math.pow((1 - end) / (1 - start), done)

    def after_step(self, network: nn.Module, position: float) -> None:
        """Update the masks where one is due."""
        assert isinstance(network, Network)
        due = min(self.last_update, math.floor(position / self.config.every + _SLACK))
        if position >= self.span - _SLACK:
            due = self.last_update
        if due < int(self.memory["updates"]):
            return
        self.memory["updates"].fill_(due + 1)
        found = self.calibration.activities(network) if self.calibration and self.config.by == "activity" else None
        if self.config.unit == "neurons":
            prune_neurons(network, self.target(due), self.config, found)
        else:
            exchanged = 0.0 if self.config.regrow == "none" else self._exchanged(due)
            draws = torch.Generator().manual_seed(derive(self.seed, _REGROW, due))
            prune_connections(network, self.target(due), self.config, found, exchanged, draws)

    def _exchanged(self, update: int) -> float:
        done = 1.0 if update >= self.last_update else update / self.last_update
        return self.config.regrow_share * (1 + math.cos(math.pi * done)) / 2


def sparsity_of(network: Network, unit: str = "connections") -> float:
    """Share of the connections, or of the hidden neurons, that is pruned."""
    if unit == "connections":
        gone = [0 if layer.mask is None else int((~layer.mask).sum()) for _, layer in synapses(network)]
        return sum(gone) / sum(layer.weight.numel() for _, layer in synapses(network))
    layers = hidden_layers(network)
    alive = sum(int(_alive(layer.before).sum()) for layer in layers)
    return 1 - alive / max(1, sum(layer.channels for layer in layers))


def _alive(layer: Synapses) -> Tensor:
    """``[out]`` bool: the outputs that have a connection."""
    return mask_of(layer).flatten(0, -2).any(0)


@torch.no_grad()
def prune_connections(
    network: Network,
    sparsity: float,
    config: PruneConfig,
    activities: Activities | None = None,
    exchanged: float = 0.0,
    draws: torch.Generator | None = None,
) -> None:
    """Leave the connections that score highest, so that ``sparsity`` of all of them are gone.

    Args:
        activities: where ``config.by`` is activity.
        exchanged: share of a layer's connections that is dropped and grown elsewhere.
        draws: for random re-growth.
    """
    layers = synapses(network)
    scores = [_connection_scores(name, layer, activities) for name, layer in layers]
    kept = _kept(scores, [layer.weight.shape[-1] for _, layer in layers], sparsity, config)
    for (_, layer), score, count in zip(layers, scores, kept, strict=True):
        grown = min(int(exchanged * count), int((~mask_of(layer)).sum()))
        mask = _highest(score, count - grown)
        if grown:
            mask |= _grown(layer, mask, grown, config.regrow, draws)
        layer.prune(mask)


def _connection_scores(name: str, layer: Synapses, activities: Activities | None) -> Tensor:
    score = layer.weight.abs()
    if activities is not None:
        score = score * activities.inputs[name][:, None]
    return score.masked_fill(~mask_of(layer), -1.0)


def _kept(scores: list[Tensor], least: list[int], sparsity: float, config: PruneConfig) -> list[int]:
    """How many connections each layer keeps; at least one for each output, lest a layer vanish."""
    sizes = [score.numel() for score in scores]
    total, kept = round((1 - sparsity) * sum(sizes)), [0] * len(sizes)
    if config.output_sparsity is not None:
        # Gradually too: the output layer has lost its share when the whole network has lost all of its own.
        share = config.output_sparsity * sparsity / config.sparsity if config.sparsity else 0.0
        kept[-1] = round((1 - share) * sizes[-1])
        total, sizes = max(0, total - kept[-1]), sizes[:-1]
    if config.scope == "global":
        ranked = torch.cat([score.flatten() for score in scores[: len(sizes)]])
        best = torch.topk(ranked, total).indices
        ends = torch.tensor(sizes, device=best.device).cumsum(0)
        counts = torch.bincount(torch.bucketize(best, ends, right=True), minlength=len(sizes)).tolist()
    else:
        counts = [round(total * size / sum(sizes)) for size in sizes]
    kept[: len(sizes)] = counts
    return [max(count, few) for count, few in zip(kept, least, strict=True)]


def _highest(score: Tensor, count: int) -> Tensor:
    """A mask of the ``count`` highest scores among those of 0 or more."""
    mask = torch.zeros(score.numel(), dtype=torch.bool, device=score.device)
    best = torch.topk(score.flatten(), count).indices
    mask[best] = True
    return mask.view(score.shape) & (score >= 0)


def _grown(layer: Synapses, mask: Tensor, count: int, how: str, draws: torch.Generator | None) -> Tensor:
    """New connections where there were none before this update."""
    if how == "gradient":
        if layer.weight.grad is None:
            raise ValueError("re-growth by gradient takes place after a step, while gradients are there")
        score = layer.weight.grad.abs()
    else:
        score = torch.rand(mask.shape, generator=draws).to(mask.device)
    return _highest(score.masked_fill(mask | mask_of(layer), -1.0), count)


@torch.no_grad()
def prune_neurons(network: Network, sparsity: float, config: PruneConfig, activities: Activities | None = None) -> None:
    """Leave the hidden neurons that score highest; the others lose their column and their rows in the next layer."""
    layers = hidden_layers(network)
    names = {id(module): name for name, module in network.named_modules()}
    scores = []
    for layer in layers:
        leaving = layer.outgoing(layer.after.weight).square().sum(0).sqrt()
        if activities is None:
            score = leaving * layer.before.weight.flatten(0, -2).square().sum(0).sqrt()
        else:
            score = leaving * activities.rates[names[id(layer.neurons)]]
        scores.append(score.masked_fill(~_alive(layer.before), -1.0))
    plain = PruneConfig(config.sparsity, scope=config.scope)
    for layer, score, count in zip(layers, scores, _kept(scores, [1] * len(layers), sparsity, plain), strict=True):
        alive = _highest(score, count)
        layer.before.prune(mask_of(layer.before) & alive)
        layer.after.prune(mask_of(layer.after) & layer.rows(alive))
