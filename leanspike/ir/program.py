"""A program: one time step of a network as integer operations, its states, T, the input encoding and the readout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from leanspike.ir.encodings import Encoding
from leanspike.ir.inttype import IntType
from leanspike.ir.ops import LIF, Operation, Shape, Value
from leanspike.ir.sparse import sparse_bits

ReadoutKind = Literal["count", "first_spike", "membrane_last", "membrane_max", "membrane_mean"]
READOUTS: tuple[str, ...] = get_args(ReadoutKind)
Form = Literal["dense", "sparse"]
FORMS: tuple[str, ...] = get_args(Form)


@dataclass(frozen=True, eq=False)
class Array:
    """Constants of a type: weights, thresholds, tables.

    Attributes:
        values: all of them, in the narrowest NumPy type, read-only.
        form: how they are stored on a device; a sparse synapse executes only connections whose weight is not 0.
    """

    type: IntType
    values: npt.NDArray[Any]
    form: Form = "dense"

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if not np.issubdtype(values.dtype, np.integer):
            raise ValueError(f"arrays of a program hold integers, found {values.dtype}")
        outside = values.size and not self.type.holds(int(values.min()), int(values.max()))
        if outside:
            raise ValueError(f"values from {values.min()} to {values.max()} do not fit {self.type}")
        kept = np.array(values, dtype=self.type.dtype, order="C")
        kept.flags.writeable = False
        object.__setattr__(self, "values", kept)

    @property
    def stored_bits(self) -> int:
        """Memory as stored: every value at its own width, or what :mod:`leanspike.ir.sparse` takes."""
        if self.form == "sparse":
            return sparse_bits(self.values, self.type)
        return int(self.values.size) * self.type.bits

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Array):
            return NotImplemented
        alike = (self.type, self.form) == (other.type, other.form)
        return alike and bool(np.array_equal(self.values, other.values))

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Codec:
    """Few bits for a state: what is kept of v is ``c = clip((v + 2^(shift-1)) >> shift, lowest, highest)``.

    The next step reads ``c << shift``. Half a step is added only where shift > 0; :func:`leanspike.ir.intmath.stored`
    is the equation. Ternary ("1.58 bit") is lowest=-1, highest=1, five codes to a byte (3^5 <= 256).
    """

    lowest: int
    highest: int
    shift: int

    @property
    def levels(self) -> int:
        """How many codes there are."""
        return self.highest - self.lowest + 1

    @property
    def per_byte(self) -> int:
        """Codes that a byte holds: five of three levels, else as many fields of ``ceil(log2(levels))`` bits as fit."""
        return 5 if self.levels == 3 else 8 // (self.levels - 1).bit_length()


@dataclass(frozen=True)
class State:
    """What is carried from step to step for every sample; 0 before the first step.

    Attributes:
        type: the width in which the potential is computed and saturates.
        codec: how a potential is kept from step to step; None keeps it whole.
    """

    name: str
    shape: Shape
    type: IntType
    codec: Codec | None = None

    @property
    def stored_bytes(self) -> int:
        """Memory of one sample as stored: codes packed into bytes, whole potentials at their own width."""
        size = math.prod(self.shape)
        return -(-size * self.type.bits // 8) if self.codec is None else -(-size // self.codec.per_byte)


@dataclass(frozen=True)
class Input:
    """How a raw sample becomes the first value of every step.

    Attributes:
        result: the value that the operations read.
        raw: shape and type of a raw sample; images channels last.
        levels: the raw integer that stands for 1.0: a value x in [0, 1] enters as ``floor(levels x + 1/2)``.
        encoding: see :mod:`leanspike.ir.encodings`.
    """

    result: Value
    raw: Value
    levels: int
    encoding: Encoding


@dataclass(frozen=True)
class Exit:
    """Stop early: after the first step t >= ``earliest`` (counted from 1) at which best and second best score lie
    ``margin`` apart or more (``margin * t`` for membrane_mean, whose scores are sums)."""

    margin: int
    earliest: int = 1


@dataclass(frozen=True)
class Readout:
    """Scores ``[K]`` of the steps so far, integers; the highest wins, the lowest index of equal ones.

    ``count``: number of spikes. ``first_spike``: T - t for the first spike in step t (from 0), 0 where there was none.
    ``membrane_last``: the potential. ``membrane_max``: its maximum. ``membrane_mean``: its sum (T times the mean).
    Scores of a map ``[H, W, C]`` (a detector's) stand flat, in C order.
    """

    kind: ReadoutKind
    source: str
    exit: Exit | None = None


@dataclass(frozen=True)
class Program:
    """One meaning: :mod:`leanspike.ir.reference` is its definition.

    Attributes:
        name: one word, as in ``mnist-784-400-10``.
        steps: T.
        operations: one step, in an order in which every value stands before it is read.
        arrays: constants by name.
    """

    name: str
    steps: int
    input: Input
    states: tuple[State, ...]
    operations: tuple[Operation, ...]
    readout: Readout
    arrays: Mapping[str, Array] = field(repr=False)

    @cached_property
    def values(self) -> dict[str, Value]:
        """Every value by name, the input's first."""
        return {value.name: value for value in (self.input.result, *(op.result for op in self.operations))}

    @cached_property
    def state(self) -> dict[str, State]:
        """Every state by name."""
        return {state.name: state for state in self.states}

    @property
    def spiking(self) -> tuple[LIF, ...]:
        """The layers that fire, in order."""
        return tuple(op for op in self.operations if isinstance(op, LIF))

    @property
    def classes(self) -> int:
        """K; of a map the number of all its scores."""
        return math.prod(self.values[self.readout.source].shape)

    def array(self, name: str) -> npt.NDArray[np.int64]:
        """An array's values as int64."""
        return self.arrays[name].values.astype(np.int64)
