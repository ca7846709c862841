r"""Losses on what the output layer does, with y the labels and CE the softmax cross-entropy (mean over the batch).

    readout   CE(the network's readout, y)               what decides is what is trained
    count     CE(sum_t s[t], y)                          s: output spikes
    membrane  CE(readout(u), y)                          u: output potential; last, max or mean over t, mean by default
    tet       (1 - lambda) mean_t CE(u[t], y) + lambda mean((u - phi)^2)
                                                         phi: threshold; Deng et al. 2022, arXiv:2202.11946, eq. 10-12
    per step  sum over labelled t of CE(u[t], y[t]) / T  labels of steps, -1 for none; the readout is membrane_last
    penalty   weight * mean_l (r_l - target_l)^2         r_l: mean rate of spiking layer l, spikes a neuron and step;
                                                         cf. Zenke & Vogels 2021, Neural Computation 33:899

Label smoothing e replaces the one-hot target by (1 - e) onehot + e/K (Szegedy et al. 2016, arXiv:1512.00567).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from leanspike.core.errors import ConfigError
from leanspike.nn import Output, readout
from leanspike.train.config import RunConfig, TrainConfig


def classification(output: Output, labels: Tensor, kind: str, config: RunConfig) -> Tensor:
    """The configured loss as a scalar, a mean over the batch.

    Args:
        output: of the network, ``[T, B, K]`` within.
        labels: ``[B]`` int64, or ``[B, T]`` with -1 for steps that have none.
        kind: the network's readout.
    """
    train = config.train
    if labels.dim() == 2:
        return per_step(output.potential, labels, train.label_smoothing)
    if train.loss == "tet":
        return tet(output.potential, labels, config.neuron.threshold, train.tet_lambda, train.label_smoothing)
    if train.loss == "membrane" and not kind.startswith("membrane"):
        kind = "membrane_mean"
    logits = readout(output, "count" if train.loss == "count" else kind)
    return cross_entropy(logits, labels, label_smoothing=train.label_smoothing)


def counts(kind: str, train: TrainConfig) -> bool:
    """Whether the configured loss of labels of samples is the cross-entropy of spike counts; ``kind``: the readout."""
    return kind == "count" and train.loss in ("count", "readout")


def tet(potential: Tensor, labels: Tensor, phi: float, weight: float, label_smoothing: float = 0.0) -> Tensor:
    """Temporal efficient training: the cross-entropy at every step, and a pull of the potential towards ``phi``.

    Args:
        potential: ``[T, B, K]``.
        labels: ``[B]`` int64.
        weight: lambda.
    """
    steps = potential.shape[0]
    entropy = cross_entropy(potential.flatten(0, 1), labels.repeat(steps), label_smoothing=label_smoothing)
    return (1 - weight) * entropy + weight * (potential - phi).square().mean()


def per_step(potential: Tensor, labels: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """The cross-entropy of every labelled step, summed; over all steps, labelled or not: a sum over samples.

    Args:
        potential: ``[T, B, K]``.
        labels: ``[B, T]`` int64, -1 for none.
    """
    flat = labels.t().flatten()
    smoothing = {"label_smoothing": label_smoothing, "ignore_index": -1}
    total: Tensor = cross_entropy(potential.flatten(0, 1), flat, reduction="sum", **smoothing)  # type: ignore[arg-type]
    return total / max(1, flat.numel())


def targets(rates: Tensor, target_rates: tuple[float, ...]) -> Tensor:
    """The target rate of every layer, ``[L]`` like ``rates``.

    Raises:
        ConfigError: the number of targets is neither 0, 1 nor the number of spiking layers.
    """
    layers = rates.numel()
    if len(target_rates) not in (0, 1, layers):
        what = f"{len(target_rates)} targets for {layers} spiking layers"
        raise ConfigError(what, where="train.target_rates", remedy=f"give 1 or {layers} rates")
    return rates.new_tensor(target_rates or (0.0,)).expand(layers)


def rate_penalty(rates: Tensor, target_rates: tuple[float, ...]) -> Tensor:
    """Mean over layers of the squared distance to the target rate; ``rates`` is ``[L]``."""
    return (rates - targets(rates, target_rates)).square().mean()
