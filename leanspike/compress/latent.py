"""What the scan of integer neurons is given: integers held by floats, and the neuron."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from leanspike.ir import Codec, intmath
from leanspike.nn import NeuronConfig


@dataclass(frozen=True)
class Latent:
    """A layer's integers held by floats, ``[C]`` or ``[1]``, with gradients to what they were rounded from.

    Attributes:
        unit: what 1 of a current or potential stands for; no integer.
        threshold, amount: at which neurons fire, and what a subtract reset takes; None where they never fire.
        jump: what a spike adds to the adaptation; None where thresholds do not adapt.
    """

    unit: Tensor
    multiplier: Tensor
    bias: Tensor
    threshold: Tensor | None = None
    amount: Tensor | None = None
    jump: Tensor | None = None


@dataclass(frozen=True)
class Adapting:
    """Multiplier n, fraction f, and whether a subtract reset takes the threshold of the moment."""

    decay: int
    fraction: int
    resets: bool


@dataclass(frozen=True)
class ScanConfig:
    """The neuron, what is kept of its potential, the gradient through that, and what the scan shows.

    Attributes:
        exact: potentials in float64, which holds ``u unit`` without rounding.
        shows: potentials at all; else they are NaN.
        adapting: how thresholds adapt; None where they do not.
    """

    neuron: NeuronConfig
    codec: Codec | None
    gradient: str
    exact: bool
    shows: bool
    adapting: Adapting | None = None


def int32(tensor: Tensor) -> Tensor:
    """Integers held by floats as integers."""
    return tensor.to(torch.int32)


def fired_of(u: Tensor, theta: Tensor, held: Tensor | None, t: int | None = None) -> Tensor:
    """Who fires: of all steps, or of step t; nobody who is held."""
    fired: Tensor = intmath.fire(u, theta)
    if held is None:
        return fired
    return fired & ~(held if t is None else held[t])
