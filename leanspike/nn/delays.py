r"""Dense synapses with learnable delays: a spike arrives p[i, o] steps after it was fired.

    I[t, o] = bias[o] + sum over i, k of w[i, o] g[i, o, k] x[t - k, i]        k = 0..D; x is 0 before the first step
    g[i, o, k] = exp(-(k - p)^2 / (2 sigma^2)) / sum over k of the same          while sigma > 0: gradients reach p
    g[i, o, k] = 1 where k = round(p)                                            in evaluation, and where sigma is 0

sigma falls from D / 2 to 1/2 in the first half of training and stays there for a quarter; in the last quarter the
delays are the rounded ones of the program, and only weights go on learning. (Dilated convolutions with learnable
spacings: Hammouamri, Khalfaoui-Hassani, Masquelier 2023, arXiv:2306.17670, where sigma goes to 1/2 and delays are
rounded for the test.) Time and memory of a step are D + 1 dense products of the same input, which is kept once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from leanspike.nn.constant import Constant
from leanspike.nn.spikes import Spikes
from leanspike.nn.synapses import Signal, Synapses

NARROW = 0.5
"""The last width of the Gaussian, in steps."""
NARROWED_AT, ROUNDED_AT = 0.5, 0.75


class DelayedLinear(Synapses):
    """Dense synapses ``[T, B, in] -> [T, B, out]``, each with a delay of 0 to ``most`` steps that is learned.

    Attributes:
        position: ``[in, out]`` delays over ``most``, 0 to 1, drawn uniformly at first.
        sigma: width of the Gaussian in training, in steps; 0: rounded delays.
    """

    def __init__(self, in_features: int, out_features: int, most: int, bias: bool = True) -> None:
        super().__init__((in_features, out_features), bias)
        if most < 1:
            raise ValueError(f"delays of up to {most} steps")
        self.in_features, self.out_features, self.most = in_features, out_features, most
        self.position = nn.Parameter(torch.rand(in_features, out_features))
        self.sigma = most / 2

    def extra_repr(self) -> str:
        """The sizes, as torch prints them."""
        return f"{self.in_features}, {self.out_features}, most={self.most}, bias={self.bias is not None}"

    @property
    def steps(self) -> Tensor:
        """The delays as a program has them: whole steps ``[in, out]``."""
        return (self.position.detach().clamp(0, 1) * self.most).round().long()

    @torch.no_grad()
    def hold(self) -> None:
        """Bring delays back to their range, and see :meth:`Synapses.hold`."""
        super().hold()
        self.position.clamp_(0, 1)

    def forward(self, x: Signal) -> Tensor:
        """Currents ``[T, B, out]`` of analogue input or of spikes."""
        values = x.expand() if isinstance(x, Constant) else x.dense() if isinstance(x, Spikes) else x
        late = torch.cat([values.new_zeros(self.most, *values.shape[1:]), values])
        current: Tensor | float = 0.0 if self.bias is None else self.bias
        for k, weight in enumerate(self._by_delay()):
            if weight is not None:
                start = self.most - k
                current = current + late[start : start + len(values)] @ weight
        assert isinstance(current, Tensor)
        return current if current.dim() == 3 else current.expand(*values.shape[:2], self.out_features)

    def _by_delay(self) -> list[Tensor | None]:
        """The weights of every delay 0..D; None where there is no synapse of that delay."""
        if not self.training or not self.sigma:
            steps = self.steps
            return [self.weight * one if (one := steps == k).any() else None for k in range(self.most + 1)]
        k = torch.arange(self.most + 1, device=self.weight.device, dtype=self.weight.dtype)[:, None, None]
        gauss = torch.softmax(-0.5 * ((k - self.position * self.most) / self.sigma) ** 2, dim=0)
        return list((self.weight * gauss).unbind(0))


def sharpen(network: nn.Module, progress: float) -> None:
    """Set the width of all Gaussians of a network's delays for this share of its training, 0 to 1."""
    for layer in network.modules():
        if isinstance(layer, DelayedLinear):
            layer.sigma = width(layer.most, progress)


def width(most: int, progress: float) -> float:
    """sigma after a share of training; 0: rounded delays."""
    if progress >= ROUNDED_AT:
        return 0.0
    left = max(0.0, 1 - progress / NARROWED_AT)
    wide = max(NARROW, most / 2)
    return float(NARROW * (wide / NARROW) ** left)
