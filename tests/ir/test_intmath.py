"""The arithmetic against Python's own whole numbers, and torch against NumPy."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch

from leanspike.ir import IntType, intmath

VALUES = [*range(-40, 41), -(1 << 31), (1 << 31) - 1, -(1 << 19) - 1, (1 << 20) + 7]
KIND = IntType(5, True)


@pytest.mark.parametrize("shift", [0, 1, 3, 10, 30])
@pytest.mark.parametrize("multiplier", [0, 1, 13, 921, 65_535])
def test_a_leak_is_a_floor_also_of_negative_potentials(multiplier: int, shift: int) -> None:
    expected = [value * multiplier // 2**shift for value in VALUES]
    assert intmath.leak(np.array(VALUES), multiplier, shift).tolist() == expected
    assert intmath.leak(torch.tensor(VALUES), multiplier, shift).tolist() == expected
    assert expected == [math.floor(value * multiplier / 2**shift) for value in VALUES]


def test_saturate() -> None:
    expected = [max(-16, min(15, value)) for value in VALUES]
    assert intmath.saturate(np.array(VALUES), KIND).tolist() == expected
    assert intmath.saturate(torch.tensor(VALUES), KIND).tolist() == expected


@pytest.mark.parametrize("kind", ["subtract", "zero"])
def test_one_step_is_the_same_in_python_numpy_and_torch(kind: Literal["subtract", "zero"]) -> None:
    random = np.random.default_rng(0)
    v, current, bias = (random.integers(-60, 61, 500) for _ in range(3))
    threshold, amount = random.integers(1, 16, 500), random.integers(0, 20, 500)
    u = intmath.integrate(v, current, bias, 13, 4, KIND)
    fired = intmath.fire(u, threshold)
    carried = intmath.reset(u, fired, amount, kind)
    for i in range(500):
        potential = max(-16, min(15, int(v[i]) * 13 // 16 + int(current[i]) + int(bias[i])))
        spike = potential >= threshold[i]
        rest = potential - int(amount[i]) if kind == "subtract" else 0
        assert (u[i], bool(fired[i]), carried[i]) == (potential, spike, rest if spike else potential)
    tensors = [torch.from_numpy(array) for array in (v, current, bias, threshold, amount)]
    again = intmath.integrate(*tensors[:3], 13, 4, KIND)
    spikes = intmath.fire(again, tensors[3])
    assert np.array_equal(again.numpy(), u)
    assert np.array_equal(spikes.numpy(), fired)
    assert np.array_equal(intmath.reset(again, spikes, tensors[4], kind).numpy(), carried)


def test_fire_on_the_threshold_itself() -> None:
    assert intmath.fire(np.array([3, 4, 5]), 4).tolist() == [False, True, True]
