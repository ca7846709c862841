"""Neurons as layers: ``(current, state) -> (activity, potential, state)`` over all T steps at once."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from leanspike.nn.constant import Constant
from leanspike.nn.functional import LIFState
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.scan import lif_scan
from leanspike.nn.spikes import Spikes

NEVER = 1e30


class Neurons(nn.Module):
    """What spiking and non-spiking neurons share: beta and threshold, fixed or learned, a layer or a channel.

    Args:
        config: the neuron.
        channels: channels of the layer (features of a dense one); needed where ``config.per_channel``.
    """

    beta: Tensor
    threshold: Tensor

    def __init__(self, config: NeuronConfig, channels: int) -> None:
        super().__init__()
        self.config, self.channels = config, channels
        count = channels if config.per_channel else 1
        for name, value, learn in (
            ("beta", config.beta, config.learn_beta),
            ("threshold", config.threshold, config.learn_threshold),
        ):
            tensor = torch.full((count,), value)
            if learn:
                self.register_parameter(name, nn.Parameter(tensor))
            else:
                self.register_buffer(name, tensor)

    def extra_repr(self) -> str:
        """The settings, as torch prints them."""
        return f"{self.channels}, beta={self.config.beta}, threshold={self.config.threshold}, {self.config.reset}"

    def parameters_for(self, sample: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """beta and threshold expanded to one sample's shape ``[C, ...]``, both within their bounds where learned."""
        beta = self.beta.clamp(0, 1) if self.config.learn_beta else self.beta
        threshold = self.threshold
        if self.config.learn_threshold:
            threshold = threshold.clamp(*self.config.threshold_bounds)
        if len(sample) > 1:
            shape = (-1,) + (1,) * (len(sample) - 1)
            beta, threshold = beta.view(shape), threshold.view(shape)
        return beta.expand(sample), threshold.expand(sample)

    def shared_parameters(self) -> tuple[Tensor, Tensor]:
        """beta and threshold ``[channels]``, or ``[1]`` where all neurons have the same and nothing is learned."""
        if self.config.learn_beta or self.config.learn_threshold:
            return self.parameters_for((self.channels,))
        return self.beta, self.threshold

    def learn_threshold(self, config: NeuronConfig) -> None:
        """From now on be ``config``, whose ``learn_threshold`` is on: the threshold is trained from where it stands."""
        beta, threshold = self.beta, self.threshold.detach()
        if config.per_channel and len(threshold) < self.channels:
            threshold = threshold.expand(self.channels)
        if config.per_channel and len(beta) < self.channels:
            kind = type(beta) if isinstance(beta, nn.Parameter) else torch.Tensor
            self.beta = kind(beta.detach().expand(self.channels).clone())
        del self.threshold
        self.threshold = nn.Parameter(threshold.clone())
        self.config = config
        self.hold()

    @torch.no_grad()
    def hold(self) -> None:
        """Bring learned parameters back to their bounds: beyond them no gradient would."""
        if self.config.learn_beta:
            self.beta.clamp_(0, 1)
        if self.config.learn_threshold:
            self.threshold.clamp_(*self.config.threshold_bounds)

    @property
    def fused(self) -> bool:
        """Whether the kernels that compute synapses and neurons as one know this neuron."""
        return self.config.has_kernels and not self.config.adapts


class LIF(Neurons):
    """Leaky integrate-and-fire neurons; equations in :mod:`leanspike.nn.functional`.

    Args:
        reset_by: ``[1]`` or ``[channels]``, what a subtract reset takes, fixed; None: the threshold.
    """

    reset_by: Tensor | None

    def __init__(self, config: NeuronConfig, channels: int, reset_by: Tensor | None = None) -> None:
        super().__init__(config, channels)
        if reset_by is not None and config.reset != "subtract":
            raise ValueError("reset_by is the amount of a subtract reset")
        self.register_buffer("reset_by", reset_by)

    @property
    def fused(self) -> bool:
        """Whether the kernels that compute synapses and neurons as one know this neuron."""
        return super().fused and self.reset_by is None

    def forward(
        self, current: Tensor | Constant, state: LIFState | None = None, pack: bool = True
    ) -> tuple[Spikes, Tensor, LIFState]:
        """Run all steps.

        Args:
            current: ``[T, B, C, ...]``, or constant in time.
            state: the state before the first step; at rest if None.
            pack: keep the spikes 32 to a word where the kernels can.

        Returns:
            spikes, membrane potential before reset ``[T, B, C, ...]``, the state after the last step.
        """
        beta, threshold = self.parameters_for(tuple(current.shape[2:]))
        amount = self.reset_by
        if amount is not None:
            amount = amount.view(-1, *[1] * (beta.dim() - 1)).expand_as(beta)
        return lif_scan(current, beta, threshold, self.config, state, pack, reset_by=amount)


class LeakyIntegrator(Neurons):
    """Neurons that never fire, so that no threshold is learned: u[t] = beta u[t-1] + I[t], for a membrane readout."""

    def __init__(self, config: NeuronConfig, channels: int) -> None:
        super().__init__(replace(config, learn_threshold=False, adapt_strength=0.0), channels)

    def parameters_for(self, sample: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """beta expanded to one sample's shape ``[C, ...]``, and a threshold out of reach."""
        beta, threshold = super().parameters_for(sample)
        return beta, torch.full_like(threshold, NEVER)

    def shared_parameters(self) -> tuple[Tensor, Tensor]:
        """beta as of any neurons, and a threshold out of reach."""
        beta, threshold = super().shared_parameters()
        return beta, torch.full_like(threshold, NEVER)

    def forward(self, current: Tensor | Constant, state: LIFState | None = None) -> tuple[None, Tensor, LIFState]:
        """Run all steps of ``current`` ``[T, B, C, ...]``; the membrane potentials come back in its shape."""
        beta, never = self.parameters_for(tuple(current.shape[2:]))
        _, potential, end = lif_scan(current, beta, never, self.config, state, False)
        return None, potential, end
