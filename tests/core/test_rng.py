"""Counter-based random numbers: the definition, independence and uniformity."""

from __future__ import annotations

import numpy as np
import pytest

from leanspike.core import rng


def plain_mix(x: int) -> int:
    """The header's formula in Python integers."""
    for shift, factor in ((16, 0x21F0AAAD), (15, 0xD35A2D97)):
        x ^= x >> shift
        x = x * factor & 0xFFFFFFFF
    return x ^ x >> 15


def test_draws_follow_the_formula() -> None:
    seed, stream, step = 12345, 678, 9
    key = plain_mix((plain_mix((plain_mix(seed + 0x9E3779B9 & 0xFFFFFFFF) + stream) & 0xFFFFFFFF) + step) & 0xFFFFFFFF)
    words = [plain_mix((key + i * 0x9E3779B9) & 0xFFFFFFFF) for i in range(4)]
    expected = [half for word in words for half in (word & 0xFFFF, word >> 16)][:7]
    keys = rng.key(seed, np.array([stream]), np.array([step]))
    assert rng.draws16(keys, 7)[0, 0].tolist() == expected


def test_streams_and_steps_are_independent_of_their_company() -> None:
    whole = rng.draws16(rng.key(1, np.arange(20), np.arange(5)), 33)
    part = rng.draws16(rng.key(1, np.array([7]), np.array([3])), 33)
    assert np.array_equal(whole[3, 7], part[0, 0])


def test_draws_are_uniform_and_uncorrelated() -> None:
    draws = rng.draws16(rng.key(3, np.arange(50), np.arange(40)), 500).astype(np.float64) / 65536
    n = draws.size
    assert abs(draws.mean() - 0.5) < 5 / np.sqrt(12 * n)
    counts = np.histogram(draws, bins=256, range=(0, 1))[0]
    chi_square = ((counts - n / 256) ** 2 / (n / 256)).sum()
    assert abs(chi_square - 255) < 6 * np.sqrt(2 * 255)
    for axis in range(3):
        a, b = np.moveaxis(draws, axis, 0)[:-1], np.moveaxis(draws, axis, 0)[1:]
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 5 / np.sqrt(a.size)


def test_derived_seeds_differ() -> None:
    seeds = {rng.derive(seed, *labels) for seed in range(30) for labels in [(), (0,), (1,), (0, 0), (0, 1), (1, 0)]}
    assert len(seeds) == 180
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_normal_numbers_are_normal_and_a_function_of_seed_and_place() -> None:
    drawn = rng.normals(7, 200_001)
    assert drawn.shape == (200_001,)
    assert abs(drawn.mean()) < 0.01
    assert drawn.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(drawn) < 1.96).mean() == pytest.approx(0.95, abs=0.003)
    assert abs(np.corrcoef(drawn[:-1:2], drawn[1::2])[0, 1]) < 0.01
    assert np.array_equal(rng.normals(7, 11), drawn[:11])
    assert abs(np.corrcoef(drawn, rng.normals(8, 200_001))[0, 1]) < 0.01
