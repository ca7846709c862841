"""A network on its way to a program: stages of float64 arrays, each a synapse with its neurons.

    I[t]  = W x[t] + bias                        after the pools and reshapes that stand before the synapse
    y[t]  = scale[t] I[t] + shift[t]              the norm, until it is folded
    u[t]  = leak[t] v[t-1] + y[t]                 fire at threshold[t], reset

Arrays of neurons are ``[S, C]``, S = 1 or T, C = 1 or the channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from leanspike.core.errors import LoweringError
from leanspike.ir.program import ReadoutKind
from leanspike.nn import (
    LIF,
    BatchNorm,
    BatchNormThroughTime,
    Conv2d,
    Dropout,
    Flatten,
    LeakyIntegrator,
    Linear,
    MaxPool2d,
    Network,
    SumPool2d,
)

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pool:
    """The maximum or the sum over windows of this size, side by side."""

    size: int
    kind: Literal["max", "sum"]


@dataclass(frozen=True)
class Flat:
    """A reshape to one axis, channels last."""


@dataclass(frozen=True, eq=False)
class Norm:
    """``y[t] = scale[t] I + shift[t]``, ``[S, C]`` each."""

    scale: Floats
    shift: Floats


@dataclass(frozen=True, eq=False)
class Stage:
    """A synapse, its neurons, and what stands before.

    Attributes:
        weight: ``[in, out]`` or ``[kh, kw, in, out]``.
        bias: ``[S, C]``.
        threshold: ``[S, C]``; None where the neurons only integrate.
        reset_by: ``[S, C]`` what a subtract reset takes away; None for the threshold.
    """

    number: int
    before: tuple[Pool | Flat, ...]
    weight: Floats
    stride: int
    padding: int
    norm: Norm | None
    bias: Floats
    leak: Floats
    threshold: Floats | None
    reset: Literal["subtract", "zero"]
    refractory: int
    reset_by: Floats | None

    def arrays(self) -> Iterator[tuple[str, Floats]]:
        """Its trained arrays by their names."""
        norm = () if self.norm is None else (("norm", self.norm.scale), ("norm", self.norm.shift))
        firing = (("threshold", self.threshold), ("reset", self.reset_by))
        yield from (("weight", self.weight), ("bias", self.bias), ("leak", self.leak), *norm)
        yield from ((name, values) for name, values in firing if values is not None)


@dataclass(frozen=True, eq=False)
class Draft:
    """All stages, and the readout."""

    stages: tuple[Stage, ...]
    readout: ReadoutKind


def read(network: Network) -> Draft:
    """The stages of a network.

    Raises:
        LoweringError: a layer that a program does not express, with its place.
    """
    stages = tuple(_stages(network))
    for stage in stages[:-1]:
        if stage.threshold is None:
            what = "neurons that never fire (LeakyIntegrator) stand before another stage"
            raise LoweringError(what, where=f"stage {stage.number}", remedy="only the last stage may integrate")
    for stage in stages:
        for name, values in stage.arrays():
            if not np.isfinite(values).all():
                what = f"its {name} holds values that are not finite"
                raise LoweringError(what, where=f"stage {stage.number}", remedy="train it again: training diverged")
    if network.readout.startswith("membrane") != (stages[-1].threshold is None):
        what = f"the readout {network.readout} does not suit the last layer"
        raise LoweringError(what, remedy="membrane readouts read a LeakyIntegrator, the others a LIF layer")
    return Draft(stages, network.readout)


def _stages(network: Network) -> Iterator[Stage]:
    before: list[Pool | Flat] = []
    synapse: Linear | Conv2d | None = None
    norms: list[Norm] = []
    number = 0
    for place, layer in enumerate(network.layers):
        if isinstance(layer, LIF | LeakyIntegrator):
            if synapse is None:
                raise _refused(place, layer, "neurons need a synapse before them")
            number += 1
            yield _stage(number, before, synapse, norms, layer)
            before, synapse, norms = [], None, []
        elif isinstance(layer, Linear | Conv2d) and synapse is None:
            synapse = layer
        elif isinstance(layer, BatchNorm | BatchNormThroughTime) and synapse is not None and not norms:
            norms.append(_norm(layer))
        elif isinstance(layer, Flatten) and synapse is None:
            before.append(Flat())
        elif isinstance(layer, MaxPool2d | SumPool2d) and synapse is None:
            before.append(Pool(layer.size, "max" if isinstance(layer, MaxPool2d) else "sum"))
        elif not isinstance(layer, Dropout):
            raise _refused(place, layer, "a stage is pools, one synapse, at most one norm, neurons, in this order")


def _refused(place: int, layer: nn.Module, remedy: str) -> LoweringError:
    return LoweringError(f"cannot stand here: {type(layer).__name__}", where=f"layer {place}", remedy=remedy)


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()


def _stage(
    number: int, before: list[Pool | Flat], synapse: Linear | Conv2d, norms: list[Norm], neurons: LIF | LeakyIntegrator
) -> Stage:
    weight = _array(synapse.weight)
    bias = np.zeros(weight.shape[-1]) if synapse.bias is None else _array(synapse.bias)
    beta, threshold = neurons.parameters_for((neurons.channels,))
    return Stage(
        number,
        tuple(before),
        weight,
        synapse.stride if isinstance(synapse, Conv2d) else 1,
        synapse.padding if isinstance(synapse, Conv2d) else 0,
        norms[0] if norms else None,
        bias[None],
        _array(beta)[None],
        _array(threshold)[None] if isinstance(neurons, LIF) else None,
        neurons.config.reset,
        neurons.config.refractory if isinstance(neurons, LIF) else 0,
        _array(neurons.reset_by)[None] if isinstance(neurons, LIF) and neurons.reset_by is not None else None,
    )


def _norm(layer: BatchNorm | BatchNormThroughTime) -> Norm:
    if isinstance(layer, BatchNorm):
        gain, shift = layer.affine()
        return Norm(_array(gain)[None], _array(shift)[None])
    scale = _array(layer.weight) / np.sqrt(_array(layer.running_var) + BatchNormThroughTime.EPSILON)
    return Norm(scale, -_array(layer.running_mean) * scale)
