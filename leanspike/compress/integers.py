"""A quantised network's integers as a program takes them, and what it computes as integers.

u_int = u / unit, exactly: in evaluation potentials are float64, which holds the product of a 22-bit integer and a
float32 unit, and the sum of 128 of them, without rounding
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from leanspike.compress.neurons import QuantisedIntegrator, QuantisedLIF
from leanspike.compress.quantise import stage_places
from leanspike.compress.synapses import LEAK_BITS, STATE, QuantisedSynapse
from leanspike.core.errors import ConfigError
from leanspike.ir import Codec
from leanspike.nn import Network, readout

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StageIntegers:
    """A synapse and its neurons as integers.

    Attributes:
        weight: ``[in, out]`` or ``[kh, kw, in, out]``, of ``weight_bits`` bits with sign.
        unit_in: what 1 of the input stands for.
        unit: ``[C]`` what 1 of a current or potential stands for.
        multiplier, bias, threshold, amount: ``[C]``; threshold None where neurons never fire, amount where a reset
            takes the threshold.
        jump, decay, fraction: ``[C]`` and two numbers of thresholds that adapt; jump None where they do not.
        leak_bits, state_bits: k, and the width in which potentials are computed and saturate.
    """

    weight: Ints
    weight_bits: int
    unit_in: float
    unit: Floats
    multiplier: Ints
    bias: Ints
    threshold: Ints | None
    amount: Ints | None
    codec: Codec | None
    jump: Ints | None = None
    decay: int = 0
    fraction: int = 0
    leak_bits: int = LEAK_BITS
    state_bits: int = STATE.bits


def is_quantised(network: nn.Module) -> bool:
    """Whether the network computes in integers."""
    return any(isinstance(layer, QuantisedSynapse) for layer in network.modules())


def quantised_stages(network: Network) -> tuple[StageIntegers, ...]:
    """The integers of every stage, exactly those that the network computes with.

    Raises:
        ConfigError: a stage is not quantised.
    """
    return tuple(_stage(network.layers[at], network.layers[end], end) for at, end in stage_places(network))


@torch.no_grad()
def integer_trace(network: Network, x: Tensor) -> list[tuple[Ints, Ints]]:
    """Spikes and potentials ``[T, B, C, ...]`` of every stage, as integers; ``x`` as the network sees it."""
    mode, own = network.training, quantised_stages(network)
    network.eval()
    traced = network.trace(x.to(next(network.parameters()).device))
    network.train(mode)
    return [
        (spikes.long().cpu().numpy(), _in_units(potential, stage.unit))
        for (spikes, potential), stage in zip(traced, own, strict=True)
    ]


@torch.no_grad()
def integer_scores(network: Network, x: Tensor) -> Ints:
    """Scores ``[B, K]`` as a program has them: of ``membrane_mean`` the sum over the steps."""
    mode, unit = network.training, quantised_stages(network)[-1].unit
    network.eval()
    scores = readout(network(x.to(next(network.parameters()).device)), network.readout).double()
    network.train(mode)
    if not network.readout.startswith("membrane"):
        return scores.long().cpu().numpy()
    return _in_units(scores * x.shape[0] if network.readout == "membrane_mean" else scores, unit)


def _in_units(values: Tensor, unit: Floats) -> Ints:
    """Of potentials ``[T, B, C, ...]`` or of scores ``[B, K]``, which of a map are those of its places in a row."""
    if values.dim() > 2:
        across = unit.reshape(-1, *[1] * (values.dim() - 3))
    else:
        across = np.tile(unit, values.shape[1] // len(unit))
    whole: Ints = np.rint(values.double().cpu().numpy() / across).astype(np.int64)
    return whole


@torch.no_grad()
def _stage(synapse: nn.Module, neurons: nn.Module, place: int) -> StageIntegers:
    if not isinstance(synapse, QuantisedSynapse) or not isinstance(neurons, QuantisedLIF | QuantisedIntegrator):
        raise ConfigError("is not quantised", where=f"layer {place}", remedy="compress it with weights.bits")
    q, unit = synapse.integers()
    latent = neurons.latent(unit, synapse.bias)
    wide = (synapse.weight.shape[-1],)
    adapting = neurons.adapting if isinstance(neurons, QuantisedLIF) else None
    own_amount = isinstance(neurons, QuantisedLIF) and neurons.reset_by is not None
    return StageIntegers(
        weight=_whole(q),
        weight_bits=synapse.levels.bits,
        unit_in=synapse.unit_in,
        unit=unit.double().expand(wide).cpu().numpy(),
        multiplier=_whole(latent.multiplier),
        bias=_whole(latent.bias),
        threshold=None if latent.threshold is None else _whole(latent.threshold),
        amount=_whole(latent.amount) if own_amount and latent.amount is not None else None,
        codec=neurons.codec if isinstance(neurons, QuantisedLIF) else None,
        jump=None if latent.jump is None else _whole(latent.jump.expand(wide)),
        decay=adapting.decay if adapting else 0,
        fraction=adapting.fraction if adapting else 0,
    )


def _whole(tensor: Tensor) -> Ints:
    whole: Ints = tensor.detach().cpu().long().numpy()
    return whole
