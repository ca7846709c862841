# mypy: disable-error-code="no-untyped-def,no-untyped-call,misc,untyped-decorator,operator"
r"""The LIF scan in Triton, one kernel forward and one backward; imported only where Triton is installed.

Forward, for every neuron of every sample, with u and v in registers over all T steps:

    u = beta v + I[t],   s = 1[u >= threshold],   v = u - s threshold  (subtract)   or   v = u (1 - s)  (zero)

Backward is the recursion of :mod:`reference`, from T-1 to 0, with dv in registers. Arithmetic is float32
whatever the tensors' type: in float16 and bfloat16, u is rounded where it is stored, never where it is carried,
so there the spikes are read back; in float32 they are the comparison of the stored u with the threshold.

A pointer that is None is left out of the compiled kernel. Tensors are contiguous ``[T, elements]``, ``[elements]``
or ``[features]``, with elements = B * features; pointers move one step a time, so that no offset outgrows 32 bits.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def lif_forward(
    current, beta, threshold, start, hold, spikes, potential, held, end, end_hold,
    elements, features, steps, refractory, CONSTANT: tl.constexpr, ZERO: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Spikes, potentials and end state; ``hold``, ``held`` and ``end_hold`` are None without refractory period."""
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = element < elements
    b = _read(beta, element % features, inside)
    theta = _read(threshold, element % features, inside)
    v = _read(start, element, inside)
    if CONSTANT:
        i = _read(current, element, inside)
    if hold is not None:
        wait = tl.load(hold + element, mask=inside, other=0)
    for _ in range(steps):
        if not CONSTANT:
            i = _read(current, element, inside)
            current += elements
        u = b * v + i
        fired = u >= theta
        if hold is not None:
            u = tl.where(wait > 0, v, u)
            fired = (u >= theta) & (wait == 0)
            tl.store(held + element, (wait > 0).to(tl.uint8), mask=inside)
            held += elements
            wait = tl.where(fired, refractory, tl.maximum(wait - 1, 0))
        tl.store(potential + element, u.to(potential.dtype.element_ty), mask=inside)
        tl.store(spikes + element, tl.where(fired, 1.0, 0.0).to(spikes.dtype.element_ty), mask=inside)
        potential += elements
        spikes += elements
        v = tl.where(fired, 0.0 if ZERO else u - theta, u)
    tl.store(end + element, v.to(end.dtype.element_ty), mask=inside)
    if hold is not None:
        tl.store(end_hold + element, wait, mask=inside)


@triton.jit
def lif_backward(
    potential, spikes, held, start, beta, threshold, grad_spikes, spikes_step, grad_potential, potential_step, grad_end,
    grad_current, grad_start, grad_beta, grad_threshold, elements, features, steps, scale,
    SURROGATE: tl.constexpr, CONSTANT: tl.constexpr, ZERO: tl.constexpr, THROUGH: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of the current, the start state and, where asked for, each element's share of beta and threshold.

    ``spikes`` None: compare the potential with the threshold. A step of 0: the gradient is the same at every step.
    ``THROUGH``: gradient flows through the reset.
    """
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = element < elements
    b = _read(beta, element % features, inside)
    theta = _read(threshold, element % features, inside)
    zeros = tl.zeros([BLOCK], dtype=tl.float32)
    dv, total, d_beta, d_theta = zeros, zeros, zeros, zeros
    if grad_end is not None:
        dv = _read(grad_end, element, inside)
    if grad_beta is not None:
        first = _read(start, element, inside)

    potential = _last(potential, steps, elements)
    spikes = _last(spikes, steps, elements)
    held = _last(held, steps, elements)
    grad_spikes = _last(grad_spikes, steps, spikes_step)
    grad_potential = _last(grad_potential, steps, potential_step)
    if not CONSTANT:
        grad_current = _last(grad_current, steps, elements)
    u = _read(potential, element, inside)
    fired = _fired(u, theta, spikes, element, inside)
    for back in range(steps):
        more = inside & (tl.full([BLOCK], back + 1, tl.int32) < steps)
        potential -= elements
        if spikes is not None:
            spikes -= elements
        before = _read(potential, element, more)
        fired_before = _fired(before, theta, spikes, element, more)

        ds = zeros
        if grad_spikes is not None:
            ds = _read(grad_spikes, element, inside)
            grad_spikes -= spikes_step
        if THROUGH:
            ds -= (u if ZERO else theta) * dv
        gate = ds * _slope(u - theta, scale, SURROGATE)
        if held is not None:
            free = tl.load(held + element, mask=inside, other=0) == 0
            held -= elements
            gate = tl.where(free, gate, 0.0)
        k = gate + (tl.where(fired, 0.0, dv) if ZERO else dv)
        if grad_potential is not None:
            k += _read(grad_potential, element, inside)
            grad_potential -= potential_step
        taken = k
        if held is not None:
            taken = tl.where(free, k, 0.0)
        if CONSTANT:
            total += taken
        else:
            tl.store(grad_current + element, taken.to(grad_current.dtype.element_ty), mask=inside)
            grad_current -= elements
        if grad_beta is not None:
            reset = tl.where(fired_before, 0.0 if ZERO else before - theta, before)
            d_beta += taken * tl.where(more, reset, first)
            d_theta -= gate + (zeros if ZERO else tl.where(fired, dv, 0.0))
        dv = b * taken
        if held is not None:
            dv = tl.where(free, dv, k)
        u = before
        fired = fired_before

    tl.store(grad_start + element, dv.to(grad_start.dtype.element_ty), mask=inside)
    if CONSTANT:
        tl.store(grad_current + element, total.to(grad_current.dtype.element_ty), mask=inside)
    if grad_beta is not None:
        tl.store(grad_beta + element, d_beta, mask=inside)
        tl.store(grad_threshold + element, d_theta, mask=inside)


@triton.jit
def _read(pointer, element, inside):
    return tl.load(pointer + element, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def _last(pointer, steps, stride):
    """The pointer, moved from the first step to the last."""
    if pointer is not None:
        pointer += (tl.cast(steps, tl.int64) - 1) * stride
    return pointer


@triton.jit
def _fired(u, theta, spikes, element, inside):
    fired = u >= theta
    if spikes is not None:
        fired = tl.load(spikes + element, mask=inside, other=0.0) > 0
    return fired


@triton.jit
def _slope(x, scale, SURROGATE: tl.constexpr):
    """The surrogate's derivative, see :mod:`leanspike.nn.surrogate`."""
    if SURROGATE == "atan":
        z = 1.5707963267948966 * scale * x
        slope = 0.5 * scale / (1.0 + z * z)
    elif SURROGATE == "sigmoid":
        y = tl.sigmoid(scale * x)
        slope = scale * y * (1.0 - y)
    elif SURROGATE == "fast_sigmoid":
        y = 1.0 + scale * tl.abs(x)
        slope = 1.0 / (y * y)
    elif SURROGATE == "triangle":
        slope = scale * tl.maximum(1.0 - scale * tl.abs(x), 0.0)
    elif SURROGATE == "rectangle":
        slope = tl.where(tl.abs(x) < 0.5 / scale, scale, 0.0)
    else:
        tl.static_assert(SURROGATE == "straight_through")
        slope = tl.zeros_like(x) + scale
    return slope
