"""What a step computes: samples in, loss out. Encoding, network and loss are one module, so Fabric wraps all three."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from leanspike.core.records import require
from leanspike.nn import Network, Output, readout
from leanspike.train.batches import scaled
from leanspike.train.coding import coded
from leanspike.train.config import RunConfig
from leanspike.train.losses import classification, rate_penalty


class Objective(nn.Module):
    """Loss and hits of a network on a piece of a batch.

    Args:
        network: a :class:`~leanspike.nn.Network`, or any module ``[B, ...] -> logits [B, K]`` (an artificial network,
            trained on its cross-entropy).
        mean: average over all processes, for the rate penalty, which is not linear in the batch.
    """

    def __init__(self, network: nn.Module, config: RunConfig, mean: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.config, self.mean = network, config, mean
        if isinstance(network, Network):
            loss, kind = config.train.loss, network.readout
            remedy = f"the readout {kind} has no output spikes to count: use membrane or tet"
            require(loss != "count" or not kind.startswith("membrane"), "train.loss", loss, remedy)
        self.may_cut = self._may_cut()

    def forward(self, x: Tensor, numbers: Tensor, labels: Tensor, seed: int, share: float) -> tuple[Tensor, Tensor]:
        """The piece's part of the batch's loss, and its number of right answers.

        Args:
            x: ``[B, ...]`` uint8 or float32.
            numbers, labels: ``[B]`` int64.
            seed: of the encoder.
            share: samples in the piece over samples in the batch, times processes: the average over the processes
                of the sum over their pieces is the mean over the whole batch.
        """
        if not isinstance(self.network, Network):
            logits = self.network(scaled(x))
            loss = cross_entropy(logits, labels, label_smoothing=self.config.train.label_smoothing) * share
        else:
            spikes = coded(x, numbers, self.network, self.config, seed)
            output = self.network(spikes)
            logits = readout(output, self.network.readout)
            loss = classification(output, labels, self.network.readout, self.config) * share
            if self.config.train.rate_penalty:
                loss = loss + self._penalty(output, share)
        return loss, (logits.detach().argmax(-1) == labels).sum()

    def _penalty(self, output: Output, share: float) -> Tensor:
        own = torch.stack([layer.rate() for layer in output.hidden]) * share
        # The value is the joined batch's, the gradient this process's part: averaged, they are the joined batch's.
        rates = own + (self.mean(own.detach()) - own.detach())
        return self.config.train.rate_penalty * rate_penalty(rates, self.config.train.target_rates)

    def _may_cut(self) -> bool:
        """Whether the loss of a batch is the weighted sum over its pieces."""
        mixes = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.network.modules())
        mixes = mixes or (isinstance(self.network, Network) and self.network.mixes_samples)
        return not mixes and not self.config.train.rate_penalty

    def piece_size(self, batch: int) -> int:
        """Samples to compute at once out of ``batch``."""
        if not self.may_cut:
            return batch
        if self.config.train.micro_batch:
            return self.config.train.micro_batch
        return self.network.micro_batch(batch, self.config.timesteps) if isinstance(self.network, Network) else batch
