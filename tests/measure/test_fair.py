"""The comparison with ANNs, the break-even map, and what one more step costs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from leanspike.ir import Sequence, Value
from leanspike.measure import fair
from leanspike.measure.ann import layers
from leanspike.measure.energy import energy
from leanspike.measure.overhead import at_steps, executed, overhead
from leanspike.measure.tally import tally
from leanspike.measure.traffic import traffic
from leanspike.measure.work import Executed, arithmetic
from tests.ir.small_programs import every_operation
from tests.measure.cost_programs import image, pixels, samples, spikes
from tests.measure.test_traffic import fully_connected


def test_bits_of_the_fair_opponent() -> None:
    """T + 1 values: a count of 0 to T spikes."""
    assert [fair.fair_bits(t) for t in (1, 2, 3, 4, 5, 7, 8, 10, 25, 50)] == [1, 2, 2, 3, 3, 3, 4, 4, 5, 6]


def test_the_ann_of_a_small_program_by_hand() -> None:
    """Three pixels of 8 bits, two of them 0 in one sample of two; hidden activations of 3 bits."""
    program = pixels()
    _, found = tally(program, np.array([[100, 0, 7], [0, 0, 9]]))
    first, neurons, second, last = layers(program, found, 3)
    dense, event = first.dataflows["dense"], first.dataflows["event"]
    assert [(w.kind, w.count, w.factors) for w in dense.work] == [("mac", 6.0, (8, 8))]
    assert [(w.kind, w.count) for w in event.work] == [("mac", 3.0)]
    assert [(t.what, t.access, t.bits, t.count) for t in dense.traffic or ()] == [
        ("weight", "read", 8, 6.0),
        ("input", "read", 8, 6.0),
    ]
    assert [(t.what, t.access, t.bits, t.count) for t in event.traffic or ()] == [
        ("weight", "read", 8, 3.0),
        ("input", "read", 8, 3.0),
        ("sum", "read", 18, 5.0),
        ("sum", "write", 18, 5.0),
    ]
    relu = neurons.dataflows["dense"]
    assert [(w.kind, w.count, w.factors) for w in relu.work] == [
        ("current", 2, None),
        ("compare", 2, None),
        ("leak", 2, (18, 16)),
    ]
    assert [(t.what, t.access, t.bits, t.count) for t in relu.traffic or ()] == [
        ("bias", "read", 16, 2),
        ("sum", "write", 3, 2),
    ]
    assert second.dataflows["event"].work == second.dataflows["dense"].work
    assert second.dataflows["dense"].work[0].factors == (3, 8)
    assert last.dataflows["dense"].work == ()


@pytest.mark.parametrize("name", fair.judges())
def test_the_formula_gives_the_energy_that_was_executed(name: str) -> None:
    for program, off in ((pixels(), 1e-9), (replace(pixels(), steps=9), 1e-9), (fully_connected(40, 16, 7), 0.05)):
        raw = samples(program, 30)
        _, found = tally(program, raw)
        contest = fair.Contest(program, found, name)
        assert contest.spiking_network(contest.rate, program.steps) == pytest.approx(contest.own, rel=off)
        work = arithmetic(program, found, "event", contest.still)
        same = energy(Executed(work, traffic(program, found, "event", contest.still)), name).nanojoules
        assert contest.own == same


@pytest.mark.parametrize("name", fair.judges())
def test_at_the_break_even_rate_both_cost_the_same(name: str) -> None:
    program = fully_connected(60, 8, 5)
    _, found = tally(program, samples(program, 20))
    contest, drawn = fair.Contest(program, found, name), fair.map_of(program, found, name)
    for t, bits in ((1, 1), (5, 3), (10, 4), (50, 6)):
        rate = contest.break_even_rate(t, bits)
        assert contest.spiking_network(rate, t) == pytest.approx(contest.ann(bits)[0])
        assert drawn["fair"][t - 1] == rate
        assert drawn["equal_bits"][t - 1] == contest.break_even_rate(t, 8)
    compared = fair.compare(program, found, name)
    assert compared.winner(compared.fair) == ("SNN" if contest.rate < compared.fair.break_even_rate else "ANN")
    until = compared.fair.break_even_steps
    following = contest.spiking_network(contest.rate, until + 1)
    assert following >= contest.ann(fair.fair_bits(until + 1))[0]
    if until:
        assert contest.spiking_network(contest.rate, until) < contest.ann(fair.fair_bits(until))[0]


def test_where_states_hardly_count_the_rule_of_thumb_holds() -> None:
    """r T < (E_mac + E_w + E_in) / (E_add + E_w + 2 E_sum), by hand from the published figures."""
    program = fully_connected(4000, 4, 1)
    _, found = tally(program, np.full((1, 4000), 15, dtype=np.uint8))
    contest = fair.Contest(program, found, "memory-45nm")

    def add(bits: float) -> float:
        return 0.03 * (bits / 8) ** (math.log(0.1 / 0.03) / math.log(4))

    def multiply(a: int, b: int) -> float:
        return 0.2 * (math.sqrt(a * b) / 8) ** (math.log(3.1 / 0.2) / math.log(4))

    weight = 8 / 64 * 10 * (16000 / 8192) ** 0.5
    ann_sum, pixel, snn_sum = 4 + 8 + 12, 4, 16
    ann = multiply(pixel, 8) + add(ann_sum) + weight + pixel / 64 * 10
    snn = add(snn_sum) + weight + 2 * snn_sum / 64 * 10 + 12 / 64 * 10 / 4
    assert contest.ann(8)[1] == {"i": "dense"}
    assert contest.break_even_rate(1, 8) == pytest.approx(ann / snn, rel=0.01)
    assert contest.break_even_rate(10, 8) * 10 == pytest.approx(ann / snn, rel=0.02)


def test_what_has_no_ann_says_why() -> None:
    assert fair.incomparable(pixels()) == ""
    assert fair.incomparable(image("sparse")) == ""
    assert "recurrent" in fair.incomparable(every_operation())
    series = replace(pixels().input, encoding=Sequence(), raw=Value("raw", (2, 3), pixels().input.raw.type))
    assert "series" in fair.incomparable(replace(pixels(), input=series))


def test_a_convolutional_program_is_compared() -> None:
    for form in ("dense", "sparse"):
        program = image(form)
        _, found = tally(program, samples(program, 10))
        compared = fair.compare(program, found, "memory-45nm")
        assert set(compared.fair.dataflow) == {"h", "o"}
        assert compared.nanojoules > 0
        assert compared.fair.nanojoules <= compared.equal_bits.nanojoules


def test_one_more_step_is_the_last_of_a_longer_program() -> None:
    program, raw = pixels(steps=3), samples(pixels(), 20)
    found = overhead(program, raw, np.arange(20), ("arithmetic-45nm", "memory-45nm"))
    assert found is not None
    assert found.step == 4
    _, longer = tally(replace(program, steps=4), raw)
    for name, step in found.energy.items():
        lines = energy(executed(replace(program, steps=4), longer), name).lines
        own = sum(line.steps[3] * (line.picojoules or 0) for line in lines) / 1000
        assert step.updates + step.spikes == pytest.approx(own)
        every = energy(executed(replace(program, steps=4), longer, "dense"), name).lines
        dense = sum(line.steps[3] * (line.picojoules or 0) for line in every) / 1000
        assert own + step.saved + step.reused == pytest.approx(dense)
        assert step.reused > 0
    assert found.state_bits == 2 * (2 * 20 + 2 * 16)
    assert found.latency is not None
    assert found.latency.steps > 0


def test_a_program_with_a_value_for_each_step_runs_no_longer() -> None:
    program = spikes(held=False)
    assert at_steps(program, 5) is None
    assert overhead(program, samples(program, 3), np.arange(3), ("memory-45nm",)) is None
