"""Energy: every executed operation once, every figure cited, nothing claimed that a model does not hold."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from leanspike.core.errors import ConfigError
from leanspike.ir import Direct, Input, IntType, Program, Readout, Value
from leanspike.measure.energy import CostModel, Figure, energies, energy, figures, model, models
from leanspike.measure.program import measure
from leanspike.measure.tally import tally
from leanspike.measure.traffic import traffic
from leanspike.measure.work import Executed, Traffic, Work, arithmetic
from tests.measure.cost_programs import I8, SPIKES, pixels, samples, spikes


def counted(work: tuple[Work, ...]) -> dict[tuple[str, str], float]:
    return {(item.layer, item.kind): item.count for item in work}


def test_every_operation_of_a_small_program_is_counted_by_hand() -> None:
    found = measure(pixels(), np.array([[100, 0, 7], [0, 0, 0]]), np.array([0, 1]))
    # Sample 1: two pixels are not 0, computed once for both steps: 2 x 2 MACs; sample 2: none.
    # Currents 307+1 and 507+2 against 200 and 300: both neurons fire in both steps; 4 spikes, 8 ACs.
    assert counted(found.executed.work) == {
        ("h", "mac"): 2.0,
        ("s", "update"): 4.0,
        ("s", "leak"): 4.0,
        ("s", "current"): 8.0,
        ("s", "compare"): 4.0,
        ("s", "reset"): 2.0,
        ("o", "ac"): 4.0,
        ("y", "update"): 4.0,
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
    kept = counted(measure(pixels(leak=1024), raw, labels).executed.work)
    assert ("s", "leak") not in kept
    zeroed = counted(measure(pixels(reset="zero"), raw, labels).executed.work)
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


def test_every_model_says_its_sources_and_what_it_leaves_out() -> None:
    assert models()[0] == "arithmetic-45nm"
    assert len(models()) == 13
    for name in models():
        costs = model(name)
        assert costs.node
        assert costs.leaves_out
        assert all(figure.source and figure.picojoules > 0 for figure in figures(costs))
        assert (costs.kind == "synaptic") == name.endswith(("-sop", "-update"))


def test_a_model_tells_only_what_was_counted() -> None:
    work = (Work("b", "ac", 16, 1000.0), Work("b", "update", 16, 10.0))
    assert set(energies(Executed(work))) == set(models("arithmetic", "synaptic"))
    refused = energy(Executed(work), "memory-45nm")
    assert (refused.nanojoules, refused.lacks) == (None, "memory traffic, which was not counted")
    assert "instructions" in energy(Executed(work), "stm32l432-instructions").lacks
    assert energy(Executed((), (), 1e6), "stm32l432-instructions").nanojoules == pytest.approx(252e3)
    assert energy(Executed(work), "loihi-synop-update").nanojoules == pytest.approx(27.1 + 0.81)
    assert energy(Executed(work), "loihi-sop").nanojoules == pytest.approx(23.6)


def access(bits: float, memory: float, what: str = "weight") -> float:
    """pJ of one access."""
    read = Traffic("a", what, "read", bits, 1000.0, memory)  # type: ignore[arg-type]
    found = energy(Executed((), (read,)), "memory-45nm").nanojoules
    assert found is not None
    return found


def test_an_access_is_priced_by_its_width_and_the_size_of_the_memory() -> None:
    kilobyte = 1024
    assert access(64, 8 * kilobyte) == pytest.approx(10)
    assert access(32, 8 * kilobyte) == pytest.approx(5)  # not the 64-bit price for each word of 32
    assert access(64, 32 * kilobyte) == pytest.approx(20)
    assert access(64, 1024 * kilobyte) == pytest.approx(100)
    assert access(8, 100) == pytest.approx(10 / 8)
    assert access(64, 16 * kilobyte) == pytest.approx(math.sqrt(10 * 20))
    assert access(64, 1025 * kilobyte) == pytest.approx(1300)
    read = Traffic("a", "weight", "read", 64, 1000.0, 100)
    assert energy(Executed((), (read,)), "dram-45nm").nanojoules == pytest.approx(1300)
    assert energy(Executed((), (replace(read, what="sum"),)), "dram-45nm").nanojoules == pytest.approx(10)


def test_an_energy_is_the_sum_of_its_lines() -> None:
    program = spikes(held=True)
    _, found = tally(program, samples(program, 5))
    executed = Executed(arithmetic(program, found), traffic(program, found))
    for name in ("arithmetic-45nm", "memory-45nm", "dram-45nm", "loihi-synop-update"):
        told = energy(executed, name)
        assert told.nanojoules == pytest.approx(sum(n.count * (n.picojoules or 0) for n in told.lines) / 1000)
        assert all(line.law for line in told.lines)
        assert all(line.count == pytest.approx(sum(line.steps)) for line in told.lines)
    plain, priced = energy(executed).nanojoules, energy(executed, "memory-45nm").nanojoules
    assert plain is not None
    assert priced is not None
    assert priced > plain


def test_the_engine_and_the_interpreter_count_the_same_work() -> None:
    for program in (pixels(), spikes(held=False), spikes(held=True)):
        raw = samples(program, 30)
        _, found = tally(program, raw)
        whole = measure(program, raw, np.zeros(30, dtype=np.int64)).executed.work
        counts = {(item.layer, item.kind): item.count for item in whole}
        assert counts == pytest.approx({(item.layer, item.kind): item.count for item in arithmetic(program, found)})


def test_a_damaged_model_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"source"):
        Figure("add", 0.03, " ")
    one = Figure("add", 0.03, "somewhere", 8)
    with pytest.raises(ConfigError, match="figure"):
        CostModel("half a table", "45 nm", "arithmetic", ("memory",), (one, one))
    with pytest.raises(ConfigError, match="includes"):
        replace(model("memory-45nm"), includes="")
    with pytest.raises(ConfigError, match=r"loihi-2.*one of arithmetic-45nm"):
        model("loihi-2")


def test_pools_and_joins() -> None:
    from leanspike.ir import Add, MaxPool, SumPool

    image, wide = Value("x", (4, 4, 1), SPIKES), Value("p", (2, 2, 1), IntType(3, False))
    operations = (
        SumPool(wide, "x", 2),
        Add(Value("a", (2, 2, 1), I8), "p", "p"),
        MaxPool(Value("m", (1, 1, 1), I8), "a", 2),
    )
    program = Program("pools", 3, Input(image, image, 1, Direct()), (), operations, Readout("count", "m"), {})
    found = tally(program, np.ones((2, 4, 4, 1), dtype=np.int64))[1]
    assert counted(arithmetic(program, found)) == {("p", "join"): 12.0, ("a", "join"): 4.0, ("m", "compare"): 3.0}
    assert counted(arithmetic(program, found, "dense")) == {
        ("p", "join"): 36.0,
        ("a", "join"): 12.0,
        ("m", "compare"): 9.0,
    }
