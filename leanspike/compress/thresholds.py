r"""Thresholds that learn: LT-SNN (Hasssan, Meng, Seo 2023, openreview oyzMyylgINj), kept from collapse and run-away.

    forward      s = 1[u >= V]                                   one V a layer or a channel
    gradient     to u the triangle max(0, gamma - |u - V|) / gamma^2
                 to V through u - V (``plain``), or with the published sigmoid path on top (``sigmoid``);
                 both in :mod:`leanspike.nn.kernels.reference`
    loss         (1 - lambda) mean_t CE(o[t]) + lambda MSE(o, phi)
    phi          temporal phi + (1 - temporal) mean_l V[l], after every step
    bounds       V0 / span <= V <= V0 span, by projection after every step

o[t]: potential of the output layer. All is divided by 1 - lambda, which moves no minimum and no step of Adam. In the
authors' repository phi is the mean of the step before (its meter is made anew each step), and 0.9 is the default of
lambda, whose run scripts say 0.05 or 0.1 and which ends in chance at 0.99; here 0.9 is the weight that the moving
average gives to its past. Nothing there keeps V above 0: below, a silent neuron fires.

A projection leaves the gradient alive at the bound. A clamp in the forward pass alone would not: a threshold that fell
below it once would never come back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from leanspike.core.records import require, to_dict
from leanspike.nn import LIF, Network, Output
from leanspike.train import Constraint


@dataclass(frozen=True)
class ThresholdConfig:
    """Whether and how thresholds are learned.

    Attributes:
        learn: train them.
        per_channel: one a channel, else one a layer.
        path: the gradient of a threshold; ``sigmoid`` runs in the reference kernel, which is slower.
        gamma: half the width of the triangle that is the gradient to the potential; 0 keeps the run's surrogate.
        span: a threshold stays between its first value / span and its first value * span.
        coupling: lambda; above 0 the task loss is the mean over the steps.
        temporal: weight of its past in the moving average of thresholds.
    """

    learn: bool = False
    per_channel: bool = False
    path: Literal["plain", "sigmoid"] = "plain"
    gamma: float = 1.0
    span: float = 2.0
    coupling: float = 0.0
    temporal: float = 0.9

    def __post_init__(self) -> None:
        require(self.gamma >= 0, "threshold.gamma", self.gamma, "a width above 0, or 0 to keep the run's surrogate")
        require(self.span >= 1, "threshold.span", self.span, "1 (fixed) or more")
        require(0 <= self.coupling < 1, "threshold.coupling", self.coupling, "0 (off) or more and below 1")
        require(0 <= self.temporal < 1, "threshold.temporal", self.temporal, "0 or more and below 1")
        require(self.learn or not self.coupling, "threshold.coupling", self.coupling, "set threshold.learn=true too")


def learn_thresholds(network: Network, config: ThresholdConfig) -> Network:
    """The network with a threshold to train in every spiking layer; it is changed."""
    for layer in network.modules():
        if isinstance(layer, LIF) and layer.reset_by is None:
            own = replace(
                layer.config,
                learn_threshold=True,
                per_channel=config.per_channel or len(layer.threshold) > 1,
                threshold_path=config.path,
                threshold_span=config.span,
            )
            if config.gamma:
                own = replace(own, surrogate="triangle", surrogate_scale=1 / config.gamma)
            layer.learn_threshold(own)
    return network


class Coupling(Constraint):
    """Couples the output to the moving average of the thresholds."""

    sees_output = True

    def __init__(self, config: ThresholdConfig, network: Network) -> None:
        super().__init__()
        self.config = config
        self.memory["phi"] = _mean_threshold(network)

    def facts(self) -> dict[str, Any]:
        """The settings."""
        return {"threshold": to_dict(self.config)}

    def after_step(self, network: nn.Module, position: float) -> None:  # noqa: ARG002
        """Move the average."""
        phi = self.memory["phi"].to(next(network.parameters()).device)
        self.memory["phi"] = phi.lerp(_mean_threshold(network), 1 - self.config.temporal)

    def extra_loss(self, network: Network, output: Output) -> Tensor:  # noqa: ARG002
        """lambda / (1 - lambda) MSE(o, phi)."""
        phi = self.memory["phi"].to(output.potential.device)
        return self.config.coupling / (1 - self.config.coupling) * (output.potential - phi).square().mean()


def _mean_threshold(network: nn.Module) -> Tensor:
    """The mean over layers of a layer's mean threshold."""
    means = [layer.threshold.detach().mean() for layer in network.modules() if isinstance(layer, LIF)]
    return torch.stack(means).mean()
