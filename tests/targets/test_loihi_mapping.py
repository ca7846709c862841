"""Programs on Loihi's rules: equal where nothing is approximated, told and measured where something is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from leanspike import ir, targets
from leanspike.core.trace import mismatches
from leanspike.ir import LIF, Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted
from leanspike.targets import loihi
from leanspike.targets.conformance import COUNT, Case, cases
from leanspike.targets.loihi import simulate
from leanspike.targets.loihi.limits import refusals

WIDE = IntType(22, True)


def exact_program(seed: int) -> Program:
    """Images or vectors of spikes, one to three layers without leak, reset to 0, with pools, residual sums, biases."""
    random = np.random.default_rng(seed)
    arrays: dict[str, Array] = {"table": Array(IntType(16, False), np.arange(16) * 4369)}
    arrays["one"] = Array(IntType(1, False), [[1]])
    operations: list[ir.Operation] = []
    states: list[ir.State] = []
    image = bool(random.integers(2))
    shape: tuple[int, ...] = (*random.integers(4, 8, 2).tolist(), 2) if image else (int(random.integers(3, 30)),)
    x = Value("x", shape, SPIKE)

    def put(op: ir.Operation) -> Value:
        operations.append(op)
        return op.result

    def synapse(x: Value, wide: int) -> Value:
        name = f"i{len(operations)}"
        kernel = (3, 3, x.shape[2], wide) if len(x.shape) == 3 else (x.shape[0], wide)
        most = int(random.choice([1, 7, 127]))
        arrays[f"w{name}"] = Array(IntType(8, True), random.integers(-most, most + 1, kernel))
        if len(x.shape) == 3:
            return put(ir.Conv2d(Value(name, (*x.shape[:2], wide), SPIKE), x.name, f"w{name}", padding=1))
        return put(ir.Dense(Value(name, (wide,), SPIKE), x.name, f"w{name}"))

    def layer(x: Value, wide: int, *, fires: bool = True) -> Value:
        current, name = synapse(x, wide), f"s{len(operations)}"
        if random.integers(3) == 0:
            again = synapse(x, wide)
            current = put(ir.Add(Value(f"{name}a", current.shape, SPIKE), current.name, again.name))
        states.append(ir.State(f"v{name}", current.shape, WIDE))
        bias = f"b{name}" if random.integers(2) else None
        if bias:
            arrays[bias] = Array(IntType(6, True), random.integers(-30, 31, (1, wide)))
        if not fires:
            return put(ir.Integrate(Value(name, current.shape, WIDE), current.name, f"v{name}", "one", 0, bias))
        arrays[f"t{name}"] = Array(IntType(9, False), random.integers(100, 300, (1, random.choice([1, wide]))))
        rest = ("one", 0, f"t{name}", bias, "zero")
        return put(LIF(Value(name, current.shape, SPIKE), current.name, f"v{name}", *rest))

    start = x
    if image:
        x = layer(x, 3)
        pool = ir.MaxPool if random.integers(2) else ir.SumPool
        x = put(pool(Value("p", (x.shape[0] // 2, x.shape[1] // 2, 3), SPIKE), x.name))
        x = layer(x, 3) if random.integers(2) else x
        x = put(ir.Reshape(Value("f", (int(np.prod(x.shape)),), SPIKE), x.name))
    x = layer(x, int(random.integers(3, 20))) if random.integers(2) else x
    x = layer(x, 4, fires=bool(random.integers(2)))
    kind = str(random.choice(["count", "first_spike"] if x.type == SPIKE else ["membrane_mean", "membrane_last"]))
    exit_ = ir.Exit(3, 1) if random.integers(3) == 0 else None
    raw = Value("raw", shape, IntType(4, False))
    given = ir.Input(start, raw, 15, ir.Rate(5, "table"))
    readout = ir.Readout(kind, x.name, exit_)  # type: ignore[arg-type]
    program = Program("exact", int(random.integers(1, 9)), given, tuple(states), tuple(operations), readout, arrays)
    return ir.verify(fitted(program))


def samples(program: Program, count: int = 4) -> np.ndarray[Any, np.dtype[Any]]:
    """Random raw samples."""
    kind, random = program.input.raw, np.random.default_rng(1)
    raw = random.integers(kind.type.lowest, kind.type.highest + 1, (count, *kind.shape))
    return raw.astype(kind.type.dtype)


@pytest.mark.parametrize("seed", range(60))
def test_neurons_that_do_not_leak_and_reset_to_zero_map_exactly(seed: int, tmp_path: Path) -> None:
    program = exact_program(seed)
    assert loihi.mapped(program).approximations == ()
    artefact = targets.emit("loihi", program, tmp_path)
    raw = samples(program)
    found = targets.run(artefact, raw, record=True)
    wrong = mismatches(ir.run(program, raw, record=True), found)
    assert not any(wrong.values()), wrong


@settings(max_examples=COUNT, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=cases())
def test_a_random_program_is_refused_by_name_or_simulated_and_equal_where_it_is_called_exact(case: Case) -> None:
    if refusals(case.program):
        return
    of = loihi.mapped(case.program)
    found = simulate.run(of, case.raw, case.numbers, record=True)
    wrong = mismatches(ir.run(case.program, case.raw, case.numbers, record=True), found)
    assert not of.exact or not any(wrong.values()), (of, wrong)


def test_spikes_that_skip_a_layer_wait_for_the_others(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {f"w{i}": Array(IntType(4, True), random.integers(-7, 8, (12, 12))) for i in range(3)}
    arrays |= {"table": Array(IntType(16, False), np.arange(16) * 4369), "one": Array(IntType(1, False), [[1]])}
    arrays |= {"t": Array(IntType(6, False), [[20]]), "b": Array(IntType(4, True), random.integers(-7, 8, (1, 12)))}

    def dense(name: str, source: str, weight: str) -> ir.Dense:
        return ir.Dense(Value(name, (12,), SPIKE), source, weight)

    def fires(name: str, source: str, state: str) -> LIF:
        return LIF(Value(name, (12,), SPIKE), source, state, "one", 0, "t", "b", "zero")

    total = ir.Add(Value("sum", (12,), SPIKE), "far", "near")
    operations = (
        *(dense("i1", "x", "w0"), fires("s1", "i1", "v1"), dense("near", "s1", "w1"), dense("far", "x", "w2")),
        *(total, fires("s2", "sum", "v2")),
    )
    states = tuple(ir.State(name, (12,), WIDE) for name in ("v1", "v2"))
    start = ir.Input(Value("x", (12,), SPIKE), Value("raw", (12,), IntType(4, False)), 15, ir.Rate(5, "table"))
    program = Program("skip", 9, start, states, operations, ir.Readout("count", "s2"), arrays)
    program = ir.verify(fitted(program))
    mapping = loihi.mapped(program)
    assert mapping.exact
    assert {(of.source, of.target): of.delay for of in mapping.connections}[("input", "s2")] == 1
    raw = samples(program, 8)
    found = targets.run(targets.emit("loihi", program, tmp_path), raw, record=True)
    assert not any(mismatches(ir.run(program, raw, record=True), found).values())


def test_a_direct_input_whose_currents_fit_a_bias_maps_exactly(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {"w1": Array(IntType(4, True), random.integers(-7, 8, (30, 12)))}
    arrays |= {"w2": Array(IntType(8, True), random.integers(-128, 128, (12, 4)))}
    arrays |= {"one": Array(IntType(1, False), [[1]]), "t": Array(IntType(9, False), random.integers(90, 300, (1, 12)))}
    arrays |= {"b": Array(IntType(6, True), random.integers(-31, 32, (1, 12)))}
    operations = (
        ir.Dense(Value("i1", (12,), SPIKE), "x", "w1"),
        LIF(Value("s1", (12,), SPIKE), "i1", "v1", "one", 0, "t", "b", "zero"),
        ir.Dense(Value("i2", (4,), SPIKE), "s1", "w2"),
        ir.Integrate(Value("u2", (4,), WIDE), "i2", "v2", "one", 0),
    )
    states = (ir.State("v1", (12,), WIDE), ir.State("v2", (4,), WIDE))
    kind = IntType(4, False)
    start = ir.Input(Value("x", (30,), kind), Value("raw", (30,), kind), 15, ir.Direct())
    program = Program("direct", 6, start, states, operations, ir.Readout("membrane_mean", "u2"), arrays)
    program = ir.verify(fitted(program))
    mapping = loihi.mapped(program)
    assert mapping.exact
    assert [(layer.host, layer.depth) for layer in mapping.layers] == [(True, 0), (False, 1)]
    raw = samples(program, 50)
    found = targets.run(targets.emit("loihi", program, tmp_path), raw, record=True)
    assert found.spikes["s1"].sum() > 0
    assert not any(mismatches(ir.run(program, raw, record=True), found).values())
