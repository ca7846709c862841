"""What a network without spikes executes for an answer: the kinds and the prices of a program's account.

    recurrent and convolutional   integers of 8 bits, in the dense dataflow of :mod:`leanspike.measure.traffic`: each
                                  product reads a weight and a value; its sum stays in a register. The element-wise
                                  products of the gates count; tanh and sigmoid are left out.
    1-NN DTW                      integers of 8 bits; a cell and channel: a difference, and its square added; a cell:
                                  two comparisons, one number of the row above read, one written

Favourable to them: they were trained in floats, and what 8 bits would cost in accuracy is not charged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from leanspike.measure.work import Executed, Traffic, Work

BITS = 8
SUM_BITS = 24


def network(layers: Mapping[str, int], others: int, parameters: int, values: int) -> Executed:
    """A network of that many multiplications with an addition a sample, by layer.

    Args:
        others: element-wise products.
        parameters: which lie in one memory.
        values: numbers that are read over and over: inputs and hidden state, in another one.
    """
    work = [Work(name, "mac", SUM_BITS, float(count), (BITS, BITS)) for name, count in layers.items()]
    work += [Work("gates", "mac", SUM_BITS, float(others), (BITS, BITS))] if others else []
    traffic = []
    for name, count in layers.items():
        traffic.append(Traffic(name, "weight", "read", BITS, float(count), float(parameters)))
        traffic.append(Traffic(name, "input", "read", BITS, float(count), float(values)))
    return Executed(tuple(work), tuple(traffic))


def neighbour(cells: int, channels: int, templates: int, steps: int) -> Executed:
    """1-NN DTW: ``cells`` of each of the tables of ``templates`` training series of ``steps`` steps."""
    every = float(cells * templates)
    pairs = every * channels
    stored, row = float(templates * steps * channels), float(2 * steps * math.ceil(SUM_BITS / 8))
    work = (
        Work("distance", "join", BITS + 1, pairs),
        Work("distance", "mac", SUM_BITS, pairs, (BITS + 1, BITS + 1)),
        Work("distance", "compare", SUM_BITS, 2 * every),
    )
    traffic = (
        Traffic("distance", "weight", "read", BITS, pairs, stored),
        Traffic("distance", "input", "read", BITS, pairs, float(steps * channels)),
        Traffic("distance", "sum", "read", SUM_BITS, every, row),
        Traffic("distance", "sum", "write", SUM_BITS, every, row),
    )
    return Executed(work, traffic)
