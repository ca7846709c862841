r"""Synapses of integers: the currents of a program, exactly, with the unit that they stand for.

    x_int = floor(x / unit_in + 1/2)          raw integers of direct coding, unit_in = gain / levels; of spikes, 1;
                                              an average pool divides it by the size of its windows
    I_int = x_int q                           q from :mod:`leanspike.compress.weights`, no bias: the neurons add it
    unit  = s unit_in                         what 1 of I_int, and of a potential behind it, stands for

Floats hold I_int: float32 where no partial sum can reach 2^24 (|q| summed over the inputs, times the largest input),
else float64. s never falls below what lets the thresholds fit a potential. Dropout's gain in training is rounded into
the current; evaluation has none. On CUDA, whose convolutions may shorten or transform what they multiply, evaluation
takes float64 and what comes out is rounded back to integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from leanspike.compress.weights import (
    LEVELS,
    Levels,
    WeightBits,
    gradient_scaled,
    least_squares_scale,
    nearest,
    quantised,
    rounded,
    sawb_scale,
)
from leanspike.ir import IntType
from leanspike.nn import Conv2d, Linear
from leanspike.nn.constant import Constant
from leanspike.nn.convolution import conv_spikes
from leanspike.nn.gather import dense_product, linear_spikes
from leanspike.nn.kernels import cpu, packing
from leanspike.nn.operation import Operation
from leanspike.nn.spikes import Spikes
from leanspike.nn.synapses import Signal, Synapses

EXACT = 1 << 24
LEAK_BITS = 10
STATE = IntType(32 - LEAK_BITS, True)
"""What a potential may have, so that its product with a multiplier up to 2^k fits 32 bits."""


@dataclass(frozen=True)
class IntegerCurrent:
    """Integers ``[T, B, C, ...]`` held by floats, and the ``unit`` that 1 of them stands for, ``[C]`` or ``[1]``.

    ``bias`` ``[C]`` is not yet added, and no integer: the neurons behind round it to the unit.
    """

    values: Tensor | Constant
    unit: Tensor
    bias: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """``(T, B, C, ...)``."""
        return tuple(self.values.shape)


class _Quantised(Synapses):
    """What quantised synapses share: the latent float ``weight``, its scale, and the integers it stands for."""

    bias: nn.Parameter
    log_scale: nn.Parameter | None

    least_scale: Tensor

    def quantise(self, config: WeightBits, unit_in: float, common: bool, largest: float) -> None:
        """Take up a scale for the weights as they are; bits of 0 count as 16.

        Args:
            unit_in: what 1 of the input stands for.
            common: one scale for all outputs.
            largest: what takes a quarter of a potential's range, at the least scale there may be.
        """
        self.bits, self.method, self.unit_in = config.bits or 16, config.method, unit_in
        self.common = common or not config.per_channel
        least = largest * 4 / (STATE.highest * unit_in)
        self.register_buffer("least_scale", torch.tensor(least, dtype=self.weight.dtype))
        if self.method == "sawb":
            self.log_scale = None
            return
        scale = least_squares_scale(self._columns(), self.levels).clamp(min=least)
        self.log_scale = nn.Parameter(scale.log().to(self.weight.dtype))

    @property
    def levels(self) -> Levels:
        """The code of the weights."""
        return LEVELS[self.bits]

    def _columns(self) -> Tensor:
        columns = self.weight.detach().reshape(-1, self.weight.shape[-1])
        return columns.reshape(-1, 1) if self.common else columns

    def scale(self) -> Tensor:
        """``[out]`` or ``[1]``, what 1 of the integer weights stands for."""
        if self.log_scale is None:
            mask = None if self.mask is None else self.mask.reshape(-1, self._columns().shape[-1])
            return sawb_scale(self._columns(), self.bits, mask).clamp(min=self.least_scale)
        weights = self.weight.numel() // self.log_scale.numel()
        factor = 1 / math.sqrt(weights * self.levels.highest)
        return gradient_scaled(self.log_scale, factor).exp().clamp(min=self.least_scale)

    def integers(self) -> tuple[Tensor, Tensor]:
        """``q`` as floats, in the shape of the weight, and the unit of the currents, ``[out]`` or ``[1]``."""
        scale = self.scale()
        return quantised(self.weight, scale, self.levels), scale * self.unit_in

    def raw(self, x: Tensor) -> Tensor:
        """The integers that analogue input stands for."""
        return nearest(x / self.unit_in) if self.unit_in != 1.0 else x

    def forward(self, x: Signal) -> IntegerCurrent:
        """Currents ``[T, B, out, ...]`` of analogue input or of spikes."""
        q, unit = self.integers()
        x = _packed(x) if isinstance(x, Spikes) else x
        if isinstance(x, Constant):
            return IntegerCurrent(Constant(self._exact(self.raw(x.values), q), x.steps), unit, self.bias)
        if isinstance(x, Spikes) and x.bits is not None and self.unit_in == 1.0 and self._fits(q, 1.0):
            current = self._of_spikes(replace(x, gain=1.0), q)
            return IntegerCurrent(current if x.gain == 1.0 else rounded(current * x.gain), unit, self.bias)
        values = x.dense() if isinstance(x, Spikes) else x
        over_time: Tensor = self._exact(self.raw(values).flatten(0, 1), q).unflatten(0, values.shape[:2])
        return IntegerCurrent(rounded(over_time) if isinstance(x, Spikes) else over_time, unit, self.bias)

    def _fits(self, q: Tensor, largest: float) -> bool:
        """Whether no sum over inputs up to ``largest`` can leave what float32 holds exactly."""
        inputs = self.weight.numel() // self.weight.shape[-1]
        if inputs * max(self.levels.highest, -self.levels.lowest) * largest < EXACT:
            return True
        return float(q.detach().abs().flatten(0, -2).sum(0).max()) * largest < EXACT

    def _exact(self, x: Tensor, q: Tensor) -> Tensor:
        """``x q`` of integers without rounding."""
        if self._fits(q, float(x.detach().abs().max())) and (self.training or not x.is_cuda):
            current = self._analogue(x, q)
        else:
            current = _Wide.on(x, q, self._analogue)
        return rounded(current) if x.is_cuda else current

    def _analogue(self, x: Tensor, q: Tensor) -> Tensor:
        raise NotImplementedError

    def _of_spikes(self, x: Spikes, q: Tensor) -> Tensor:
        raise NotImplementedError


def _packed(x: Spikes) -> Spikes:
    """Spikes that a pool left dense, packed again for the kernels that gather, where these serve."""
    if x.values is None or x.gain != 1.0 or not cpu.serves(x.values):
        return x
    return Spikes.packed(packing.pack(x.values.detach()), x.shape, x.values)


class QuantisedLinear(_Quantised, Linear):  # type: ignore[misc]
    """Dense synapses with integer weights; made by :func:`quantised_synapse`."""

    def _analogue(self, x: Tensor, q: Tensor) -> Tensor:
        return dense_product(x, q, None)

    def _of_spikes(self, x: Spikes, q: Tensor) -> Tensor:
        return linear_spikes(x, q, None)


class QuantisedConv2d(_Quantised, Conv2d):  # type: ignore[misc]
    """Convolution with integer weights; made by :func:`quantised_synapse`."""

    def _analogue(self, x: Tensor, q: Tensor) -> Tensor:
        return F.conv2d(x, q.permute(3, 2, 0, 1), None, stride=self.stride, padding=self.padding)

    def _of_spikes(self, x: Spikes, q: Tensor) -> Tensor:
        if self.stride == 1:
            return conv_spikes(x, q, None, self.padding)
        dense = x.dense()
        unfolded: Tensor = self._analogue(dense.flatten(0, 1), q).unflatten(0, dense.shape[:2])
        return unfolded


QuantisedSynapse = QuantisedLinear | QuantisedConv2d


def quantised_synapse(
    synapse: Linear | Conv2d, config: WeightBits, unit_in: float = 1.0, common: bool = False, largest: float = 1.0
) -> QuantisedSynapse:
    """The synapse with integer weights; its float weights and bias are taken over, its bias at least as zeros.

    Args:
        unit_in: what the integer 1 of its input stands for.
        common: one scale for all outputs, as a membrane readout needs that compares them.
        largest: threshold, bias or reset of the neurons behind: scales stay so large that it fits a potential.
    """
    made: QuantisedSynapse
    if isinstance(synapse, Linear):
        made = QuantisedLinear(synapse.in_features, synapse.out_features)
    else:
        shape = (synapse.kernel, synapse.padding, synapse.stride)
        made = QuantisedConv2d(synapse.in_channels, synapse.out_channels, *shape)
    with torch.no_grad():
        made.weight.copy_(synapse.weight)
        made.bias.copy_(torch.zeros(()) if synapse.bias is None else synapse.bias)
    made.prune(None if synapse.mask is None else synapse.mask.clone())
    made.quantise(config, unit_in, common, largest)
    return made


class _Wide(Operation):
    """A product in float64; its gradients are those of float32."""

    @staticmethod
    def forward(ctx, x, q, product):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, q)
        ctx.product = product
        return product(x.double(), q.double())

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        x, q = (tensor.detach().requires_grad_(need) for tensor, need in zip(
            ctx.saved_tensors, ctx.needs_input_grad, strict=False
        ))  # fmt: skip
        with torch.enable_grad():
            narrow = ctx.product(x, q)
        wanted = [tensor for tensor in (x, q) if tensor.requires_grad]
        found = iter(torch.autograd.grad(narrow, wanted, grad.to(narrow.dtype)))
        return next(found) if x.requires_grad else None, next(found) if q.requires_grad else None, None
