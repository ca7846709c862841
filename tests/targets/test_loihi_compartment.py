"""Loihi's compartment: against what Lava gave, and against a loop over single compartments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from leanspike.targets.loihi import compartment, synapses
from leanspike.targets.loihi.compartment import INPUT, Compartments, Connections

GOLDEN = Path(__file__).parent.parent / "golden" / "loihi-lava.npz"


def golden() -> list[tuple[tuple[Compartments, ...], tuple[Connections, ...], np.ndarray, int, dict[str, np.ndarray]]]:
    """Networks that ``scripts/lava_check.py`` ran in Lava, with what it gave."""
    with np.load(GOLDEN) as held:
        arrays = {key: held[key].astype(np.int64) for key in held.files}
    found = []
    for k in sorted({key.split("/")[0] for key in arrays}, key=int):
        mine = {key.removeprefix(f"{k}/"): array for key, array in arrays.items() if key.startswith(f"{k}/")}
        names = list(dict.fromkeys(key.split("/")[1] for key in mine if key.startswith("population/")))
        populations = tuple(
            Compartments(
                name,
                *(mine[f"population/{name}/{key}"] for key in ("decay", "threshold", "bias", "bias_exponent", "start")),
                current_decay=int(mine[f"population/{name}/current_decay"]),
            )
            for name in names
        )
        heads = list(dict.fromkeys("/".join(key.split("/")[:3]) for key in mine if key.startswith("connection/")))
        connections = tuple(
            Connections(
                *head.split("/")[2].split(">"),
                (int(mine[f"{head}/shape"][0]), int(mine[f"{head}/shape"][1])),
                *(mine[f"{head}/{key}"] for key in ("sources", "targets", "weights")),
                exponent=int(mine[f"{head}/exponent"]),
                bits=int(mine[f"{head}/bits"]),
            )
            for head in heads
        )
        found.append((populations, connections, mine["spikes"], int(mine["steps"]), mine))
    return found


def test_equals_lava_bit_for_bit() -> None:
    networks = golden()
    wrapped = clipped = spikes = 0
    for populations, connections, sent, steps, told in networks:
        ours = compartment.run(populations, connections, sent, steps)
        for of in populations:
            for key in ("spikes", "currents", "voltages"):
                expected = told[f"population/{of.name}/{key}"]
                assert np.array_equal(getattr(ours[of.name], key), expected), (of.name, key)
            spikes += int(ours[of.name].spikes.sum())
            wrapped += ours[of.name].wrapped
            clipped += ours[of.name].clipped
    assert len(networks) == 5
    assert min(wrapped, clipped, spikes) > 0


def scalar_step(of: Compartments, i: int, u: int, v: int, a: int) -> tuple[int, int, int]:
    """One compartment, from the documentation's words, with Python's integers."""

    def shrunk(x: int, decay: int) -> int:
        kept = abs(x) * (4096 - decay) // 4096
        return kept if x >= 0 else -kept

    u = shrunk(u, of.current_decay + 1) + 64 * a
    if u > 2**23:
        u -= 2**24
    elif u <= -(2**23):
        u += 2**24
    v = shrunk(v, int(of.decay[i])) + u + int(of.bias[i]) * 2 ** int(of.bias_exponent[i])
    v = max(-(2**23) + 1, min(2**23 - 1, v))
    fired = int(v > 64 * int(of.threshold[i]))
    return u, 0 if fired else v, fired


@pytest.mark.parametrize("seed", range(20))
def test_equals_a_loop_over_single_compartments(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, inputs, steps = int(random.integers(1, 6)), int(random.integers(1, 9)), 15
    of = Compartments(
        "p",
        random.integers(0, 4096, n),
        random.choice([0, 50, 131_071], n),
        random.integers(-4096, 4096, n),
        random.integers(0, 8, n),
        random.integers(-(2**23) + 1, 2**23, n),
        int(random.choice([4095, 0, 1000])),
    )
    weights = random.integers(-128, 128, (inputs, n)) * 2
    sources, targets = (side.T.ravel() for side in np.indices((inputs, n)))
    delay = int(random.integers(0, 3))
    way = Connections(
        INPUT, "p", (inputs, n), sources, targets, weights.T.ravel(), int(random.integers(0, 6)), 8, delay
    )
    spikes = random.integers(0, 2, (steps, 1, inputs))
    ours = compartment.run([of], [way], spikes, steps)["p"]
    u, v = [0] * n, of.start.tolist()
    for t in range(steps):
        seen = spikes[t - 1 - delay, 0] if t - 1 - delay >= 0 else np.zeros(inputs, dtype=np.int64)
        for i in range(n):
            total = int(seen @ weights[:, i]) * 2**way.exponent
            u[i], v[i], fired = scalar_step(of, i, u[i], v[i], total)
            assert (ours.currents[t, 0, i], ours.voltages[t, 0, i], ours.spikes[t, 0, i]) == (u[i], v[i], fired)


def test_decay_rounds_to_zero_on_both_sides() -> None:
    x = np.array([-5, -4, -1, 0, 1, 4, 5])
    assert compartment.decayed(x, 2048).tolist() == [-2, -2, 0, 0, 0, 2, 2]
    assert compartment.decayed(x, 0).tolist() == x.tolist()


def test_a_current_wraps_just_behind_24_bits() -> None:
    most = 1 << 23
    x = np.array([most - 1, most, most + 1, 1 - most, -most, -most - 1, 3 * most])
    assert compartment.wrapped(x).tolist() == [most - 1, most, 1 - most, 1 - most, most, most - 1, most]


def test_weights_of_both_signs_are_floored_to_even_and_of_one_sign_are_kept() -> None:
    assert compartment.stored_weights(np.array([-3, -1, 0, 1, 3, 300, -300]), 8).tolist() == [
        -4,
        -2,
        0,
        0,
        2,
        254,
        -256,
    ]
    assert compartment.stored_weights(np.array([0, 1, 255, 300]), 8).tolist() == [0, 1, 255, 255]
    assert compartment.stored_weights(np.array([-1, -7, -8]), 5).tolist() == [0, 0, -8]


@pytest.mark.parametrize("s", [6, 7, 8])
@pytest.mark.parametrize(("low", "high"), [(-128, 127), (-8, 7), (0, 255), (-255, 0), (-1, 0), (0, 1), (-96, 96)])
def test_every_weight_of_8_bits_is_stored_exactly(low: int, high: int, s: int) -> None:
    weights = np.arange(low, high + 1)
    form = synapses.stored(weights, s)
    assert form is not None
    assert form.lost == 0
    held = compartment.stored_weights(form.mantissas, form.bits)
    np.testing.assert_array_equal(held * 2.0 ** (form.exponent + 6), weights * 2.0**s)


def test_wider_weights_lose_their_lowest_bits_and_say_how_many() -> None:
    weights = np.array([-1000, -3, 0, 5, 1023])
    form = synapses.stored(weights, 6)
    assert form is not None
    assert (form.bits, form.lost) == (8, 3)
    assert (np.abs(form.mantissas * 2.0**form.exponent - weights) <= 8).all()


def test_a_format_is_as_narrow_as_its_weights() -> None:
    for weights, bits in (([-1, 0], 1), ([0, 1], 1), ([-1, 1], 2), ([-8, 7], 4), ([0, 15], 4), ([-32, 64], 3), ([], 1)):
        form = synapses.stored(np.array(weights, dtype=np.int64), 6)
        assert form is not None
        assert form.bits == bits, weights
