"""A network on its way to a program: stages of float64 arrays, each neurons with the synapses that feed them.

    I[t]  = W x[t] + bias                        x a signal: spikes, the input, pools and sums of them
    y[t]  = scale[t] I[t] + shift[t]              the norm, until it is folded
    u[t]  = leak[t] v[t-1] + sum of y[t]          fire at threshold[t], raised where thresholds adapt, and reset

Arrays of neurons are ``[S, C]``, S = 1 or T, C = 1 or the channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from leanspike.ir.program import ReadoutKind
from leanspike.lower.signals import Signal

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Norm:
    """``y[t] = scale[t] I + shift[t]``, ``[S, C]`` each."""

    scale: Floats
    shift: Floats


@dataclass(frozen=True, eq=False)
class Synapse:
    """What turns a signal into a current.

    Attributes:
        weight: ``[in, out]``, ``[kh, kw, in, out]``, or one to one ``[1]``.
        bias: ``[S, C]``.
    """

    source: Signal
    weight: Floats
    stride: int
    padding: int
    norm: Norm | None
    bias: Floats

    @property
    def one_to_one(self) -> bool:
        """Whether every element of the signal feeds the neuron in its own place."""
        return self.weight.ndim == 1


@dataclass(frozen=True, eq=False)
class Adaptation:
    """Thresholds that adapt: ``threshold + a / 2^fraction``, then ``a <- decay a + s jump``.

    Attributes:
        jump: ``[1, C]``, C = 1 or the channels.
        fraction: above 0 in integers alone, where the quotient is floored, and ``decay a`` too.
    """

    jump: Floats
    decay: float
    fraction: int = 0


@dataclass(frozen=True, eq=False)
class Stage(Synapse):
    """Neurons with the first of their synapses.

    Attributes:
        threshold: ``[S, C]``; None where the neurons only integrate.
        reset_by: ``[S, C]`` what a subtract reset takes away; None for the threshold.
        more: further synapses into the same neurons.
        adaptation: None where thresholds stay.
    """

    number: int
    leak: Floats
    threshold: Floats | None
    reset: Literal["subtract", "zero"]
    refractory: int
    reset_by: Floats | None
    more: tuple[Synapse, ...] = ()
    adaptation: Adaptation | None = None

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """All of them."""
        return (self, *self.more)

    def arrays(self) -> Iterator[tuple[str, Floats]]:
        """Its trained arrays by their names."""
        for synapse in self.synapses:
            norm = () if synapse.norm is None else (("norm", synapse.norm.scale), ("norm", synapse.norm.shift))
            yield from (("weight", synapse.weight), ("bias", synapse.bias), *norm)
        firing = (("threshold", self.threshold), ("reset", self.reset_by))
        yield "leak", self.leak
        yield from ((name, values) for name, values in firing if values is not None)


@dataclass(frozen=True, eq=False)
class Draft:
    """All stages, and the readout."""

    stages: tuple[Stage, ...]
    readout: ReadoutKind
