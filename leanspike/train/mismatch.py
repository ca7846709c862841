"""Training for analogue circuits: every batch sees another circuit, and the gradient goes to the clean parameters.

    w'     = w e^(a + b)            a of every synapse (and bias), b of every neuron, for all that feeds it
    theta' = theta e^c              c of every neuron; a subtract reset takes theta' too
    beta'  = beta ^ e^d             d of every neuron
    dL/dw  = dL/dw' dw'/dw          the chain rule: dw'/dw = e^(a + b); theta and beta likewise where they are learned

a, b, c, d are normal with the standard deviations of :class:`MismatchConfig`, drawn anew for every step from (seed,
epoch, step), so a resumed run goes on bit for bit; all processes and pieces of a batch see the same circuit. A channel
of a convolution shares one draw. Validation and what is kept are the clean network. What sigma the parts of a circuit
give is :mod:`leanspike.measure.mismatch`'s law: with every part off by sigma, ``weight`` sigma, ``gain`` sigma (output
neurons), ``threshold`` and ``leak`` sqrt(2) sigma.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from leanspike.core.errors import ConfigError
from leanspike.core.records import require
from leanspike.nn import LIF, Conv2d, DelayedLinear, LeakyIntegrator, Linear, RecurrentLIF

_SYNAPSES, _NEURONS = (Linear, Conv2d, DelayedLinear), (LIF, LeakyIntegrator, RecurrentLIF)


@dataclass(frozen=True)
class MismatchConfig:
    """Standard deviations of the logarithms of weights, of neurons' gains, thresholds and leak rates; 0 is off."""

    weight: float = 0.0
    gain: float = 0.0
    threshold: float = 0.0
    leak: float = 0.0

    def __post_init__(self) -> None:
        for key in ("weight", "gain", "threshold", "leak"):
            value = getattr(self, key)
            require(0 <= value <= 1, f"train.mismatch.{key}", value, "from 0 (off) to 1")

    @property
    def on(self) -> bool:
        """Whether there is any."""
        return any((self.weight, self.gain, self.threshold, self.leak))


def check_mismatch(network: nn.Module, config: MismatchConfig) -> None:
    """Refuse a network that has parameters which this cannot perturb.

    Raises:
        ConfigError: quantised layers, or a learned threshold or leak that all neurons of a layer share.
    """
    if not config.on:
        return
    where = "train.mismatch"
    kinds = (*_SYNAPSES, *_NEURONS)
    if any(isinstance(layer, kinds) and type(layer) not in kinds for layer in network.modules()):
        remedy = "train with mismatch before quantising, and set it to 0 for the fine-tuning"
        raise ConfigError("perturbs floats, and this network computes in integers", where=where, remedy=remedy)
    if not any(isinstance(layer, _NEURONS) for layer in network.modules()):
        raise ConfigError("this network has no spiking neurons", where=where, remedy="set it to 0")
    for layer in (layer for layer in network.modules() if isinstance(layer, _NEURONS)):
        for name, sigma in (("threshold", config.threshold), ("beta", config.leak)):
            tensor = getattr(layer, name)
            if sigma and isinstance(tensor, nn.Parameter) and len(tensor) < layer.channels:
                what = f"each neuron needs a {name} of its own, and one is learned for a whole layer"
                raise ConfigError(what, where=where, remedy="set neuron.per_channel=true")


@contextlib.contextmanager
def mismatched(network: nn.Module, config: MismatchConfig, seed: int) -> Iterator[None]:
    """Lend the network the parameters of one circuit; gradients found meanwhile become those of the clean ones."""
    if not config.on:
        yield
        return
    generator = torch.Generator().manual_seed(seed)
    undo = [restore for layer in network.modules() for restore in _perturb(layer, config, generator)]
    try:
        yield
    finally:
        for restore in reversed(undo):
            restore()


def _perturb(layer: nn.Module, config: MismatchConfig, generator: torch.Generator) -> Iterator[Callable[[], None]]:
    if isinstance(layer, _SYNAPSES) and (config.weight or config.gain):
        gain = _normal(layer.weight.shape[-1:], config.gain, generator, layer.weight)
        for parameter in (layer.weight, layer.bias):
            if parameter is not None:
                factor = (gain + _normal(parameter.shape, config.weight, generator, parameter)).exp_()
                yield _lend(parameter, parameter.detach() * factor, factor)
    if isinstance(layer, _NEURONS):
        wide = (layer.channels,)
        if config.threshold:
            factor = _normal(wide, config.threshold, generator, layer.threshold).exp_()
            yield _put(layer, "threshold", layer.threshold.detach() * factor, factor)
        if config.leak:
            power = _normal(wide, config.leak, generator, layer.beta).exp_()
            beta = layer.beta.detach().clamp(0, 1)
            yield _put(layer, "beta", beta**power, power * beta.clamp(min=1e-6) ** (power - 1))


def _normal(shape: tuple[int, ...], sigma: float, generator: torch.Generator, like: Tensor) -> Tensor:
    """Drawn on the CPU, so that it is the same on every device."""
    return torch.randn(shape, generator=generator).mul_(sigma).to(like)


def _put(layer: nn.Module, name: str, value: Tensor, slope: Tensor) -> Callable[[], None]:
    """A parameter is lent ``value``; a buffer, which may be one for all neurons, is replaced by it."""
    own = getattr(layer, name)
    if isinstance(own, nn.Parameter):
        return _lend(own, value, slope)
    setattr(layer, name, value)
    return lambda: setattr(layer, name, own)


def _lend(parameter: nn.Parameter, value: Tensor, slope: Tensor) -> Callable[[], None]:
    """Put ``value`` in a parameter's place; undone, what its gradient gained is multiplied by ``slope``."""
    own = parameter.detach().clone()
    earlier = None if parameter.grad is None else parameter.grad.clone()
    with torch.no_grad():
        parameter.copy_(value)

    @torch.no_grad()
    def restore() -> None:
        parameter.copy_(own)
        if parameter.grad is not None:
            found = parameter.grad if earlier is None else parameter.grad.sub_(earlier)
            found.mul_(slope)
            if earlier is not None:
                found.add_(earlier)

    return restore
