r"""The leaky integrate-and-fire neuron, one step and a whole sequence, in plain torch: the reference.

    u[t] = beta v[t-1] + I[t]          leak, integrate
    s[t] = 1[u[t] >= threshold]        fire on >=
    v[t] = u[t] - s[t] threshold       reset at once, "subtract"
    v[t] = u[t] (1 - s[t])             reset at once, "zero"

With adaptation (ALIF; Bellec et al. 2018, arXiv:1803.09574; Yin, Corradi, Bohte 2021, arXiv:2103.12593, whose b0 is the
threshold, beta the strength and rho the decay, here without their factor 1 - rho before the spike) every spike raises
the neuron's own threshold, and all of the above reads that effective threshold, the subtract reset included:

    theta[t] = threshold + strength a[t]          a[0] = 0
    a[t+1]   = decay a[t] + s[t]                  a held neuron's a decays, too

Gradients flow through a also where the reset is detached.

A layer may have a reset amount of its own, which a subtract reset takes in place of the threshold: theta / beta says
what other simulators do one step late, 0 is no reset. With a refractory period of R steps, a neuron that fired is
held for the next R: u = v, no input, no leak, no spike. u is called the membrane potential everywhere in leanspike;
v is what is carried to the next step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.nn import surrogate
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation

SpikeFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LIFState:
    """What a LIF layer carries from step to step.

    Attributes:
        potential: ``[B, ...]`` membrane potential after reset.
        hold: ``[B, ...]`` int32, steps that each neuron is still held silent; None without refractory period.
        adaptation: ``[B, ...]`` a, 0 or more; None where thresholds do not adapt.
    """

    potential: Tensor
    hold: Tensor | None = None
    adaptation: Tensor | None = None

    @staticmethod
    def zeros(like: Tensor, config: NeuronConfig) -> LIFState:
        """The state at rest, shaped like one step ``[B, ...]`` of current."""
        hold = torch.zeros_like(like, dtype=torch.int32) if config.refractory else None
        return LIFState(torch.zeros_like(like), hold, torch.zeros_like(like) if config.adapts else None)


class _HardSpike(Operation):
    @staticmethod
    def forward(ctx, x: Tensor, name: str, scale: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.name, ctx.scale = name, scale
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad * surrogate.derivative(ctx.name, x, ctx.scale), None, None


def spike_function(config: NeuronConfig, smooth: bool = False) -> SpikeFunction:
    """The step function with its surrogate gradient, or (``smooth``) the surrogate's antiderivative."""
    name, scale = config.surrogate, config.surrogate_scale
    if smooth:
        return lambda x: surrogate.primitive(name, x, scale)

    def hard(x: Tensor) -> Tensor:
        spikes: Tensor = _HardSpike.on(x, name, scale)
        return spikes

    return hard


def lif_step(
    current: Tensor,
    state: LIFState,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    spike: SpikeFunction,
    reset_by: Tensor | None = None,
) -> tuple[Tensor, Tensor, LIFState]:
    """One step of a LIF layer.

    Args:
        current: ``[B, ...]`` input current.
        state: the state before the step.
        beta, threshold: broadcastable to ``[B, ...]``.
        spike: from :func:`spike_function`.
        reset_by: what a subtract reset takes; the threshold if None.

    Returns:
        spikes ``[B, ...]``, membrane potential before reset ``[B, ...]``, the state after the step.
    """
    u = beta * state.potential + current
    hold = state.hold
    if hold is not None:
        u = torch.where(hold > 0, state.potential, u)
    adaptation = state.adaptation
    if config.adapts:
        adaptation = torch.zeros_like(u) if adaptation is None else adaptation
        threshold = threshold + config.adapt_strength * adaptation
    s = spike(u - threshold)
    if hold is not None:
        s = s * (hold == 0).to(s.dtype)
        hold = torch.where(s > 0, config.refractory, (hold - 1).clamp(min=0)).to(torch.int32)
    fired = s.detach() if config.detach_reset else s
    amount = threshold if reset_by is None else reset_by
    v = u - fired * amount if config.reset == "subtract" else u * (1 - fired)
    if adaptation is not None:
        adaptation = config.adapt_decay * adaptation + s
    return s, u, LIFState(v, hold, adaptation)


def lif(
    current: Tensor,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    state: LIFState | None = None,
    smooth: bool = False,
    reset_by: Tensor | None = None,
) -> tuple[Tensor, Tensor, LIFState]:
    """A whole sequence, step by step under autograd: memory and time grow with T; the definition of the kernels.

    Args:
        current: ``[T, B, ...]``.

    Returns:
        spikes ``[T, B, ...]``, membrane potential before reset ``[T, B, ...]``, the state after the last step.
    """
    state = state or LIFState.zeros(current[0], config)
    spike = spike_function(config, smooth)
    spikes, potentials = [], []
    for step in current:
        s, u, state = lif_step(step, state, beta, threshold, config, spike, reset_by)
        spikes.append(s)
        potentials.append(u)
    return torch.stack(spikes), torch.stack(potentials), state
