"""The scan of neurons with adapting thresholds: as :mod:`leanspike.nn.scan`, with a state more.

The C kernel serves float32 on the CPU without refractory period; all else, CUDA too, takes the torch scan. Memory for
backward is that of a plain scan, the membrane potential ``[T, B, ...]``: backward finds the thresholds again.
"""

from __future__ import annotations

from torch import Tensor

from leanspike.nn.functional import LIFState
from leanspike.nn.kernels import adaptive, cpu, cpu_adaptive
from leanspike.nn.kernels.adaptive import Arriving
from leanspike.nn.kernels.reference import Scanned
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes


def adaptive_scan(
    source: Tensor,
    steps: int,
    beta: Tensor,
    threshold: Tensor,
    start: LIFState,
    config: NeuronConfig,
    pack: bool = True,
    smooth: bool = False,
) -> tuple[Spikes, Tensor, LIFState]:
    """Run adaptive neurons over ``source`` ``[T, B, ...]``, or ``[B, ...]`` seen ``steps`` times.

    Args:
        start: the state before the first step; an adaptation of None is 0.
        pack, smooth: see :func:`leanspike.nn.lif_scan`.

    Returns:
        spikes, membrane potential before reset ``[T, B, ...]``, the state after the last step.
    """
    a = start.potential.new_zeros(start.potential.shape) if start.adaptation is None else start.adaptation
    fast = cpu.serves(source) and config.has_kernels and not smooth
    if fast and pack:
        edge, u, end, end_a, bits = _PackedScan.on(source, steps, beta, threshold, start.potential, a, config)
        shape = (steps, *start.potential.shape)
        return Spikes.packed(bits, shape, edge), u, LIFState(end, None, end_a)
    kernel = cpu_adaptive if fast else adaptive
    values, u, end, hold, end_a = _Scan.on(
        source, steps, beta, threshold, start.potential, a, start.hold, config, smooth, kernel
    )
    return Spikes.of(values), u, LIFState(end, hold, end_a)


class _Scan(Operation):
    @staticmethod
    def forward(ctx, source, steps, beta, threshold, start, a, hold, config, smooth, kernel):  # type: ignore[no-untyped-def]
        scanned = kernel.forward(source, steps, beta, threshold, LIFState(start, hold, a), config, smooth)
        ctx.set_materialize_grads(False)
        ctx.kernel, ctx.config, ctx.constant, ctx.held = kernel, config, source.dim() == start.dim(), scanned.held
        ctx.save_for_backward(beta, threshold, start, a, scanned.spikes, scanned.potential)
        end = scanned.state
        if end.hold is not None:
            ctx.mark_non_differentiable(end.hold)
        return scanned.spikes, scanned.potential, end.potential, end.hold, end.adaptation

    @staticmethod
    def backward(ctx, grad_spikes, grad_potential, grad_end, _hold, grad_a):  # type: ignore[no-untyped-def]
        beta, threshold, start, a, spikes, potential = ctx.saved_tensors
        begin = LIFState(start, None, a)
        learn = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
        arriving = Arriving(grad_spikes, grad_potential, grad_end, grad_a)
        scanned = Scanned(spikes, potential, ctx.held, begin)
        g = ctx.kernel.backward(scanned, begin, beta, threshold, ctx.config, ctx.constant, arriving, learn)
        return g.current, None, g.beta, g.threshold, g.potential, g.adaptation, None, None, None, None


class _PackedScan(Operation):
    @staticmethod
    def forward(ctx, source, steps, beta, threshold, start, a, config):  # type: ignore[no-untyped-def]
        u, end, bits = cpu_adaptive.forward_packed(source, steps, beta, threshold, LIFState(start, None, a), config)
        ctx.set_materialize_grads(False)
        ctx.config, ctx.constant = config, source.dim() == start.dim()
        ctx.save_for_backward(beta, threshold, start, a, u)
        ctx.mark_non_differentiable(bits)
        return u.new_zeros(1).expand(u.shape), u, end.potential, end.adaptation, bits

    @staticmethod
    def backward(ctx, grad_spikes, grad_potential, grad_end, grad_a, _bits):  # type: ignore[no-untyped-def]
        beta, threshold, start, a, u = ctx.saved_tensors
        begin = LIFState(start, None, a)
        learn = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
        arriving = Arriving(grad_spikes, grad_potential, grad_end, grad_a)
        scanned = Scanned(u, u, None, begin)
        g = cpu_adaptive.backward(scanned, begin, beta, threshold, ctx.config, ctx.constant, arriving, learn)
        return g.current, None, g.beta, g.threshold, g.potential, g.adaptation, None
