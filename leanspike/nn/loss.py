"""The cross-entropy of spike counts as an object: a loss whose gradient dense spiking layers find without autograd.

z = sum_t s[t],  L = -sum_k q[k] log softmax(z)[k] of a sample, q the one-hot label, smoothed: (1 - e) onehot + e/K
(Szegedy et al. 2016, arXiv:1512.00567)
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from leanspike.nn.readout import Output, readout


class CountCrossEntropy:
    """A loss for :meth:`leanspike.nn.Network.loss`: a mean over the batch, times ``share``.

    Args:
        labels: ``[B]`` int64.
        share: factor of the whole loss.
        smoothing: e, 0 to 1.

    Attributes:
        right: how many decisions (ties to the lowest class) were right so far, a number or a tensor of it.
    """

    def __init__(self, labels: Tensor, share: float = 1.0, smoothing: float = 0.0) -> None:
        self.labels, self.share, self.smoothing = labels.contiguous(), share, smoothing
        self.right: Tensor | int = 0

    @property
    def scale(self) -> float:
        """What the loss of a sample is multiplied with."""
        return self.share / max(1, len(self.labels))

    def __call__(self, output: Output, samples: slice) -> Tensor:
        """The part of ``samples``, of which ``output`` is."""
        counts, own = readout(output, "count"), self.labels[samples]
        self.right = self.right + (counts.detach().argmax(-1) == own).sum()
        return cross_entropy(counts, own, label_smoothing=self.smoothing) * (self.scale * len(own))
