"""The operations of a program. Each record's docstring is its meaning: equation, shapes, widths, rounding, overflow.

Shapes are those of one sample in one step; images lie channels last, ``(H, W, C)``. No operation but LIF and
Integrate may overflow: the verifier proves that every value fits its type. Parameter arrays of neurons have the
shape ``[S, C]``: S is 1, or T for one row a step; C is 1, or the channels (the last axis of the value).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from leanspike.ir.inttype import IntType

MOST_AXES = 8

Shape = tuple[int, ...]
Reset = Literal["subtract", "zero"]


@dataclass(frozen=True)
class Value:
    """What an operation gives in every step: a name, the shape for one sample, and a type."""

    name: str
    shape: Shape
    type: IntType


@dataclass(frozen=True)
class Dense:
    """``y[o] = sum over i of x[i] W[i, o]``: ``[in] -> [out]``, weight ``[in, out]``, exact."""

    keyword: ClassVar[str] = "dense"
    result: Value
    source: str
    weight: str


@dataclass(frozen=True)
class Conv2d:
    """``y[h, w, o] = sum over a, b, c of x[h stride + a - padding, w stride + b - padding, c] W[a, b, c, o]``, exact.

    ``[H, W, C] -> [H', W', O]`` with ``H' = floor((H + 2 padding - kh) / stride) + 1``; x is 0 outside the image.
    """

    keyword: ClassVar[str] = "conv2d"
    result: Value
    source: str
    weight: str
    stride: int = 1
    padding: int = 0


@dataclass(frozen=True)
class SumPool:
    """Sum over windows ``size x size``, side by side: ``[H, W, C] -> [floor(H/size), floor(W/size), C]``, exact."""

    keyword: ClassVar[str] = "sum_pool"
    result: Value
    source: str
    size: int = 2


@dataclass(frozen=True)
class MaxPool:
    """Maximum over windows ``size x size``, side by side: ``[H, W, C] -> [floor(H/size), floor(W/size), C]``."""

    keyword: ClassVar[str] = "max_pool"
    result: Value
    source: str
    size: int = 2


@dataclass(frozen=True)
class Add:
    """``y = a + b``, of equal shapes, exact."""

    keyword: ClassVar[str] = "add"
    result: Value
    left: str
    right: str


@dataclass(frozen=True)
class Scale:
    """One-to-one synapses: ``y[..., c] = x[..., c] f[c]``, exact; factor array ``[C]``, or ``[1]`` for all channels.

    It brings a value to the unit of what it is added to: an identity shortcut, or an input of another unit.
    """

    keyword: ClassVar[str] = "scale"
    result: Value
    source: str
    factor: str


@dataclass(frozen=True)
class Matmul:
    """Products of two values, head by head, exact, with d = D / heads channels a head::

        form=scores    y[h, n, m] = sum over c of a[n, h d + c] b[m, h d + c]     [N, D], [M, D] -> [heads, N, M]
        form=values    y[n, h d + c] = sum over m of a[h, n, m] b[m, h d + c]     [heads, N, M], [M, D] -> [N, D]

    a is ``left``, b is ``right``. Attention is both, without softmax: scores Q K^T of tokens ``[N, D]``, then values.
    """

    keyword: ClassVar[str] = "matmul"
    result: Value
    left: str
    right: str
    form: Literal["scores", "values"]
    heads: int = 1


@dataclass(frozen=True)
class Delay:
    """``y[t] = x[t - 1]``, 0 in the first step; x is the value ``of``.

    x may come after the delay, which makes a recurrent edge; where it is (a reshape of) another delay's, that one comes
    before. The state holds x from the end of a step to the end of the next, as it is.
    """

    keyword: ClassVar[str] = "delay"
    result: Value
    of: str
    state: str


@dataclass(frozen=True)
class Reshape:
    """The same values in C order with another shape."""

    keyword: ClassVar[str] = "reshape"
    result: Value
    source: str


@dataclass(frozen=True)
class LIF:
    """Leaky integrate-and-fire neurons: leak, integrate, saturate, fire on >=, reset at once.

    With v the state, I the source, and m, b, theta the parameter arrays' row of this step::

        u = sat(((v m) >> shift) + I + b)        floor shift; saturating at the width of the state
        s = u >= theta                            the result, u1
        v = u - s theta   (reset=subtract)        v = 0 where s, else u   (reset=zero)

    With ``reset_by`` (of reset=subtract only) the row of that array is subtracted in place of theta: 0 is no reset, and
    theta / beta is the reset that other simulators apply one step late. With ``refractory`` R > 0 the state ``hold``
    counts: where hold > 0, v stays, s = 0, and hold falls by 1; else the above, and hold = R where s. ``v m`` and
    ``((v m) >> shift) + I + b`` fit 32 bits with sign: the verifier proves it. A state with a codec keeps of v what
    :func:`leanspike.ir.intmath.stored` gives.

    With ``adapt``, a state a of unsigned integers, thresholds adapt: w stands in place of theta in all of the above,
    where n and j are the rows of ``adapt_leak`` and ``adapt_jump``. A held neuron's a decays, too::

        w = theta + (a >> adapt_fraction)         a << -adapt_fraction where that is negative
        a = sat(((a n) >> adapt_shift) + j s)     after the spikes; saturating at the width of the state

    ``a n``, the sum before it saturates and w fit 32 bits with sign.
    """

    keyword: ClassVar[str] = "lif"
    result: Value
    source: str
    state: str
    leak: str
    shift: int
    threshold: str
    bias: str | None = None
    reset: Reset = "subtract"
    refractory: int = 0
    hold: str | None = None
    reset_by: str | None = None
    adapt: str | None = None
    adapt_leak: str | None = None
    adapt_shift: int = 0
    adapt_jump: str | None = None
    adapt_fraction: int = 0

    @property
    def amount(self) -> str:
        """The array that a subtract reset takes away; where thresholds adapt, w if it is the threshold's."""
        return self.reset_by or self.threshold


@dataclass(frozen=True)
class Integrate:
    """Neurons that never fire: ``u = sat(((v leak) >> shift) + I + b)``; the result is u, and has the state's type.

    v is u in the next step; a state with a codec keeps of it what :func:`leanspike.ir.intmath.stored` gives.
    """

    keyword: ClassVar[str] = "integrate"
    result: Value
    source: str
    state: str
    leak: str
    shift: int
    bias: str | None = None


Operation = Dense | Conv2d | SumPool | MaxPool | Add | Scale | Matmul | Delay | Reshape | LIF | Integrate
OPERATIONS: dict[str, type[Operation]] = {
    kind.keyword: kind for kind in (Dense, Conv2d, SumPool, MaxPool, Add, Scale, Matmul, Delay, Reshape, LIF, Integrate)
}


def sources(operation: Operation) -> tuple[str, ...]:
    """Names of the values that an operation reads before it gives its own: none of a delay."""
    if isinstance(operation, Delay):
        return ()
    return (operation.left, operation.right) if isinstance(operation, Add | Matmul) else (operation.source,)


def reads(operation: Operation) -> tuple[str, ...]:
    """Names of the values that an operation reads in a step, what a delay keeps for the next one included."""
    return (operation.of,) if isinstance(operation, Delay) else sources(operation)


def states(operation: Operation) -> tuple[str, ...]:
    """Names of the states that an operation reads and writes."""
    if isinstance(operation, LIF):
        own = (operation.state, operation.hold, operation.adapt)
        return tuple(name for name in own if name is not None)
    return (operation.state,) if isinstance(operation, Integrate | Delay) else ()


def parameters(operation: LIF | Integrate) -> tuple[str, ...]:
    """Names of a neuron's parameter arrays."""
    named: tuple[str | None, ...] = (operation.leak, operation.bias)
    if isinstance(operation, LIF):
        named += (operation.threshold, operation.reset_by, operation.adapt_leak, operation.adapt_jump)
    return tuple(name for name in named if name is not None)


def arrays(operation: Operation) -> tuple[str, ...]:
    """Names of the arrays that an operation reads."""
    if isinstance(operation, Dense | Conv2d):
        return (operation.weight,)
    if isinstance(operation, Scale):
        return (operation.factor,)
    return parameters(operation) if isinstance(operation, LIF | Integrate) else ()
