r"""The LIF scan with a hand-written backward, in torch: the definition that the C and Triton kernels equal.

With g = surrogate'(u - threshold), ds the gradient arriving at the spikes, du that arriving at the potentials
and dv that arriving at the carried potential v (zero after the last step), the backward pass runs from T-1 to 0:

    ds' = ds - threshold dv          (subtract; the reset path, left out where the reset is detached)
    ds' = ds - u dv                  (zero; likewise)
    k   = ds' g + du + dv            (subtract)
    k   = ds' g + du + dv (1 - s)    (zero)
    dI[t] = k,  dbeta += k v[t-1],  dthreshold -= ds' g + s dv (the last term: subtract only),  dv <- beta k

LT-SNN's threshold has a second path (``threshold_path="sigmoid"``): with sig the logistic function, dthreshold -=
ds' g sig(u - threshold) s, on top of the above: in its repository the threshold enters u - threshold as well, and
autograd adds both.

For a held neuron g = 0 and k passes to v[t-1] unscaled, with dI = dbeta = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.nn import surrogate
from leanspike.nn.functional import LIFState, lif_step
from leanspike.nn.neuron import NeuronConfig


@dataclass(frozen=True)
class Scanned:
    """What a forward scan leaves: all ``[T, B, ...]`` but the state after the last step."""

    spikes: Tensor
    potential: Tensor
    held: Tensor | None
    state: LIFState


@dataclass(frozen=True)
class Gradients:
    """What a backward scan gives: ``current`` like the current that went in, ``beta`` and ``threshold`` a feature."""

    current: Tensor
    beta: Tensor | None
    threshold: Tensor | None
    potential: Tensor


def forward(
    current: Tensor, steps: int, beta: Tensor, threshold: Tensor, state: LIFState, config: NeuronConfig, smooth: bool
) -> Scanned:
    """Scan ``current``: ``[T, B, ...]``, or ``[B, ...]`` where it is constant over ``steps`` steps."""
    constant = current.dim() == state.potential.dim()

    def spike(x: Tensor) -> Tensor:
        if smooth:
            return surrogate.primitive(config.surrogate, x, config.surrogate_scale)
        return (x >= 0).to(x.dtype)

    spikes, potentials, helds = [], [], []
    for t in range(steps):
        if state.hold is not None:
            helds.append(state.hold > 0)
        s, u, state = lif_step(current if constant else current[t], state, beta, threshold, config, spike)
        spikes.append(s)
        potentials.append(u)
    held = torch.stack(helds) if helds else None
    return Scanned(torch.stack(spikes), torch.stack(potentials), held, state)


def backward(
    scanned: Scanned,
    start: Tensor,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    constant: bool,
    grad_spikes: Tensor | None,
    grad_potential: Tensor | None,
    grad_end: Tensor | None,
    learn: bool,
) -> Gradients:
    """The backward scan; ``start`` is the carried potential ``[B, ...]`` before the first step."""
    u, s = scanned.potential, scanned.spikes
    dv = torch.zeros_like(u[0]) if grad_end is None else grad_end.clone()
    d_current = torch.zeros_like(u[0]) if constant else torch.empty_like(u)
    d_beta, d_threshold = (torch.zeros_like(u[0]), torch.zeros_like(u[0])) if learn else (None, None)
    subtract = config.reset == "subtract"
    for t in range(u.shape[0] - 1, -1, -1):
        ds = torch.zeros_like(u[t]) if grad_spikes is None else grad_spikes[t]
        if not config.detach_reset:
            ds = ds - (threshold if subtract else u[t]) * dv
        through = ds * surrogate.derivative(config.surrogate, u[t] - threshold, config.surrogate_scale)
        free = None if scanned.held is None else (~scanned.held[t]).to(u.dtype)
        if free is not None:
            through = through * free
        k = through + (dv if subtract else dv * (1 - s[t]))
        if grad_potential is not None:
            k = k + grad_potential[t]
        k_free = k if free is None else k * free
        if constant:
            d_current += k_free
        else:
            d_current[t] = k_free
        if d_beta is not None and d_threshold is not None:
            before = start if t == 0 else _carried(u[t - 1], s[t - 1], threshold, subtract)
            d_beta += k_free * before
            d_threshold -= through + (s[t] * dv if subtract else 0)
            if config.threshold_path == "sigmoid":
                d_threshold -= through * torch.sigmoid(u[t] - threshold) * s[t]
        dv = beta * k_free if free is None else beta * k_free + k * (1 - free)
    return Gradients(
        d_current,
        None if d_beta is None else d_beta.sum(0),
        None if d_threshold is None else d_threshold.sum(0),
        dv,
    )


def _carried(u: Tensor, s: Tensor, threshold: Tensor, subtract: bool) -> Tensor:
    return u - s * threshold if subtract else u * (1 - s)
