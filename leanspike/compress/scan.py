r"""The scan of integer neurons: the program's own steps forward, real gradients backward.

    forward    u[t] = sat((v[t-1] m >> k) + I[t] + b),  s[t] = u[t] >= theta,  v[t] = stored(reset(u[t], s[t]))
               every one a function of :mod:`leanspike.ir.intmath`, on int32 tensors

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

from leanspike.compress.membrane import slope
from leanspike.compress.synapses import LEAK_BITS, STATE, IntegerCurrent
from leanspike.ir import Codec, IntType, intmath
from leanspike.nn import NeuronConfig, surrogate
from leanspike.nn.constant import Constant
from leanspike.nn.functional import LIFState
from leanspike.nn.operation import Operation

ADAPTATION = IntType(31, False)


@dataclass(frozen=True)
class Latent:
    """A layer's integers held by floats, ``[C]`` or ``[1]``, with gradients to what they were rounded from.

    Attributes:
        unit: what 1 of a current or potential stands for; no integer.
        threshold, amount: at which neurons fire, and what a subtract reset takes; None where they never fire.
        jump: what a spike adds to the adaptation; None where thresholds do not adapt.
    """

    unit: Tensor
    multiplier: Tensor
    bias: Tensor
    threshold: Tensor | None = None
    amount: Tensor | None = None
    jump: Tensor | None = None


@dataclass(frozen=True)
class Adapting:
    """Multiplier n, fraction f, and whether a subtract reset takes the threshold of the moment."""

    decay: int
    fraction: int
    resets: bool


@dataclass(frozen=True)
class ScanConfig:
    """The neuron, what is kept of its potential, the gradient through that, and what the scan shows.

    Attributes:
        exact: potentials in float64, which holds ``u unit`` without rounding.
        shows: potentials at all; else they are NaN.
        adapting: how thresholds adapt; None where they do not.
    """

    neuron: NeuronConfig
    codec: Codec | None
    gradient: str
    exact: bool
    shows: bool
    adapting: Adapting | None = None


@dataclass(frozen=True)
class Scanned:
    """Spikes and potentials ``[T, B, C, ...]``, and what is carried on, in real units; no spikes: zeros."""

    spikes: Tensor
    potential: Tensor
    state: LIFState


def scan(current: IntegerCurrent, latent: Latent, config: ScanConfig) -> Scanned:
    """Run neurons from rest over all steps of a current."""
    values, steps = current.values, current.shape[0]
    source = values.values if isinstance(values, Constant) else values
    across = (-1, *[1] * (len(current.shape) - 3))
    parts = (latent.unit, latent.multiplier, latent.bias, latent.threshold, latent.amount, latent.jump)
    views = [None if part is None else part.view(across) for part in parts]
    constant = steps if isinstance(values, Constant) else 0
    spikes, potential, end, hold = _Scan.on(source, constant, config, *views)
    return Scanned(spikes, potential, LIFState(end, hold))


@dataclass(frozen=True)
class _Ran:
    """After all steps: potentials before reset, who was held (None without refractory period), and the state; w: the
    thresholds of all steps where they adapt."""

    u: Tensor
    held: Tensor | None
    v: Tensor
    hold: Tensor | None
    w: Tensor | None


def _int32(tensor: Tensor) -> Tensor:
    return tensor.to(torch.int32)


def _run(current: Tensor, steps: int, config: ScanConfig, latent: Latent) -> _Ran:
    """The program's steps; ``current`` is int32 ``[T, B, ...]``, or ``[B, ...]``, which ``steps`` steps share."""
    m, b = _int32(latent.multiplier), _int32(latent.bias)
    theta, amount = (None if x is None else _int32(x) for x in (latent.threshold, latent.amount))
    constant = steps > 0
    u = current.new_empty((steps, *current.shape)) if constant else torch.empty_like(current)
    v = torch.zeros_like(u[0])
    refractory = config.neuron.refractory if theta is not None else 0
    held = torch.empty_like(u, dtype=torch.bool) if refractory else None
    hold = torch.zeros_like(v) if refractory else None
    adapting = config.adapting
    a, jump = (torch.zeros_like(v), _int32(latent.jump)) if latent.jump is not None else (None, None)
    w, base = None if a is None else torch.empty_like(u), theta
    for t in range(len(u)):
        now = intmath.integrate(v, current if constant else current[t], b, m, LEAK_BITS, STATE)
        if held is not None and hold is not None:
            held[t] = hold > 0
            now = torch.where(held[t], v, now)
        u[t] = now
        if theta is None:
            v = now
            continue
        if w is not None and a is not None and adapting is not None:
            theta = w[t] = intmath.raised(base, a, adapting.fraction)
            amount = theta if adapting.resets else amount
        fired = _fired(now, theta, held, t)
        if a is not None and adapting is not None:
            a = intmath.adapted(a, fired, jump, adapting.decay, LEAK_BITS, ADAPTATION)
        if hold is not None:
            hold = torch.where(fired, refractory, (hold - 1).clamp(min=0))
        kept = intmath.stored(intmath.reset(now, fired, amount, config.neuron.reset), config.codec)
        v = kept if held is None else torch.where(held[t], v, kept)
    return _Ran(u, held, v, hold, w)


def _fired(u: Tensor, theta: Tensor, held: Tensor | None, t: int | None = None) -> Tensor:
    fired: Tensor = intmath.fire(u, theta)
    if held is None:
        return fired
    return fired & ~(held if t is None else held[t])


class _Scan(Operation):
    @staticmethod
    def forward(ctx, source, steps, config, unit, multiplier, bias, threshold, amount, jump):  # type: ignore[no-untyped-def]
        latent = Latent(unit, multiplier, bias, threshold, amount, jump)
        ran = _run(_int32(source), steps, config, latent)
        ctx.set_materialize_grads(False)
        ctx.constant, ctx.config, ctx.bias_shape = steps > 0, config, bias.shape
        ctx.save_for_backward(ran.u, ran.held, unit, multiplier, threshold, amount, jump, ran.w)
        spikes = unit.new_zeros(1).expand(ran.u.shape)
        if threshold is not None:
            spikes = _fired(ran.u, _int32(threshold) if ran.w is None else ran.w, ran.held).to(unit.dtype)
        potential, wide = unit.new_full((1,), torch.nan).expand(ran.u.shape), unit.dtype
        if config.shows:
            wide = torch.float64 if config.exact else unit.dtype
            potential = ran.u.to(wide) * unit.to(wide)
        end = ran.v * unit
        ctx.mark_non_differentiable(end, *([] if ran.hold is None else [ran.hold]))
        return spikes, potential, end, ran.hold

    @staticmethod
    def backward(ctx, grad_spikes, grad_potential, _end, _hold):  # type: ignore[no-untyped-def]
        u, held, unit, multiplier, threshold, amount, jump, w = ctx.saved_tensors
        learns = ctx.needs_input_grad[3:]
        saved = _Saved(ctx.config, u, held, unit, multiplier / (1 << LEAK_BITS), threshold, amount, jump, w)
        sums = _Sums.zeros(u[0], unit.dtype, learns[1])
        source = _adjoint(saved, sums, grad_spikes, grad_potential, ctx.constant)
        shapes = (
            unit.shape,
            multiplier.shape,
            ctx.bias_shape,
            *(x is not None and x.shape for x in (threshold, amount, jump)),
        )
        totals = (sums.unit, sums.leak, sums.bias, -sums.spikes * unit, sums.amount, sums.jump)
        found = (
            total.sum_to_size(shape) if needed and total is not None else None
            for total, shape, needed in zip(totals, shapes, learns, strict=True)
        )
        return source, None, None, *found


@dataclass(frozen=True)
class _Saved:
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
class _Sums:
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
    def zeros(like: Tensor, dtype: torch.dtype, leak: bool) -> _Sums:
        unit, bias, spikes, amount, jump, arriving = (torch.zeros_like(like, dtype=dtype) for _ in range(6))
        return _Sums(unit, torch.zeros_like(unit) if leak else None, bias, spikes, amount, jump, arriving)


def _adjoint(
    saved: _Saved, sums: _Sums, grad_spikes: Tensor | None, grad_potential: Tensor | None, constant: bool
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


def _through_firing(saved: _Saved, sums: _Sums, t: int, u: Tensor, ds: Tensor | None, dv: Tensor | None) -> Tensor:
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
    adapting: Adapting, sums: _Sums, x: Tensor, second: Tensor | None, by_reset: Tensor | None
) -> None:
    """What arrives at the adaptation before a step: what arrived behind it, and what comes by the threshold."""
    by_w = -x if second is None else -x * (1 + second)
    if by_reset is not None and adapting.resets:
        by_w = by_w + by_reset
    sums.arriving.mul_(adapting.decay / (1 << LEAK_BITS)).add_(by_w, alpha=2.0**-adapting.fraction)


def _carried(saved: _Saved, t: int) -> Tensor:
    """What step t + 1 reads, in units."""
    u, kept = saved.u[t], saved.u[t]
    if saved.threshold is not None and saved.amount is not None:
        threshold, amount = saved.firing(t)
        fired = _fired(u, _int32(threshold), saved.held, t)
        after = intmath.reset(u, fired, _int32(amount), saved.config.neuron.reset)
        kept = intmath.stored(after, saved.config.codec)
        kept = kept if saved.held is None else torch.where(saved.held[t], u, kept)
    return kept.to(saved.unit.dtype)
