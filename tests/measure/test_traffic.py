"""Counts of work and traffic: equal to those of a slow machine that counts each access, and to closed forms."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from leanspike.ir import LIF, Array, Dense, Input, Integrate, IntType, Program, Rate, Readout, State, Value, reference
from leanspike.ir.inttype import SPIKE
from leanspike.measure.tally import tally
from leanspike.measure.traffic import traffic
from leanspike.measure.work import Executed, Traffic, Variant, arithmetic
from tests.ir.small_programs import every_operation
from tests.measure.cost_programs import image, pixels, samples, spikes
from tests.measure.slow_machine import SlowMachine

PROGRAMS = {
    "direct coding": pixels(),
    "sparse, coded, own resets": spikes(held=False),
    "refractory": spikes(held=True),
    "convolution": image(),
    "sparse convolution": image("sparse"),
}


def by_step(items: tuple[Any, ...], key: Any) -> Counter[Any]:
    found: Counter[Any] = Counter()
    for item in items:
        for t, count in enumerate(item.steps):
            if count:
                found[(*key(item), t)] += count
    return found


def access(item: Traffic) -> tuple[str, str, str]:
    return item.layer, item.what, item.access


@pytest.mark.parametrize("variant", ["event", "dense"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_counts_equal_those_of_a_machine_that_counts_each_access(name: str, variant: Variant) -> None:
    program = PROGRAMS[name]
    raw = samples(program, 4)
    trace, found = tally(program, raw)
    reads: Counter[Any] = Counter()
    done: Counter[Any] = Counter()
    for number, sample in enumerate(raw):
        slow = SlowMachine(program, sample, number, dense=variant == "dense")
        slow.run()
        expected = reference.run(program, sample[None], np.array([number]))
        for op in program.operations:
            if isinstance(op, LIF | Integrate):
                assert list(slow.state[op.state].values()) == expected.potentials[op.state].reshape(-1).tolist()
        reads += slow.counts
        done += slow.work
    assert int(trace.steps.min()) == program.steps
    counted = by_step(traffic(program, found, variant), access)
    assert counted == {key: pytest.approx(count / len(raw)) for key, count in reads.items()}
    work = by_step(arithmetic(program, found, variant), lambda item: (item.layer, item.kind))
    assert work == {key: pytest.approx(count / len(raw)) for key, count in done.items()}


def fully_connected(inputs: int, neurons: int, steps: int, weight: int = 1) -> Program:
    """One layer of spikes whose threshold and bias differ by channel."""
    arrays = {
        "table": Array(IntType(16, False), np.arange(16) * 4369),
        "w": Array(IntType(8, True), np.full((inputs, neurons), weight)),
        "m": Array(IntType(10, False), np.array([[900]])),
        "t": Array(IntType(8, False), np.arange(neurons)[None] % 5 + 2),
        "b": Array(IntType(8, True), np.ones((1, neurons), dtype=int)),
    }
    operations = (
        Dense(Value("i", (neurons,), IntType(16, True)), "x", "w"),
        LIF(Value("s", (neurons,), SPIKE), "i", "v", "m", 10, "t", "b"),
    )
    states = (State("v", (neurons,), IntType(16, True)),)
    start = Input(Value("x", (inputs,), SPIKE), Value("raw", (inputs,), IntType(4, False)), 15, Rate(1, "table"))
    return Program("layer", steps, start, states, operations, Readout("count", "s"), arrays)


@pytest.mark.parametrize(("inputs", "neurons", "steps"), [(12, 5, 3), (40, 16, 7), (9, 30, 1)])
def test_closed_forms_of_a_layer(inputs: int, neurons: int, steps: int) -> None:
    """theta: input spikes of all steps; N neurons, T steps; Lemaire et al. with sums apart from potentials."""
    program = fully_connected(inputs, neurons, steps)
    trace, found = tally(program, samples(program, 6))
    theta, fired, n, t = float(found.nonzero["x"].sum()), float(trace.spikes["s"].mean()), neurons, steps
    event = {access(item): item.count for item in traffic(program, found)}
    assert event["i", "weight", "read"] == pytest.approx(theta * n)
    assert event["i", "sum", "read"] + event["s", "sum", "read"] == pytest.approx(theta * n + t * n)
    assert event["i", "sum", "write"] == pytest.approx(theta * n + t * n)
    assert event["s", "potential", "read"] == event["s", "potential", "write"] == t * n
    assert event["s", "bias", "read"] == event["s", "threshold", "read"] == t * n
    assert event["i", "spike", "read"] == pytest.approx(theta)
    assert event["s", "spike", "write"] == pytest.approx(fired)
    dense = {access(item): item.count for item in traffic(program, found, "dense")}
    assert dense["i", "weight", "read"] == dense["i", "spike", "read"] == t * inputs * n
    assert dense["s", "spike", "write"] == t * n
    assert not {key for key in dense if "sum" in key}
    work = {item.kind: item.count for item in arithmetic(program, found)}
    assert work["ac"] == pytest.approx(theta * n)
    assert work["update"] == work["leak"] == work["compare"] == t * n
    assert work["current"] == 2 * t * n
    assert work["reset"] == pytest.approx(fired)


def test_a_constant_input_is_computed_once_unless_every_input_in_every_step_is() -> None:
    program = pixels(steps=5)
    _, found = tally(program, np.array([[100, 0, 7]]))
    event = {access(item): item.steps for item in traffic(program, found)}
    assert event["h", "weight", "read"] == (4.0, 0, 0, 0, 0)
    assert event["h", "input", "read"] == (3.0, 0, 0, 0, 0)
    assert event["s", "sum", "read"] == (2.0,) * 5
    still = {access(item): item.steps for item in traffic(program, found, "event", "dense")}
    assert still["h", "weight", "read"] == (6.0, 0, 0, 0, 0)
    assert ("h", "sum", "read") not in still
    assert still["h", "sum", "write"] == (2.0, 0, 0, 0, 0)
    dense = {access(item): item.steps for item in traffic(program, found, "dense")}
    assert dense["h", "weight", "read"] == (6.0,) * 5


def test_codes_move_their_share_of_a_byte() -> None:
    _, found = tally(spikes(held=False), samples(spikes(held=False), 3))
    widths = {access(item): item.bits for item in traffic(spikes(held=False), found)}
    assert widths["s", "potential", "read"] == pytest.approx(8 / 5)
    assert widths["h", "spike", "read"] == 5
    assert widths["s", "spike", "write"] == 5


def test_an_early_exit_stops_the_count() -> None:
    program = spikes(held=False, early=True)
    raw = samples(program, 40, seed=2)
    trace, found = tally(program, raw)
    assert 2 <= trace.steps.mean() < 4
    assert found.used.sum() == pytest.approx(trace.steps.mean())
    assert found.active["s"].sum() == pytest.approx(30 * trace.steps.mean())
    assert found.nonzero["s"].sum() == pytest.approx(trace.spikes["s"].mean())


def test_every_operation_is_counted() -> None:
    program = every_operation()
    _, found = tally(program, samples(program, 40))
    for variant in ("event", "dense"):
        executed = Executed(arithmetic(program, found, variant), traffic(program, found, variant))  # type: ignore[arg-type]
        assert executed.traffic is not None
        layers = {item.layer for item in executed.traffic}
        assert layers >= {op.result.name for op in program.operations} - {"k1", "g3", "f1"}
        assert all(np.isfinite(item.count) for item in (*executed.work, *executed.traffic))
    event, dense = (sum(item.count for item in arithmetic(program, found, v)) for v in ("event", "dense"))  # type: ignore[arg-type]
    assert event < dense
