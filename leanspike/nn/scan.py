"""One fused scan over T with a hand-written backward; the device and dtype choose the kernel.

Memory for backward: the membrane potential ``[T, B, ...]`` and nothing else (the spikes are its comparison with
the threshold). The gradient of the current is written over it when backward runs.
"""

from __future__ import annotations

from torch import Tensor

from leanspike.nn.adaptive import adaptive_scan
from leanspike.nn.constant import Constant, constant_in_time
from leanspike.nn.functional import LIFState, lif
from leanspike.nn.kernels import cpu, cuda, reference
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes


def lif_scan(
    current: Tensor | Constant,
    beta: Tensor,
    threshold: Tensor,
    config: NeuronConfig,
    state: LIFState | None = None,
    pack: bool = True,
    smooth: bool = False,
    reset_by: Tensor | None = None,
) -> tuple[Spikes, Tensor, LIFState]:
    """Run LIF neurons over all steps of ``current`` ``[T, B, ...]``.

    Args:
        beta, threshold: one sample's shape ``[...]`` (expanded views are fine).
        state: the state before the first step; at rest if None.
        pack: return packed spikes where the kernel can.
        smooth: spikes are the surrogate's antiderivative, so that finite differences can check the backward pass.
        reset_by: what a subtract reset takes, one sample's shape; the threshold if None. No kernel knows it: autograd
            runs it step by step.

    Returns:
        spikes, membrane potential before reset ``[T, B, ...]``, the state after the last step.
    """
    if isinstance(current, Tensor) and constant_in_time(current):
        current = Constant(current[0], current.shape[0])
    if reset_by is not None:
        written = current.expand() if isinstance(current, Constant) else current
        fired, u, after = lif(written, beta, threshold, config, state, smooth, reset_by)
        return Spikes.of(fired), u, after
    steps = current.shape[0]
    source = current.values if isinstance(current, Constant) else current
    start = state or LIFState.zeros(source.detach() if isinstance(current, Constant) else source.detach()[0], config)
    if config.adapts:
        return adaptive_scan(source, steps, beta, threshold, start, config, pack, smooth)
    fast = cpu.serves(source) and not smooth and config.has_kernels
    if fast and pack:
        edge, u, end, bits = _PackedScan.on(source, steps, beta, threshold, start.potential, config)
        return Spikes.packed(bits, tuple(current.shape), edge), u, LIFState(end)
    values, u, end, hold = _Scan.on(source, steps, beta, threshold, start, start.potential, config, smooth)
    return Spikes.of(values), u, LIFState(end, hold)


class _Scan(Operation):
    @staticmethod
    def forward(ctx, source, steps, beta, threshold, state, start, config, smooth):  # type: ignore[no-untyped-def]
        kernel = reference
        if not smooth and config.has_kernels:
            kernel = cpu if cpu.serves(source) else cuda if cuda.serves(source) else reference
        scanned = kernel.forward(source, steps, beta, threshold, state, config, smooth)
        ctx.set_materialize_grads(False)
        ctx.kernel, ctx.config, ctx.constant, ctx.held = kernel, config, source.dim() == start.dim(), scanned.held
        ctx.save_for_backward(beta, threshold, start, scanned.spikes, scanned.potential)
        if scanned.state.hold is not None:
            ctx.mark_non_differentiable(scanned.state.hold)
        return scanned.spikes, scanned.potential, scanned.state.potential, scanned.state.hold

    @staticmethod
    def backward(ctx, grad_spikes, grad_potential, grad_end, _hold):  # type: ignore[no-untyped-def]
        beta, threshold, start, spikes, potential = ctx.saved_tensors
        scanned = reference.Scanned(spikes, potential, ctx.held, LIFState(start))
        learn = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
        g = ctx.kernel.backward(
            scanned, start, beta, threshold, ctx.config, ctx.constant, grad_spikes, grad_potential, grad_end, learn
        )
        return g.current, None, g.beta, g.threshold, None, g.potential, None, None


class _PackedScan(Operation):
    @staticmethod
    def forward(ctx, source, steps, beta, threshold, start, config):  # type: ignore[no-untyped-def]
        u, end, bits = cpu.forward_packed(source, steps, beta, threshold, start, config)
        ctx.set_materialize_grads(False)
        ctx.config, ctx.constant = config, source.dim() == start.dim()
        ctx.save_for_backward(beta, threshold, start, u)
        ctx.mark_non_differentiable(bits)
        return u.new_zeros(1).expand(u.shape), u, end, bits

    @staticmethod
    def backward(ctx, grad_spikes, grad_potential, grad_end, _bits):  # type: ignore[no-untyped-def]
        beta, threshold, start, u = ctx.saved_tensors
        scanned = reference.Scanned(u, u, None, LIFState(start))
        learn = ctx.needs_input_grad[2] or ctx.needs_input_grad[3]
        g = cpu.backward(
            scanned, start, beta, threshold, ctx.config, ctx.constant, grad_spikes, grad_potential, grad_end, learn
        )
        return g.current, None, g.beta, g.threshold, g.potential, None
