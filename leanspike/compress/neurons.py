"""Quantised neurons as layers: latent float parameters, the program's integers in the forward pass.

    jump = round(strength 2^f / unit)          where thresholds adapt
    m = round(beta 2^k),  b = round(bias / unit),  theta = max(1, round(threshold / unit)),  a = round(reset_by / unit)

Straight-through gradients lead from the integers to the parameters and to the unit; the scan over the steps is
:mod:`leanspike.compress.scan`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from leanspike.compress.adaptation import decay_of, most_jump
from leanspike.compress.latent import Adapting, Latent, ScanConfig
from leanspike.compress.scan import scan
from leanspike.compress.synapses import LEAK_BITS, IntegerCurrent
from leanspike.compress.weights import rounded
from leanspike.ir import Codec
from leanspike.nn import LIF, LeakyIntegrator
from leanspike.nn.functional import LIFState
from leanspike.nn.kernels import cpu, packing
from leanspike.nn.spikes import Spikes


class QuantisedLIF(LIF):
    """LIF neurons that run the program's integers on an :class:`~leanspike.compress.synapses.IntegerCurrent`.

    Args:
        neurons: whose parameters they take over.
        codec: what is kept of a potential; None: every bit.
        gradient: through the codec: ``stacked`` or ``straight``.
        fraction: bits behind the point of an adaptation, see :mod:`leanspike.compress.adaptation`.
    """

    shift: Tensor
    fraction: Tensor

    def __init__(self, neurons: LIF, codec: Codec | None, gradient: str, fraction: int = 0) -> None:
        amount = neurons.reset_by
        super().__init__(neurons.config, neurons.channels, None if amount is None else amount.clone())
        self.load_state_dict(neurons.state_dict(), strict=False)
        self.range = None if codec is None else (codec.lowest, codec.highest)
        self.gradient = gradient
        self.register_buffer("shift", torch.tensor(0 if codec is None else codec.shift))
        if neurons.config.adapts:
            self.register_buffer("fraction", torch.tensor(fraction))

    @property
    def fused(self) -> bool:
        """No kernel of float neurons knows these."""
        return False

    @property
    def codec(self) -> Codec | None:
        """What is kept of a potential; None: every bit."""
        return None if self.range is None else Codec(*self.range, int(self.shift))

    def latent(self, unit: Tensor, bias: Tensor) -> Latent:
        """The layer's integers where 1 of a current stands for ``unit``."""
        beta, threshold = self.parameters_for((self.channels,))
        theta = rounded(threshold / unit).clamp(min=1)
        amount = theta if self.reset_by is None else rounded(self.reset_by / unit)
        return Latent(unit, rounded(beta * (1 << LEAK_BITS)), rounded(bias / unit), theta, amount, self._jump(unit))

    def _jump(self, unit: Tensor) -> Tensor | None:
        adapting = self.adapting
        if adapting is None:
            return None
        rise = self.config.adapt_strength * 2.0**adapting.fraction / unit
        return rounded(rise).clamp(max=most_jump(adapting.decay, LEAK_BITS) - 1)

    @property
    def adapting(self) -> Adapting | None:
        """How thresholds adapt, in integers; None where they do not."""
        if not self.config.adapts:
            return None
        decay = decay_of(self.config.adapt_decay, LEAK_BITS)
        return Adapting(decay, int(self.fraction), self.reset_by is None and self.config.reset == "subtract")

    def forward(self, current: IntegerCurrent, pack: bool = True) -> tuple[Spikes, Tensor, LIFState]:  # type: ignore[override]
        """Run all steps from rest.

        Args:
            pack: give packed spikes where the kernels can, and in training no potentials (they are NaN).

        Returns:
            as :class:`~leanspike.nn.LIF`; in evaluation potentials are float64, which holds them exactly.
        """
        shows = not (pack and self.training)
        config = ScanConfig(self.config, self.codec, self.gradient, not self.training, shows, self.adapting)
        scanned = scan(current, self.latent(current.unit, current.bias), config)
        shape = tuple(current.shape)
        spikes = scanned.spikes
        if pack and not spikes.is_cuda and cpu.loaded():
            return Spikes.packed(packing.pack(spikes.detach()), shape, spikes), scanned.potential, scanned.state
        return Spikes.of(spikes), scanned.potential, scanned.state


class QuantisedIntegrator(LeakyIntegrator):
    """Neurons that never fire, in the program's integers; a potential keeps every bit.

    Args:
        neurons: whose parameters they take over.
    """

    def __init__(self, neurons: LeakyIntegrator) -> None:
        super().__init__(neurons.config, neurons.channels)
        self.load_state_dict(neurons.state_dict())

    @property
    def fused(self) -> bool:
        """No kernel of float neurons knows these."""
        return False

    def latent(self, unit: Tensor, bias: Tensor) -> Latent:
        """The layer's integers where 1 of a current stands for ``unit``."""
        beta, _ = self.parameters_for((self.channels,))
        return Latent(unit, rounded(beta * (1 << LEAK_BITS)), rounded(bias / unit))

    def forward(self, current: IntegerCurrent) -> tuple[None, Tensor, LIFState]:  # type: ignore[override]
        """Run all steps from rest; see :class:`~leanspike.nn.LeakyIntegrator`. In evaluation potentials are float64."""
        config = ScanConfig(self.config, None, "straight", not self.training, True)
        scanned = scan(current, self.latent(current.unit, current.bias), config)
        return None, scanned.potential, scanned.state
