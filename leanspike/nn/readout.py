"""From the output layer's spikes or potentials to one score a class; ties go to the lowest index.

count          number of spikes
membrane_last  u[T-1]        membrane_max   max over t of u[t]        membrane_mean  mean over t of u[t]
first_spike    T - (step of the first spike), 0 where there is none: the earliest spike wins

An output layer that is a map ``[T, B, C, H, W]`` has K = H W C scores, flat and channels last, as in a program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from leanspike.nn.spikes import Spikes

ReadoutName = Literal["count", "membrane_last", "membrane_max", "membrane_mean", "first_spike"]
NAMES: tuple[str, ...] = get_args(ReadoutName)


@dataclass(frozen=True)
class Output:
    """What a network gives for a batch.

    Attributes:
        spikes: ``[T, B, K]`` (a map: ``[T, B, C, H, W]``) spikes of the output layer; None where it only integrates
            (a membrane readout).
        potential: of the same shape, membrane potential of the output layer before reset.
        hidden: the activity of every spiking layer in order, the output layer included where it spikes.
    """

    spikes: Tensor | None
    potential: Tensor
    hidden: tuple[Spikes, ...]


def readout(output: Output, kind: str) -> Tensor:
    """Scores ``[B, K]`` after the last step; gradients flow."""
    if kind == "count":
        return _spikes(output).sum(0)
    return readout_at_every_step(output, kind)[-1]


def readout_at_every_step(output: Output, kind: str) -> Tensor:
    """Scores ``[T, B, K]`` as they stand after each step (anytime accuracy, TET)."""
    if kind == "count":
        return _spikes(output).cumsum(0)
    if kind == "first_spike":
        spikes = _spikes(output)
        left = torch.arange(spikes.shape[0], 0, -1, dtype=spikes.dtype, device=spikes.device)
        return (spikes * left[:, None, None]).cummax(0).values
    potential = _flat(output.potential)
    if kind == "membrane_last":
        return potential
    if kind == "membrane_max":
        return potential.cummax(0).values
    if kind == "membrane_mean":
        steps = torch.arange(1, potential.shape[0] + 1, device=potential.device)
        return potential.cumsum(0) / steps[:, None, None]
    raise ValueError(f"no readout is called {kind!r}; there are {', '.join(NAMES)}")


def _spikes(output: Output) -> Tensor:
    if output.spikes is None:
        raise ValueError("this network's output layer does not spike: choose a membrane readout")
    return _flat(output.spikes)


def _flat(values: Tensor) -> Tensor:
    """``[T, B, K]`` of that, or of a map ``[T, B, C, H, W]``."""
    return values.movedim(2, -1).flatten(2) if values.dim() > 3 else values
