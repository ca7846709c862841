"""The settings of a LIF neuron, shared by every layer and kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leanspike.core.records import require
from leanspike.nn.surrogate import SurrogateName


@dataclass(frozen=True)
class NeuronConfig:
    """A LIF neuron; the equations stand in :mod:`leanspike.nn.functional`.

    Attributes:
        beta: share of the membrane potential kept from step to step, 0 <= beta <= 1.
        threshold: firing threshold, > 0 (at learning, the starting value).
        reset: after a spike, ``subtract`` the threshold or set the potential to ``zero``.
        refractory: steps a neuron is held silent after a spike.
        surrogate, surrogate_scale: see :mod:`leanspike.nn.surrogate`.
        learn_beta, learn_threshold: train them, one a layer or (``per_channel``) one a channel.
        threshold_path: the gradient of a learned threshold: ``plain``, through u - threshold alone, or ``sigmoid``,
            with LT-SNN's extra path; see :mod:`leanspike.nn.kernels.reference`.
        threshold_span: a learned threshold stays between threshold / span and threshold * span.
        detach_reset: let no gradient flow through the reset.
        adapt_strength: by how much a spike raises the neuron's own threshold from the next step on, >= 0, in the unit
            of the threshold; 0: plain LIF. It holds for every neuron that fires.
        adapt_decay: share of that rise which is kept from step to step, 0 <= adapt_decay < 1.
    """

    beta: float = 0.9
    threshold: float = 1.0
    reset: Literal["subtract", "zero"] = "subtract"
    refractory: int = 0
    surrogate: SurrogateName = "atan"
    surrogate_scale: float = 2.0
    learn_beta: bool = False
    learn_threshold: bool = False
    per_channel: bool = False
    threshold_path: Literal["plain", "sigmoid"] = "plain"
    threshold_span: float = 4.0
    detach_reset: bool = True
    adapt_strength: float = 0.0
    adapt_decay: float = 0.9

    def __post_init__(self) -> None:
        require(0 <= self.beta <= 1, "neuron.beta", self.beta, "between 0 and 1")
        require(self.threshold > 0, "neuron.threshold", self.threshold, "a number above 0")
        require(self.refractory >= 0, "neuron.refractory", self.refractory, "0 or more steps")
        require(self.threshold_span >= 1, "neuron.threshold_span", self.threshold_span, "1 (fixed) or more")
        require(self.adapt_strength >= 0, "neuron.adapt_strength", self.adapt_strength, "0 (plain LIF) or more")
        require(0 <= self.adapt_decay < 1, "neuron.adapt_decay", self.adapt_decay, "0 or more and below 1")
        require(self.surrogate_scale > 0, "neuron.surrogate_scale", self.surrogate_scale, "a number above 0")

    @property
    def adapts(self) -> bool:
        """Whether the threshold adapts."""
        return self.adapt_strength > 0

    @property
    def has_kernels(self) -> bool:
        """Whether any kernel but the reference knows this neuron."""
        return self.refractory == 0 and not (self.learn_threshold and self.threshold_path == "sigmoid")

    @property
    def threshold_bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that a learned threshold may take."""
        return self.threshold / self.threshold_span, self.threshold * self.threshold_span
