"""Signals as operations: the parts of a signal in the order in which they come to be, and what stands for each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import singledispatch

from leanspike.ir import Add, Matmul, MaxPool, Operation, Reshape, SumPool, Value
from leanspike.ir.inttype import SPIKE
from leanspike.lower.signals import Attended, Fired, Flat, Late, Pool, Signal, Sum

Made = Mapping[Signal, Value]


def parts(signal: Signal) -> Iterator[Signal]:
    """A signal and all that it is made of, what is read before what reads it; spikes and the input are no parts."""
    if isinstance(signal, Sum):
        inner: tuple[Signal, ...] = (signal.left, signal.right)
    elif isinstance(signal, Attended):
        inner = (signal.query, signal.key, signal.value)
    else:
        inner = (signal.of,) if isinstance(signal, Pool | Flat) else ()
        inner = (signal.before,) if isinstance(signal, Late) else inner
    for one in inner:
        yield from parts(one)
    if not isinstance(signal, Fired):
        yield signal


def expressed(signal: Signal, made: Made, tag: str) -> list[Operation]:
    """The operations of a signal whose own parts are ``made``; the last one gives it.

    None for a reshape of what is flat. Exact types are set later.
    """
    return _expressed(signal, made, tag)


@singledispatch
def _expressed(signal: Signal, made: Made, tag: str) -> list[Operation]:
    raise TypeError(type(signal), made, tag)


@_expressed.register
def _(signal: Flat, made: Made, tag: str) -> list[Operation]:
    x = made[signal.of]
    return [] if len(x.shape) == 1 else [Reshape(Value(f"f{tag}", (math.prod(x.shape),), x.type), x.name)]


@_expressed.register
def _(signal: Pool, made: Made, tag: str) -> list[Operation]:
    x, size, pool = made[signal.of], signal.size, MaxPool if signal.kind == "max" else SumPool
    return [pool(Value(f"p{tag}", (x.shape[0] // size, x.shape[1] // size, x.shape[2]), x.type), x.name, size)]


@_expressed.register
def _(signal: Sum, made: Made, tag: str) -> list[Operation]:
    left, right = made[signal.left], made[signal.right]
    return [Add(Value(f"a{tag}", left.shape, SPIKE), left.name, right.name)]


@_expressed.register
def _(signal: Attended, made: Made, tag: str) -> list[Operation]:
    image = made[signal.query].shape
    tokens, channels, heads = math.prod(image[:-1]), image[-1], signal.heads
    found: list[Operation] = []
    for name in ("query", "key", "value"):
        x = made[getattr(signal, name)]
        found.append(Reshape(Value(f"{name}{tag}", (tokens, channels), x.type), x.name))
    scores = Value(f"scores{tag}", (heads, tokens, tokens), SPIKE)
    mixed = Value(f"mixed{tag}", (tokens, channels), SPIKE)
    found.append(Matmul(scores, f"query{tag}", f"key{tag}", "scores", heads))
    found.append(Matmul(mixed, scores.name, f"value{tag}", "values", heads))
    return [*found, Reshape(Value(f"image{tag}", image, SPIKE), mixed.name)]
