r"""Surrogate gradients: the derivative that stands in for the step function's in the backward pass.

With x = u - threshold and scale k, the spike is s = 1[x >= 0] and its gradient is taken as g(x):

    atan              g = (k/2) / (1 + (pi/2 k x)^2)          Fang et al. 2021, arXiv:2007.05785
    sigmoid           g = k sig(k x) (1 - sig(k x))           Zenke & Ganguli 2018, arXiv:1705.11146
    fast_sigmoid      g = 1 / (1 + k |x|)^2                   Zenke & Ganguli 2018
    triangle          g = k max(0, 1 - k |x|)                 Bellec et al. 2018, arXiv:1803.09574
    rectangle         g = k 1[|x| < 1/(2k)]                   Wu et al. 2018, arXiv:1706.02609
    straight_through  g = k                                   Bengio et al. 2013, arXiv:1308.3432

``primitive`` is an antiderivative of g: a smooth spike, with which finite differences can check every
hand-written backward pass.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

SurrogateName = Literal["atan", "sigmoid", "fast_sigmoid", "triangle", "rectangle", "straight_through"]
NAMES: tuple[str, ...] = get_args(SurrogateName)


def derivative(name: str, x: Tensor, scale: float) -> Tensor:
    """g(x), elementwise, in the dtype of ``x``."""
    if name == "atan":
        return (scale / 2) / (1 + (math.pi / 2 * scale * x) ** 2)
    if name == "sigmoid":
        sigmoid = torch.sigmoid(scale * x)
        return scale * sigmoid * (1 - sigmoid)
    if name == "fast_sigmoid":
        return 1 / (1 + scale * x.abs()) ** 2
    if name == "triangle":
        return scale * (1 - scale * x.abs()).clamp(min=0)
    if name == "rectangle":
        return scale * (x.abs() < 0.5 / scale).to(x.dtype)
    if name == "straight_through":
        return torch.full_like(x, scale)
    raise ValueError(f"no surrogate is called {name!r}; there are {', '.join(NAMES)}")


def primitive(name: str, x: Tensor, scale: float) -> Tensor:
    """A smooth function whose derivative is g(x); 1/2 at x = 0."""
    if name == "atan":
        return torch.atan(math.pi / 2 * scale * x) / math.pi + 0.5
    if name == "sigmoid":
        return torch.sigmoid(scale * x)
    if name == "fast_sigmoid":
        return x / (1 + scale * x.abs()) + 0.5
    if name == "triangle":
        y = (scale * x).clamp(-1, 1)
        return y - y * y.abs() / 2 + 0.5
    if name == "rectangle":
        return (scale * x).clamp(-0.5, 0.5) + 0.5
    if name == "straight_through":
        return scale * x + 0.5
    raise ValueError(f"no surrogate is called {name!r}; there are {', '.join(NAMES)}")
