"""What a step computes: samples in, loss out. Encoding, network and loss are one module, so Fabric wraps all three."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from leanspike.core.records import require
from leanspike.nn import CountCrossEntropy, Network, Output, readout, readout_at_every_step
from leanspike.train.batches import scaled
from leanspike.train.coding import coded, straight_to_bits
from leanspike.train.config import RunConfig
from leanspike.train.constraint import Constraint
from leanspike.train.losses import classification, counts, rate_penalty


def decisions(output: Output, kind: str, labels: Tensor) -> Tensor:
    """Classes ``[B]`` after the last step, or ``[B, T]`` after every one where the labels are those of steps."""
    if labels.dim() == 2:
        return readout_at_every_step(output, kind).argmax(-1).t()
    return readout(output, kind).argmax(-1)


class Objective(nn.Module):
    """Loss and hits of a network on a piece of a batch.

    Args:
        network: a :class:`~leanspike.nn.Network`, or any module ``[B, ...] -> logits [B, K]`` (an artificial network,
            trained on its cross-entropy).
        mean: average over all processes, for the rate penalty, which is not linear in the batch.
        constraint: may add a term to the loss.
    """

    def __init__(
        self, network: nn.Module, config: RunConfig, mean: Callable[[Tensor], Tensor], constraint: Constraint
    ) -> None:
        super().__init__()
        self.network, self.config, self.mean, self.constraint = network, config, mean, constraint
        if isinstance(network, Network):
            loss, kind = config.train.loss, network.readout
            remedy = f"the readout {kind} has no output spikes to count: use membrane or tet"
            require(loss != "count" or not kind.startswith("membrane"), "train.loss", loss, remedy)
        self.may_cut = self._may_cut()

    def forward(
        self, x: Tensor, numbers: Tensor, labels: Tensor, seed: int, share: float
    ) -> tuple[Tensor, Tensor | int]:
        """The piece's part of the batch's loss, and its number of right answers.

        Args:
            x: ``[B, ...]`` uint8 or float32.
            numbers, labels: ``[B]`` int64; labels of steps ``[B, T]``, of which the right ones are counted.
            seed: of the encoder.
            share: samples in the piece over samples in the batch, times processes: the average over the processes
                of the sum over their pieces is the mean over the whole batch.
        """
        if not isinstance(self.network, Network):
            logits = self.network(scaled(x))
            loss = cross_entropy(logits, labels, label_smoothing=self.config.train.label_smoothing) * share
            return loss, (logits.detach().argmax(-1) == labels).sum()
        spikes = coded(x, numbers, self.network, self.config, seed)
        if self.may_cut and labels.dim() == 1 and counts(self.network.readout, self.config.train):
            counted = CountCrossEntropy(labels, share, self.config.train.label_smoothing)
            return self.network.loss(spikes, counted), counted.right
        right = torch.zeros((), dtype=torch.int64, device=x.device)

        def loss_of(output: Output, samples: slice) -> Tensor:
            network, own = cast(Network, self.network), labels[samples]
            right.add_((decisions(output, network.readout, own).detach() == own).sum())
            part = share * len(own) / len(labels)
            loss = classification(output, own, network.readout, self.config) * part
            return loss + self._penalties(output, part)

        if self.may_cut:
            return self.network.loss(spikes, loss_of), right
        return loss_of(self.network(spikes), slice(0, len(labels))), right

    def _penalties(self, output: Output, share: float) -> Tensor | float:
        found = self._rate_penalty(output, share) if self.config.train.rate_penalty else 0.0
        if not self.constraint.sees_output:
            return found
        extra = self.constraint.extra_loss(cast(Network, self.network), output)
        return found if extra is None else found + extra * share

    def _rate_penalty(self, output: Output, share: float) -> Tensor:
        own = torch.stack([layer.rate() for layer in output.hidden]) * share
        # The value is the joined batch's, the gradient this process's part: averaged, they are the joined batch's.
        rates = own + (self.mean(own.detach()) - own.detach())
        return self.config.train.rate_penalty * rate_penalty(rates, self.config.train.target_rates)

    def _may_cut(self) -> bool:
        """Whether the loss of a batch is the weighted sum over its pieces."""
        mixes = any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in self.network.modules())
        mixes = mixes or (isinstance(self.network, Network) and self.network.mixes_samples)
        return not mixes and not self.config.train.rate_penalty and not self.constraint.sees_output

    def piece_size(self, batch: int) -> int:
        """Samples to compute at once out of ``batch``."""
        network = self.network
        if not self.may_cut or not isinstance(network, Network):
            return batch
        if self.config.train.micro_batch:
            return self.config.train.micro_batch
        coding = self.config.encoder.kind
        if network.cuts_batches and (coding == "direct" or straight_to_bits(network, self.config)):
            return batch
        return network.micro_batch(batch, self.config.timesteps)
