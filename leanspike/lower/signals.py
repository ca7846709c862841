"""Where the input of a synapse comes from: a small tree over the stages' spikes and the network's input.

unit(input) is the encoder's, unit(spikes) = 1, unit(average pool of x) = unit(x) / size^2 (a program sums),
unit(attention) = unit(query) unit(key) unit(value); both sides of a sum have one unit, which is its own
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

import numpy as np

from leanspike.core.errors import LoweringError


@dataclass(frozen=True)
class Fired:
    """The spikes of a stage by its number; 0 is the network's input."""

    stage: int


@dataclass(frozen=True)
class Delayed:
    """The spikes of a stage in the step before."""

    of: Fired


@dataclass(frozen=True)
class Late:
    """A signal so many steps ago, 1 or more; 0 before the first step."""

    of: Signal
    steps: int

    @property
    def before(self) -> Signal:
        """What it is one step ago."""
        return self.of if self.steps == 1 else Late(self.of, self.steps - 1)


@dataclass(frozen=True)
class Pool:
    """The maximum, sum or mean over windows of this size, side by side."""

    of: Signal
    size: int
    kind: Literal["max", "sum", "average"]


@dataclass(frozen=True)
class Flat:
    """A reshape to one axis, channels last."""

    of: Signal


@dataclass(frozen=True)
class Sum:
    """Element by element."""

    left: Signal
    right: Signal


@dataclass(frozen=True)
class Attended:
    """``Q K^T V`` of images whose places are the tokens, head by head."""

    query: Signal
    key: Signal
    value: Signal
    heads: int


Signal = Fired | Delayed | Late | Pool | Flat | Sum | Attended


def unit_of(signal: Signal, unit: float) -> float:
    """What the integer 1 of a signal stands for.

    Args:
        unit: of the network's input.

    Raises:
        LoweringError: the sides of a sum have different units.
    """
    return _unit(signal, unit)


@singledispatch
def _unit(signal: Signal, unit: float) -> float:
    raise TypeError(type(signal), unit)


@_unit.register
def _(signal: Fired, unit: float) -> float:
    return unit if signal.stage == 0 else 1.0


@_unit.register(Delayed)
@_unit.register(Late)
@_unit.register(Flat)
def _(signal: Delayed | Late | Flat, unit: float) -> float:
    return _unit(signal.of, unit)


@_unit.register
def _(signal: Pool, unit: float) -> float:
    return _unit(signal.of, unit) / (signal.size**2 if signal.kind == "average" else 1)


@_unit.register
def _(signal: Sum, unit: float) -> float:
    left, right = _unit(signal.left, unit), _unit(signal.right, unit)
    if not np.isclose(left, right, rtol=1e-12, atol=0):
        what = f"a sum of values whose units are {left:.6g} and {right:.6g}"
        raise LoweringError(what, remedy="put a synapse or neurons into the branch with the analogue values")
    return left


@_unit.register
def _(signal: Attended, unit: float) -> float:
    return _unit(signal.query, unit) * _unit(signal.key, unit) * _unit(signal.value, unit)
