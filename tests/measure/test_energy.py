"""Energy: every executed operation once, every figure cited, nothing claimed that a model does not hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from leanspike.core.errors import ConfigError
from leanspike.ir import LIF, Array, Dense, Direct, Input, Integrate, IntType, Program, Readout, State, Value, verify
from leanspike.measure.energy import CostModel, Figure, energies, energy, model, models
from leanspike.measure.program import measure
from leanspike.measure.work import Executed, Work, executed

U8, I8, I16, I20, SPIKE = IntType(8, False), IntType(8, True), IntType(16, True), IntType(20, True), IntType(1, False)


def small(leak: int = 900, reset: str = "subtract") -> Program:
    """Three pixels, two neurons, two classes, T = 2, direct coding."""
    x = Value("x", (3,), U8)
    arrays = {
        "w1": Array(I8, np.array([[3, 5], [-2, 4], [1, 1]])),
        "w2": Array(I8, np.array([[1, -1], [2, 3]])),
        "leak": Array(IntType(11, False), np.array([[leak]])),
        "theta": Array(I16, np.array([[200, 300]])),
        "bias": Array(I16, np.array([[1, 2]])),
    }
    operations = (
        Dense(Value("h", (2,), I20), "x", "w1"),
        LIF(Value("s", (2,), SPIKE), "h", "v", "leak", 10, "theta", bias="bias", reset=reset),  # type: ignore[arg-type]
        Dense(Value("o", (2,), I16), "s", "w2"),
        Integrate(Value("y", (2,), I16), "o", "u", "leak", 10),
    )
    states = (State("v", (2,), I20), State("u", (2,), I16))
    readout = Readout("membrane_last", "y")
    return verify(
        Program("small", 2, Input(x, Value("raw", (3,), U8), 255, Direct()), states, operations, readout, arrays)
    )


def counted(work: tuple[Work, ...]) -> dict[tuple[str, str], float]:
    return {(item.layer, item.kind): item.count for item in work}


def test_every_operation_of_a_small_program_is_counted_by_hand() -> None:
    found = measure(small(), np.array([[100, 0, 7], [0, 0, 0]]), np.array([0, 1]))
    # Sample 1: two pixels are not 0, computed once for both steps: 2 x 2 MACs; sample 2: none.
    # Currents 307+1 and 507+2 against 200 and 300: both neurons fire in both steps; 4 spikes, 8 ACs.
    assert counted(found.executed.work) == {
        ("h", "mac"): 2.0,
        ("s", "leak"): 4.0,
        ("s", "current"): 8.0,
        ("s", "compare"): 4.0,
        ("s", "reset"): 2.0,
        ("o", "ac"): 4.0,
        ("y", "leak"): 4.0,
        ("y", "current"): 4.0,
    }
    assert (found.macs, found.acs) == (2.0, 4.0)
    widths = {(item.layer, item.kind): (item.bits, item.factors) for item in found.executed.work}
    assert widths["h", "mac"] == (20, (8, 8))
    assert widths["s", "leak"] == (20, (20, 11))
    assert widths["o", "ac"] == (16, None)


def test_what_is_not_computed_costs_nothing() -> None:
    raw, labels = np.array([[100, 0, 7]]), np.array([0])
    kept = counted(measure(small(leak=1024), raw, labels).executed.work)
    assert ("s", "leak") not in kept
    zeroed = counted(measure(small(reset="zero"), raw, labels).executed.work)
    assert ("s", "reset") not in zeroed


def test_energy_is_the_sum_of_the_published_figures() -> None:
    mac = Work("a", "mac", 32, 10.0, (8, 8))
    ac, compare = Work("b", "ac", 8, 100.0), Work("b", "compare", 32, 7.0)
    found = energy(Executed((mac, ac, compare)))
    assert found.nanojoules == pytest.approx((10 * (0.2 + 0.1) + 100 * 0.03 + 7 * 0.1) / 1000)
    assert found.extrapolated == 0


def test_between_and_beyond_the_published_widths() -> None:
    def add(bits: int) -> float:
        value = energy(Executed((Work("a", "ac", bits, 1000.0),))).nanojoules
        assert value is not None
        return value

    assert add(8) == pytest.approx(0.03)
    assert add(32) == pytest.approx(0.1)
    assert add(16) == pytest.approx(math.sqrt(0.03 * 0.1))
    assert add(4) < add(8) < add(12) < add(20)
    narrow, wide = Work("a", "mac", 8, 1.0, (8, 2)), Work("a", "mac", 8, 1.0, (8, 8))
    assert energy(Executed((wide,))).extrapolated == 0
    assert energy(Executed((narrow,))).extrapolated == 1
    assert 0 < energy(Executed((narrow, wide))).extrapolated < 0.5


def test_a_chip_is_not_charged_with_what_it_has_no_figure_for() -> None:
    spikes, pixels = Work("b", "ac", 16, 1000.0), Work("a", "mac", 20, 5.0, (8, 8))
    assert energy(Executed((spikes, Work("b", "leak", 16, 9.0, (16, 11)))), "loihi-sop").nanojoules == pytest.approx(
        23.6
    )
    refused = energy(Executed((spikes, pixels)), "loihi-sop")
    assert (refused.nanojoules, refused.lacks) == (None, "mac")
    silent = energy(Executed((spikes, replace(pixels, count=0.0))), "loihi-sop")
    assert silent.nanojoules == pytest.approx(23.6)


def test_an_operation_without_a_rule_has_no_energy() -> None:
    found = energies(Executed((Work("a", "ac", 16, 1.0), Work("m", "uncounted", 16, math.nan))))
    assert set(found.values()) == {None}


def test_every_model_says_its_sources_and_what_it_leaves_out() -> None:
    assert models()[0] == "arithmetic-45nm"
    assert len(models()) == 5
    for name in models():
        costs = model(name)
        assert costs.node
        assert costs.leaves_out
        assert all(figure.source and figure.picojoules > 0 for figure in costs.figure)
        assert (costs.kind == "synaptic") == name.endswith("-sop")


def test_a_damaged_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"source"):
        Figure("add", 0.03, " ")
    one = Figure("add", 0.03, "somewhere", 8)
    with pytest.raises(ConfigError, match="figure"):
        CostModel("half a table", "45 nm", "arithmetic", ("memory",), (one, one))
    with pytest.raises(ConfigError, match=r"loihi-2.*one of arithmetic-45nm"):
        model("loihi-2")


def test_pools_and_joins() -> None:
    from leanspike.ir import Add, SumPool

    image = Value("x", (4, 4, 1), SPIKE)
    operations = (SumPool(Value("p", (2, 2, 1), IntType(3, False)), "x", 2), Add(Value("a", (2, 2, 1), I8), "p", "p"))
    program = Program("pools", 3, Input(image, image, 1, Direct()), (), operations, Readout("count", "a"), {})
    assert counted(executed(program, {}, {}, 3.0).work) == {("p", "join"): 12.0, ("a", "join"): 4.0}
