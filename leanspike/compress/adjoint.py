r"""The backward of the scan of integer neurons.

The loss sees s and the potential u unit. Backward treats every floor, rounding and saturation as the identity, the
codec as :mod:`leanspike.compress.membrane` says, and the spike by its surrogate g at x = (u - theta) unit, the unit in
which the surrogate was chosen. With ds and du what arrives at spikes and potentials, a what a reset takes, from T-1 to
0:

    r   = dv[t] stored'(reset(u[t]))              ds' = ds - a r   (subtract)   ds - u r   (zero; ds: reset detached)
    k_t = ds' g unit + du unit + r                (subtract)                    ... + r (1 - s)   (zero)
    dI[t] = k_t,  db += k_t,  dm += k_t v[t-1] / 2^k,  dtheta -= ds' g unit,  da -= s r (subtract),
    dunit += du u + ds' g (u - theta),  dv[t-1] = k_t m / 2^k

Where thresholds adapt, w[t] = theta + a[t] / 2^f stands for theta above, and for a where a reset takes the threshold;
a[t+1] = (a[t] n >> k) + j s[t]. With da what arrives at a[t+1] (0 after the last step):

    ds <- ds + j da[t+1],  dj += s da[t+1],  dw = -ds' g unit - s r (subtract),  da[t] = da[t+1] n / 2^k + dw / 2^f

dtheta has LT-SNN's second path too, -= ds' g unit sig(x) s, where the neuron's ``threshold_path`` is ``sigmoid``.
For a held neuron (refractory) g = 0 and k_t passes to v[t-1] as it is, past the codec, with dI = db = dm = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.compress.latent import Adapting, ScanConfig, fired_of, int32
from leanspike.compress.membrane import slope
from leanspike.compress.synapses import LEAK_BITS
from leanspike.ir import intmath
from leanspike.nn import surrogate


@dataclass(frozen=True)
class Saved:
    """What backward reads; ``leak`` is m / 2^k, thresholds and amounts are integers held by floats."""

    config: ScanConfig
    u: Tensor
    held: Tensor | None
    unit: Tensor
    leak: Tensor
    threshold: Tensor | None
    amount: Tensor | None
    jump: Tensor | None
    w: Tensor | None

    def firing(self, t: int) -> tuple[Tensor, Tensor]:
        """Threshold and amount of step t, in units."""
        assert self.threshold is not None
        assert self.amount is not None
        if self.w is None or self.config.adapting is None:
            return self.threshold, self.amount
        now = self.w[t].to(self.unit.dtype)
        return now, now if self.config.adapting.resets else self.amount

    @property
    def subtracts(self) -> bool:
        """Whether a reset takes an amount away."""
        return self.config.neuron.reset == "subtract"

    def free(self, t: int, values: Tensor, held: Tensor | float = 0.0) -> Tensor:
        """``values`` of neurons that are not held in step t, ``held`` of the others."""
        return values if self.held is None else torch.where(self.held[t], held, values)


@dataclass(frozen=True)
class Sums:
    """What the steps give to the layer's parameters, ``[B, C, ...]``; ``spikes``: the sum of ds' g, ``arriving``: what
    arrives at the adaptation after the step at hand."""

    unit: Tensor
    leak: Tensor | None
    bias: Tensor
    spikes: Tensor
    amount: Tensor
    jump: Tensor
    arriving: Tensor

    @staticmethod
    def zeros(like: Tensor, dtype: torch.dtype, leak: bool) -> Sums:
        unit, bias, spikes, amount, jump, arriving = (torch.zeros_like(like, dtype=dtype) for _ in range(6))
        return Sums(unit, torch.zeros_like(unit) if leak else None, bias, spikes, amount, jump, arriving)


def adjoint(
    saved: Saved, sums: Sums, grad_spikes: Tensor | None, grad_potential: Tensor | None, constant: bool
) -> Tensor:
    """The gradient of the currents, of all steps together where they are constant; ``sums`` are added to."""
    source = sums.bias if constant else torch.empty_like(saved.u, dtype=saved.unit.dtype)
    dv: Tensor | None = None
    for t in reversed(range(len(saved.u))):
        ds = None if grad_spikes is None else grad_spikes[t]
        u = saved.u[t].to(saved.unit.dtype)
        if saved.threshold is not None:
            k = _through_firing(saved, sums, t, u, ds, dv)
        else:
            k = torch.zeros_like(u) if dv is None else dv
        if grad_potential is not None:
            du = grad_potential[t].to(k.dtype)
            sums.unit.addcmul_(du, u)
            k = torch.addcmul(k, du, saved.unit)
        own = saved.free(t, k)
        if not constant:
            source[t] = own
        sums.bias.add_(own)
        if t and sums.leak is not None:
            sums.leak.addcmul_(own, _carried(saved, t - 1), value=1 / (1 << LEAK_BITS))
        dv = saved.free(t, k * saved.leak, k)
    return source


def _through_firing(saved: Saved, sums: Sums, t: int, u: Tensor, ds: Tensor | None, dv: Tensor | None) -> Tensor:
    """What comes to the potential through spike, reset and codec of step t."""
    neuron, (threshold, amount) = saved.config.neuron, saved.firing(t)
    above, k, by_w = u - threshold, None, None
    s = saved.free(t, (above >= 0).to(u.dtype)) if dv is not None or saved.jump is not None else None
    if saved.jump is not None and s is not None:
        ds = sums.arriving * saved.jump if ds is None else ds + sums.arriving * saved.jump
        sums.jump.addcmul_(sums.arriving, s)
    if dv is not None and s is not None:
        codec = saved.config.codec
        r = dv
        if codec is not None:
            after = torch.addcmul(u, s, amount, value=-1) if saved.subtracts else u * (1 - s)
            r = saved.free(t, slope(after, codec, saved.config.gradient).mul_(dv), dv)
        if not neuron.detach_reset:
            back = r * (amount if saved.subtracts else u)
            ds = -back if ds is None else ds - back
        k = r if saved.subtracts else r * (1 - s)
        if saved.subtracts:
            sums.amount.addcmul_(s, r, value=-1)
            by_w = -s * r
    if ds is None:
        return torch.zeros_like(u) if k is None else k
    x = saved.free(t, ds * surrogate.derivative(neuron.surrogate, above * saved.unit, neuron.surrogate_scale))
    sums.unit.addcmul_(x, above)
    sums.spikes.add_(x)
    second = (above >= 0) * torch.sigmoid(above * saved.unit) if neuron.threshold_path == "sigmoid" else None
    if second is not None:
        sums.spikes.addcmul_(x, second)
    if saved.config.adapting is not None:
        _through_adaptation(saved.config.adapting, sums, x * saved.unit, second, by_w)
    return x * saved.unit if k is None else torch.addcmul(k, x, saved.unit)


def _through_adaptation(
    adapting: Adapting, sums: Sums, x: Tensor, second: Tensor | None, by_reset: Tensor | None
) -> None:
    """What arrives at the adaptation before a step: what arrived behind it, and what comes by the threshold."""
    by_w = -x if second is None else -x * (1 + second)
    if by_reset is not None and adapting.resets:
        by_w = by_w + by_reset
    sums.arriving.mul_(adapting.decay / (1 << LEAK_BITS)).add_(by_w, alpha=2.0**-adapting.fraction)


def _carried(saved: Saved, t: int) -> Tensor:
    """What step t + 1 reads, in units."""
    u, kept = saved.u[t], saved.u[t]
    if saved.threshold is not None and saved.amount is not None:
        threshold, amount = saved.firing(t)
        fired = fired_of(u, int32(threshold), saved.held, t)
        after = intmath.reset(u, fired, int32(amount), saved.config.neuron.reset)
        kept = intmath.stored(after, saved.config.codec)
        kept = kept if saved.held is None else torch.where(saved.held[t], u, kept)
    return kept.to(saved.unit.dtype)
