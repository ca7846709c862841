r"""The scan of integer neurons: the program's own steps forward, real gradients backward.

    forward    u[t] = sat((v[t-1] m >> k) + I[t] + b),  s[t] = u[t] >= theta,  v[t] = stored(reset(u[t], s[t]))
               every one a function of :mod:`leanspike.ir.intmath`, on int32 tensors

Backward is :mod:`leanspike.compress.adjoint`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.compress.adjoint import Saved, Sums, adjoint
from leanspike.compress.latent import Latent, ScanConfig, fired_of, int32
from leanspike.compress.synapses import LEAK_BITS, STATE, IntegerCurrent
from leanspike.ir import IntType, intmath
from leanspike.nn.constant import Constant
from leanspike.nn.functional import LIFState
from leanspike.nn.operation import Operation

ADAPTATION = IntType(31, False)


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


def _run(current: Tensor, steps: int, config: ScanConfig, latent: Latent) -> _Ran:
    """The program's steps; ``current`` is int32 ``[T, B, ...]``, or ``[B, ...]``, which ``steps`` steps share."""
    m, b = int32(latent.multiplier), int32(latent.bias)
    theta, amount = (None if x is None else int32(x) for x in (latent.threshold, latent.amount))
    constant = steps > 0
    u = current.new_empty((steps, *current.shape)) if constant else torch.empty_like(current)
    v = torch.zeros_like(u[0])
    refractory = config.neuron.refractory if theta is not None else 0
    held = torch.empty_like(u, dtype=torch.bool) if refractory else None
    hold = torch.zeros_like(v) if refractory else None
    adapting = config.adapting
    a, jump = (torch.zeros_like(v), int32(latent.jump)) if latent.jump is not None else (None, None)
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
        fired = fired_of(now, theta, held, t)
        if a is not None and adapting is not None:
            a = intmath.adapted(a, fired, jump, adapting.decay, LEAK_BITS, ADAPTATION)
        if hold is not None:
            hold = torch.where(fired, refractory, (hold - 1).clamp(min=0))
        kept = intmath.stored(intmath.reset(now, fired, amount, config.neuron.reset), config.codec)
        v = kept if held is None else torch.where(held[t], v, kept)
    return _Ran(u, held, v, hold, w)


class _Scan(Operation):
    @staticmethod
    def forward(ctx, source, steps, config, unit, multiplier, bias, threshold, amount, jump):  # type: ignore[no-untyped-def]
        latent = Latent(unit, multiplier, bias, threshold, amount, jump)
        ran = _run(int32(source), steps, config, latent)
        ctx.set_materialize_grads(False)
        ctx.constant, ctx.config, ctx.bias_shape = steps > 0, config, bias.shape
        ctx.save_for_backward(ran.u, ran.held, unit, multiplier, threshold, amount, jump, ran.w)
        spikes = unit.new_zeros(1).expand(ran.u.shape)
        if threshold is not None:
            spikes = fired_of(ran.u, int32(threshold) if ran.w is None else ran.w, ran.held).to(unit.dtype)
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
        saved = Saved(ctx.config, u, held, unit, multiplier / (1 << LEAK_BITS), threshold, amount, jump, w)
        sums = Sums.zeros(u[0], unit.dtype, learns[1])
        source = adjoint(saved, sums, grad_spikes, grad_potential, ctx.constant)
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
