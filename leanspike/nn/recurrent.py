r"""LIF neurons that their own spikes reach one step later, step by step under autograd.

    u[t] = beta v[t-1] + I[t] + s[t-1] W          s[-1] = 0; fire and reset as in :mod:`leanspike.nn.functional`

W is ``[C, C]``: neuron i's spike adds row i. All to all, as in Cramer et al. 2020, arXiv:1910.07407.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.nn.cells import LIF
from leanspike.nn.constant import Constant
from leanspike.nn.functional import LIFState, lif_step, spike_function
from leanspike.nn.kernels import cpu, packing
from leanspike.nn.neuron import NeuronConfig
from leanspike.nn.spikes import Spikes
from leanspike.nn.synapses import Linear


@dataclass(frozen=True)
class RecurrentState(LIFState):
    """What recurrent neurons carry from step to step: also the spikes ``[B, C]`` of the last one, None before it."""

    spikes: Tensor | None = None


class RecurrentLIF(LIF):
    """A dense layer of LIF neurons with synapses among themselves; it takes a current as LIF does.

    Args:
        config: the neuron.
        channels: neurons C; ``feedback`` is their :class:`Linear` without a bias.
    """

    def __init__(self, config: NeuronConfig, channels: int) -> None:
        super().__init__(config, channels)
        self.feedback = Linear(channels, channels, bias=False)

    @property
    def fused(self) -> bool:
        """No kernel knows it."""
        return False

    def forward(
        self, current: Tensor | Constant, state: LIFState | None = None, pack: bool = True
    ) -> tuple[Spikes, Tensor, LIFState]:
        """Run all steps of ``current`` ``[T, B, C]``; see :meth:`LIF.forward`."""
        written = current.expand() if isinstance(current, Constant) else current
        beta, threshold = self.parameters_for(tuple(written.shape[2:]))
        state = state or LIFState.zeros(written[0], self.config)
        last = state.spikes if isinstance(state, RecurrentState) else None
        spike, spikes, potentials = spike_function(self.config), [], []
        for step in written:
            total = step if last is None else step + last @ self.feedback.weight
            last, u, state = lif_step(total, state, beta, threshold, self.config, spike)
            spikes.append(last)
            potentials.append(u)
        end = RecurrentState(state.potential, state.hold, state.adaptation, last)
        fired = torch.stack(spikes)
        packs = pack and cpu.loaded() and not fired.is_cuda
        found = Spikes.packed(packing.pack(fired.detach()), tuple(fired.shape), fired) if packs else Spikes.of(fired)
        return found, torch.stack(potentials), end
