"""The engine on every instruction set and number of threads, its counts, its two ways in, and what it refuses."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from leanspike import engine, ir, targets
from leanspike.core import native
from leanspike.core.errors import ConfigError, MissingTool, ProgramError, TargetError
from leanspike.core.trace import mismatches
from leanspike.engine import Engine, library
from leanspike.ir import Array, IntType, Value
from leanspike.ir.counts import synaptic_operations
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted
from leanspike.targets.conformance import Case, cases

quick = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def network(
    shape: tuple[int, ...] = (9,), steps: int = 12, *, weight: int = 127, encoding: ir.Encoding | None = None
) -> ir.Program:
    """One dense layer of neurons and a readout of potentials, with weights up to ``weight``."""
    random, inputs = np.random.default_rng(3), int(np.prod(shape))
    bits = IntType.holding(-weight, weight)
    arrays = {
        "w1": Array(bits, random.integers(-weight, weight + 1, (inputs, 70))),
        "w2": Array(IntType(8, True), random.integers(-127, 128, (70, 3))),
        "m": Array(IntType(8, False), np.array([[230]])),
        "theta": Array(IntType(31, False), np.full((1, 70), 2 * weight)),
        "table": Array(IntType(16, False), np.linspace(0, 65_535, 256).astype(np.int64)),
    }
    start = ir.Input(
        Value("x", shape, SPIKE), Value("raw", shape, IntType(8, False)), 255, encoding or ir.Rate(7, "table")
    )
    flat: list[ir.Operation] = [ir.Reshape(Value("f", (inputs,), SPIKE), "x")]
    operations = (
        *flat,
        ir.Dense(Value("i1", (70,), SPIKE), "f", "w1"),
        ir.LIF(Value("s1", (70,), SPIKE), "i1", "v1", "m", 8, "theta"),
        ir.Dense(Value("i2", (3,), SPIKE), "s1", "w2"),
        ir.Integrate(Value("y", (3,), IntType(20, True)), "i2", "v2", "m", 8),
    )
    wide = (ir.State("v1", (70,), IntType(24, True)), ir.State("v2", (3,), IntType(20, True)))
    program = ir.Program("small", steps, start, wide, operations, ir.Readout("membrane_last", "y"), arrays)
    return fitted(program)


def samples(program: ir.Program, count: int) -> np.ndarray:
    kind = program.input.raw.type
    values = np.random.default_rng(5).integers(kind.lowest, kind.highest + 1, (count, *program.input.raw.shape))
    return values.astype(kind.dtype)


def same(expected: ir.reference.Trace, found: ir.reference.Trace) -> bool:
    return not any(mismatches(expected, found).values())


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("level", native.LEVELS)
def test_every_instruction_set_and_number_of_threads(level: str, threads: int) -> None:
    if level not in library.levels():
        pytest.skip(f"this processor does not run {level}")

    @quick
    @given(case=cases())
    def equal(case: Case) -> None:
        expected = ir.run(case.program, case.raw, case.numbers, record=True)
        ready = Engine(case.program, threads=threads, level=level)
        assert ready.level == level
        assert same(expected, ready.run(case.raw, case.numbers, record=True))

    equal()


@quick
@given(case=cases())
def test_counts_are_those_of_the_definition(case: Case) -> None:
    trace, counts = engine.run_counted(case.program, case.raw, case.numbers)
    assert same(ir.run(case.program, case.raw, case.numbers), trace)
    expected = synaptic_operations(case.program, case.raw, case.numbers)
    assert counts.synaptic.keys() == expected.keys()
    for name, operations in expected.items():
        assert np.array_equal(counts.synaptic[name], operations), name
    assert counts.macs + counts.acs == pytest.approx(sum(found.mean() for found in expected.values()))
    for op in case.program.operations:
        if isinstance(op, ir.LIF | ir.Integrate):
            assert np.array_equal(counts.updates[op.result.name], trace.steps * np.prod(op.result.shape))


@quick
@given(case=cases())
def test_one_sample_at_a_time_gives_the_same_classes(case: Case) -> None:
    ready = Engine(case.program)
    found = [ready.classify(raw, int(number)) for raw, number in zip(case.raw, case.numbers, strict=True)]
    assert found == ir.run(case.program, case.raw, case.numbers).predictions.tolist()


@pytest.mark.parametrize("weight", [1, 127, 3_000, 1_000_000])
def test_weights_of_every_width(weight: int) -> None:
    program = network(weight=weight)
    raw = samples(program, 20)
    expected = ir.run(program, raw, record=True)
    assert expected.spikes["s1"].sum()
    for level in library.levels():
        assert same(expected, Engine(program, level=level).run(raw, record=True))


@pytest.mark.parametrize("batch", [1, 2, 7, 300])
def test_any_batch_on_any_number_of_threads(batch: int) -> None:
    program = network()
    raw = samples(program, batch)
    expected = ir.run(program, raw)
    for threads in (1, 2, 5):
        assert same(expected, Engine(program, threads=threads).run(raw))


def test_no_samples_give_an_empty_answer() -> None:
    program = network()
    found = Engine(program, threads=2).run(samples(program, 0), record=True)
    assert found.scores.shape == (0, 3)
    assert found.step_spikes["s1"].shape == (12, 0, 70)


def test_saturated_rates_are_summed_as_differences_and_equal() -> None:
    program = network(steps=30)
    raw = np.array([[255] * 9, [0] * 9, [250, 255, 1, 0, 254, 128, 127, 255, 3]], dtype=np.uint8)
    assert same(ir.run(program, raw, record=True), engine.run(program, raw, record=True))


def test_an_engine_starts_every_sample_anew_and_takes_foreign_layouts() -> None:
    program = network()
    raw = samples(program, 8)
    ready, expected = Engine(program), ir.run(program, raw).predictions.tolist()
    for _ in range(2):
        assert [ready.classify(one, number) for number, one in enumerate(raw)] == expected
    assert [ready.classify(one, number) for number, one in enumerate(raw.astype(np.int64))] == expected
    turned = np.asfortranarray(raw)[::-1]
    assert same(ir.run(program, raw[::-1]), ready.run(turned))


@pytest.mark.parametrize("value", [-1, 32])
def test_values_out_of_range_are_refused_before_they_are_looked_up(value: int) -> None:
    table = Array(IntType(16, False), np.arange(32) * 2_000)
    start = network().input
    program = network()
    program = replace(program, input=replace(start, raw=Value("raw", (9,), IntType(5, False)), levels=31))
    program = replace(program, arrays={**program.arrays, "table": table})
    raw = np.full((1, 9), value)
    with pytest.raises(ProgramError, match="the samples hold"):
        Engine(program).run(raw)
    with pytest.raises(ProgramError, match="the samples hold"):
        Engine(program).classify(raw[0].astype(np.uint8))


def test_what_does_not_fit_is_refused_in_one_line() -> None:
    program = network()
    ready = Engine(program)
    with pytest.raises(ProgramError, match=r"give \[B, 9\] of u8"):
        ready.run(np.zeros((2, 8), dtype=np.uint8))
    with pytest.raises(ProgramError, match=r"give \[B, 9\] of u8"):
        ready.classify(np.zeros(8, dtype=np.uint8))
    with pytest.raises(ProgramError, match="float64"):
        ready.classify(np.zeros(9))
    with pytest.raises(ConfigError, match="take 1 to 256"):
        Engine(program, threads=0)
    with pytest.raises(ConfigError, match="this processor runs plain"):
        Engine(program, level="avx1024")
    with pytest.raises(ProgramError, match="steps"):
        Engine(replace(program, steps=0))


def test_a_program_that_needs_too_much_memory_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanspike.targets import engine as target

    monkeypatch.setattr(target, "MOST_ARENA", 1_000)
    with pytest.raises(TargetError, match="a thread works in"):
        targets.emit("engine", network(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_artefact_is_the_program(tmp_path: Path) -> None:
    program = network()
    artefact = targets.emit("engine", program, tmp_path)
    assert ir.load(tmp_path / artefact.files[0]) == program
    assert artefact.facts["thread_bytes"] > 0


def test_without_a_compiler_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    line = native.build("engine", library.FOLDER.parent, tmp_path)
    assert line.startswith("leanspike: no C compiler found, so the engine cannot run")
    assert "\n" not in line
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    library.load.cache_clear()
    with pytest.raises(MissingTool, match="install a C compiler"):
        Engine(network())
    library.load.cache_clear()


def test_source_that_does_not_compile_is_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "engine"
    (broken / "csrc").mkdir(parents=True)
    (broken / "csrc" / "engine.c").write_text("int x = ;\n", encoding="utf-8")
    line = native.build("engine", tmp_path, tmp_path / "out")
    assert "engine did not compile" in line
    assert "error" in line


def test_a_library_of_other_sources_is_refused(tmp_path: Path) -> None:
    shutil.copytree(library.FOLDER, tmp_path / "engine")
    with (tmp_path / "engine" / "csrc" / "engine.h").open("a", encoding="utf-8") as header:
        header.write("/* a field more */\n")
    with pytest.raises(MissingTool, match="was built from other sources"):
        native.load(tmp_path / "engine", "engine", None, "")


def test_the_variable_names_the_level() -> None:
    code = "from leanspike.core import native\nfrom leanspike.engine import library\n"
    code += "print(native.level_of(library.load()))"
    for level in library.levels():
        environment = os.environ | {library.CHOICE: level}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == level
