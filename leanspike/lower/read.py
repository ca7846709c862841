"""From a network's layers to a draft: every stage with the signals that its synapses read.

list        pools and reshapes, a synapse, at most one norm, neurons: a stage; and so on
residual    two currents: synapses of the same neurons; a current and spikes: those are a one-to-one synapse;
            two spikes: a sum, small integers that the next synapses read
delays      a synapse for every delay, each with the weights of that delay alone
recurrent   a synapse from the stage's own spikes of the step before
attention   three stages, and a stage with a one-to-one synapse from their product
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from leanspike.core.errors import LoweringError
from leanspike.lower.draft import Adaptation, Draft, Floats, Norm, Stage, Synapse
from leanspike.lower.signals import Attended, Delayed, Fired, Flat, Late, Pool, Signal, Sum
from leanspike.nn import (
    LIF,
    AvgPool2d,
    BatchNorm,
    BatchNormThroughTime,
    Conv2d,
    DelayedLinear,
    Dropout,
    Flatten,
    LeakyIntegrator,
    Linear,
    MaxPool2d,
    Network,
    RecurrentLIF,
    Residual,
    SpikingSelfAttention,
    SumPool2d,
)

Currents = tuple[Synapse, ...]
"""What synapses give that no neurons took yet."""
_ORDER = "a stage is pools, one synapse, at most one norm, neurons, in this order"


def read(network: Network) -> Draft:
    """The stages of a network.

    Raises:
        LoweringError: a layer that a program does not express, with its place.
    """
    reader = _Reader()
    reader.row(network.layers, Fired(0), "")
    stages = tuple(reader.stages)
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


class _Reader:
    def __init__(self) -> None:
        self.stages: list[Stage] = []

    def row(self, layers: Iterable[nn.Module], x: Signal | Currents, place: str) -> Signal | Currents:
        """Layers one after the other; what the last one gives."""
        for i, layer in enumerate(layers):
            x = self.layer(layer, x, f"{place}{i}")
        return x

    def layer(self, layer: nn.Module, x: Signal | Currents, place: str) -> Signal | Currents:
        if isinstance(layer, Dropout):
            return x
        if isinstance(layer, LIF | LeakyIntegrator):
            if not isinstance(x, tuple):
                raise _refused(place, layer, "neurons need a synapse before them")
            return self.neurons(layer, x)
        if isinstance(x, tuple):
            if isinstance(layer, BatchNorm | BatchNormThroughTime) and all(synapse.norm is None for synapse in x):
                norm = _norm(layer)
                rest = Norm(norm.scale, np.zeros_like(norm.shift))
                return tuple(replace(one, norm=rest if i else norm) for i, one in enumerate(x))
            raise _refused(place, layer, _ORDER)
        if isinstance(layer, Linear | Conv2d):
            return (_synapse(layer, x),)
        if isinstance(layer, DelayedLinear):
            return _delayed(layer, x)
        if isinstance(layer, Flatten):
            return Flat(x)
        if isinstance(layer, MaxPool2d):
            return Pool(x, layer.size, "max")
        if isinstance(layer, SumPool2d):
            return Pool(x, layer.size, "average" if isinstance(layer, AvgPool2d) else "sum")
        if isinstance(layer, Residual):
            return self.residual(layer, x, place)
        if isinstance(layer, SpikingSelfAttention):
            return self.attention(layer, x, place)
        raise _refused(place, layer, _ORDER)

    def neurons(self, layer: LIF | LeakyIntegrator, currents: Currents) -> Fired:
        number = len(self.stages) + 1
        if isinstance(layer, RecurrentLIF):
            currents = (*currents, _synapse(layer.feedback, Delayed(Fired(number))))
        self.stages.append(_stage(number, currents, layer))
        return Fired(number)

    def residual(self, layer: Residual, x: Signal, place: str) -> Signal | Currents:
        left, right = self.row(layer.branch, x, f"{place}.branch."), self.row(layer.shortcut, x, f"{place}.shortcut.")
        if isinstance(left, tuple) or isinstance(right, tuple):
            sides = (side if isinstance(side, tuple) else (_one_to_one(side, 1.0),) for side in (left, right))
            return tuple(synapse for side in sides for synapse in side)
        return Sum(left, right)

    def attention(self, layer: SpikingSelfAttention, x: Signal, place: str) -> Fired:
        found = []
        for name in ("query", "key", "value"):
            side = self.row(getattr(layer, name), x, f"{place}.{name}.")
            assert not isinstance(side, tuple)
            found.append(side)
        product = Attended(found[0], found[1], found[2], layer.heads)
        return self.neurons(layer.neurons, (_one_to_one(product, layer.scale),))


def _refused(place: str, layer: nn.Module, remedy: str) -> LoweringError:
    return LoweringError(f"cannot stand here: {type(layer).__name__}", where=f"layer {place}", remedy=remedy)


def _array(tensor: Tensor) -> Floats:
    return tensor.detach().cpu().double().numpy()


def _synapse(layer: Linear | Conv2d, source: Signal) -> Synapse:
    weight = _array(layer.weight)
    bias = np.zeros(weight.shape[-1]) if layer.bias is None else _array(layer.bias)
    stride, padding = (layer.stride, layer.padding) if isinstance(layer, Conv2d) else (1, 0)
    return Synapse(source, weight, stride, padding, None, bias[None])


def _delayed(layer: DelayedLinear, source: Signal) -> Currents:
    """A synapse for every delay that there is; the bias is the first one's."""
    weight, steps = _array(layer.weight), layer.steps.cpu().numpy()
    bias = np.zeros(weight.shape[-1]) if layer.bias is None else _array(layer.bias)
    found: list[Synapse] = []
    for delay in np.unique(steps).tolist():
        late = source if delay == 0 else Late(source, delay)
        own = bias if not found else np.zeros_like(bias)
        found.append(Synapse(late, np.where(steps == delay, weight, 0.0), 1, 0, None, own[None]))
    return tuple(found)


def _one_to_one(source: Signal, weight: float) -> Synapse:
    return Synapse(source, np.array([weight]), 1, 0, None, np.zeros((1, 1)))


def _stage(number: int, currents: Currents, neurons: LIF | LeakyIntegrator) -> Stage:
    beta, threshold = neurons.parameters_for((neurons.channels,))
    (first, *more), config = currents, neurons.config
    return Stage(
        first.source,
        first.weight,
        first.stride,
        first.padding,
        first.norm,
        first.bias,
        number,
        _array(beta)[None],
        _array(threshold)[None] if isinstance(neurons, LIF) else None,
        config.reset,
        config.refractory if isinstance(neurons, LIF) else 0,
        _array(neurons.reset_by)[None] if isinstance(neurons, LIF) and neurons.reset_by is not None else None,
        tuple(more),
        Adaptation(np.array([[config.adapt_strength]]), config.adapt_decay) if config.adapts else None,
    )


def _norm(layer: BatchNorm | BatchNormThroughTime) -> Norm:
    if isinstance(layer, BatchNorm):
        gain, shift = layer.affine()
        return Norm(_array(gain)[None], _array(shift)[None])
    scale = _array(layer.weight) / np.sqrt(_array(layer.running_var) + BatchNormThroughTime.EPSILON)
    return Norm(scale, -_array(layer.running_mean) * scale)
