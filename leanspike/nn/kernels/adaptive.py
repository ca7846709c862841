r"""The scan of neurons with adapting thresholds, with a hand-written backward, in torch: what the C kernel equals.

Forward is :func:`leanspike.nn.functional.lif_step`. Of the spikes alone, a[t+1] = decay a[t] + s[t] gives the
effective threshold theta[t] = threshold + strength a[t] again, so backward keeps potentials and spikes and no more than
a plain scan does. With g, ds, du, dv as in :mod:`leanspike.nn.kernels.reference` and da the gradient that arrives at
a[t+1] (zero after the last step), from T-1 to 0:

    ds' = ds + da - theta[t] dv      (subtract; the reset path, -theta[t] dv, left out where the reset is detached)
    ds' = ds + da - u dv             (zero; likewise)
    k   = ds' g + du + dv            (subtract)        ds' g + du + dv (1 - s)     (zero)
    dtheta[t] = -ds' g - s dv        (subtract)        -ds' g                      (zero)
    dI[t] = k,  dbeta += k v[t-1],  dthreshold += dtheta[t],  dv <- beta k,  da <- decay da + strength dtheta[t]

For a held neuron g = 0, and k passes to v[t-1] unscaled, with dI = dbeta = 0. LT-SNN's second path reads theta[t], too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.nn import surrogate
from leanspike.nn.functional import LIFState
from leanspike.nn.kernels import reference
from leanspike.nn.kernels.reference import Scanned
from leanspike.nn.neuron import NeuronConfig


@dataclass(frozen=True)
class Arriving:
    """Gradients that arrive at spikes and potentials ``[T, B, ...]``, and at the end's ``[B, ...]``; None for zero."""

    spikes: Tensor | None
    potential: Tensor | None
    end: Tensor | None
    adaptation: Tensor | None


@dataclass(frozen=True)
class Gradients:
    """What a backward scan gives: ``beta``, ``threshold`` a feature; ``potential``, ``adaptation`` of the start."""

    current: Tensor
    beta: Tensor | None
    threshold: Tensor | None
    potential: Tensor
    adaptation: Tensor


def forward(
    current: Tensor, steps: int, beta: Tensor, threshold: Tensor, state: LIFState, config: NeuronConfig, smooth: bool
) -> Scanned:
    """Scan ``current``: ``[T, B, ...]``, or ``[B, ...]`` where it is constant over ``steps`` steps."""
    return reference.forward(current, steps, beta, threshold, state, config, smooth)


def thresholds(spikes: Tensor, start: Tensor, threshold: Tensor, config: NeuronConfig) -> Tensor:
    """Effective thresholds ``[T, B, ...]`` from the spikes, and ``start`` ``[B, ...]`` before the first step."""
    found, a = torch.empty_like(spikes), start
    for t, fired in enumerate(spikes):
        found[t] = threshold + config.adapt_strength * a
        a = config.adapt_decay * a + fired
    return found


def backward(
    scanned: Scanned,
    start: LIFState,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    constant: bool,
    arriving: Arriving,
    learn: bool,
) -> Gradients:
    """The backward scan; ``start`` is the state before the first step."""
    assert start.adaptation is not None
    u, s = scanned.potential, scanned.spikes
    theta = thresholds(s, start.adaptation, threshold, config)
    dv = torch.zeros_like(u[0]) if arriving.end is None else arriving.end.clone()
    da = torch.zeros_like(u[0]) if arriving.adaptation is None else arriving.adaptation.clone()
    d_current = torch.zeros_like(u[0]) if constant else torch.empty_like(u)
    d_beta, d_threshold = torch.zeros_like(u[0]), torch.zeros_like(u[0])
    subtract = config.reset == "subtract"
    for t in range(u.shape[0] - 1, -1, -1):
        ds = da if arriving.spikes is None else arriving.spikes[t] + da
        if not config.detach_reset:
            ds = ds - (theta[t] if subtract else u[t]) * dv
        free = 1.0 if scanned.held is None else (~scanned.held[t]).to(u.dtype)
        above = u[t] - theta[t]
        through = ds * surrogate.derivative(config.surrogate, above, config.surrogate_scale) * free
        k = through + (dv if subtract else dv * (1 - s[t]))
        if arriving.potential is not None:
            k = k + arriving.potential[t]
        d_theta = -through - (s[t] * dv if subtract else 0)
        if config.learn_threshold and config.threshold_path == "sigmoid":
            d_theta = d_theta - through * torch.sigmoid(above) * s[t]
        if constant:
            d_current += k * free
        else:
            d_current[t] = k * free
        before = start.potential if t == 0 else _carried(u[t - 1], s[t - 1], theta[t - 1], subtract)
        d_beta += k * free * before
        d_threshold += d_theta
        dv = beta * (k * free) + k * (1 - free)
        da = config.adapt_decay * da + config.adapt_strength * d_theta
    by_beta, by_threshold = (d_beta.sum(0), d_threshold.sum(0)) if learn else (None, None)
    return Gradients(d_current, by_beta, by_threshold, dv, da)


def _carried(u: Tensor, s: Tensor, theta: Tensor, subtract: bool) -> Tensor:
    return u - s * theta if subtract else u * (1 - s)
