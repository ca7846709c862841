"""The emitted core: exact in every simulator, whatever its lanes and the streams' pauses; lint-clean; readable."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from verilog_cases import dense, image, lint, need, samples

from leanspike import ir
from leanspike.core.errors import TargetError
from leanspike.core.trace import mismatches
from leanspike.ir import Program
from leanspike.targets import base, verilog
from leanspike.targets.base import Artefact
from leanspike.targets.verilog import cycles, harness, simulate
from leanspike.targets.verilog.core import Shape
from leanspike.targets.verilog.plan import plan

PROGRAMS = {
    "direct": lambda: dense(),
    "sparse": lambda: dense(form="sparse"),
    "rate": lambda: dense(encoding="rate"),
    "sequence": lambda: dense(encoding="sequence"),
    "exit": lambda: dense(exit_=ir.Exit(40)),
    "sequence exit": lambda: dense(encoding="sequence", exit_=ir.Exit(300, 2)),
    "sequence exit at once": lambda: dense(encoding="sequence", exit_=ir.Exit(1), steps=7),
    "max pool": lambda: image(),
    "sum pool, stride": lambda: image(ir.SumPool, 2),
}


def emitted(program: Program, folder: Path, lanes: int = 8) -> Artefact:
    return verilog.emit(program, folder, shape=Shape(lanes))


def differing(artefact: Artefact, simulator: simulate.Simulator, count: int = 6) -> dict[str, int]:
    raw = samples(artefact.program, count)
    found = simulate.run(artefact, raw, record=True, simulator=simulator)
    expected = ir.run(artefact.program, raw, record=True)
    assert any(spikes.any() for spikes in expected.step_spikes.values())
    return {what: wrong for what, wrong in mismatches(expected, found).items() if wrong}


@pytest.mark.parametrize("lanes", [1, 16])
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_step_equals_the_reference(name: str, lanes: int, tmp_path: Path) -> None:
    need("icarus")
    assert differing(emitted(PROGRAMS[name](), tmp_path, lanes), "icarus") == {}


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("encoding", ["direct", "rate"])
def test_an_input_that_comes_a_step_late_still_begins_and_ends_samples(
    encoding: str, steps: int, tmp_path: Path
) -> None:
    need("icarus")
    program = dense(encoding=encoding, steps=steps)
    x = program.input.result
    late = replace(x, name="late")
    first = replace(program.operations[0], source="late")
    program = replace(
        program,
        states=(*program.states, ir.State("d", x.shape, x.type)),
        operations=(ir.Delay(late, "x", "d"), first, *program.operations[1:]),
    )
    raw = samples(program, 4)
    found = simulate.run(emitted(program, tmp_path), raw, record=True, simulator="icarus")
    assert not any(mismatches(ir.run(program, raw, record=True), found).values())


@pytest.mark.parametrize("simulator", ["verilator", "cxxrtl"])
def test_compiled_simulators_agree(simulator: simulate.Simulator, tmp_path: Path) -> None:
    need(simulator)
    artefact = emitted(image(), tmp_path)
    assert differing(artefact, simulator, 20) == {}
    raw = samples(artefact.program, 20)
    assert not any(mismatches(ir.run(artefact.program, raw), simulate.run(artefact, raw, simulator=simulator)).values())


def test_pauses_and_samples_back_to_back_change_nothing(tmp_path: Path) -> None:
    """Clocks without tvalid or tready, and samples that enter while others are computed; delays and exits included."""
    need("verilator")
    for number, program in enumerate((image(), dense(encoding="sequence", exit_=ir.Exit(300, 2)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        artefact = emitted(program, folder)
        raw, planned = samples(program, 40), plan(program, 8)
        expected = ir.run(program, raw, record=True)
        for streaming, stalls in ((True, 0), (False, 9), (True, 9)):
            got = simulate.simulate(
                artefact, planned, raw, None, record=True, simulator="verilator", streaming=streaming, stalls=stalls
            )
            assert not any(mismatches(expected, harness.trace(planned, raw, None, got, record=True)).values())


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("name", PROGRAMS)
def test_lint_has_nothing_to_say(name: str, lanes: int, tmp_path: Path) -> None:
    need("verilator")
    artefact = emitted(PROGRAMS[name](), tmp_path, lanes)
    assert lint(tmp_path, artefact.files) == ""
    assert lint(tmp_path, artefact.files, "-DSIMULATION") == ""
    assert all("lint_off" not in (tmp_path / name).read_text() for name in artefact.files)


def test_the_test_bench_passes_and_sees_a_changed_weight(tmp_path: Path) -> None:
    need("icarus")
    artefact = emitted(dense(), tmp_path)

    def told() -> str:
        sources = [name for name in artefact.files if name.endswith(".v")]
        subprocess.run(["iverilog", "-g2005", "-DSIMULATION", "-o", "tb", *sources], cwd=tmp_path, check=True)
        return subprocess.run(["vvp", "-n", "tb"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert told().startswith("PASS: 4 samples")
    bias = tmp_path / "neurons_u2_bias.hex"
    words = bias.read_text().split()
    bias.write_text("\n".join([f"{int(words[0], 16) ^ 1:0{len(words[0])}x}", *words[1:]]))
    assert "FAIL" in told()


def test_a_silent_input_costs_no_cycle(tmp_path: Path) -> None:
    """Beside its own beat: a row of weights costs the words that it has, and only where the input is not 0."""
    need("icarus")
    program = dense()
    artefact = emitted(program, tmp_path, 1)
    silent = np.zeros((1, 20), dtype=np.uint8)
    loud = np.full((1, 20), 3, dtype=np.uint8)
    quiet, busy = (cycles.cycles(artefact, raw, simulator="icarus").mean for raw in (silent, loud))
    assert busy - quiet > 19 * 18
    assert quiet < 20 + program.steps * (19 + 5 + 40)


def test_a_person_finds_the_layer_and_the_program(tmp_path: Path) -> None:
    artefact = emitted(dense(form="sparse"), tmp_path)
    top = (tmp_path / "leanspike_core.v").read_text()
    assert ir.content_hash(artefact.program) in top
    assert all(f"//   {line}" in top for line in ir.render(artefact.program).splitlines())
    assert "neurons_hidden_s" in top
    assert "synapse_hidden_i" in top
    assert "floor(v leak / 2^8) + I" in (tmp_path / "neuron_hidden_s.v").read_text()
    assert {"synapse_hidden_i_entries.hex", "synapse_hidden_i_rows.hex"} <= set(artefact.files)


def test_the_stated_memories_are_those_of_the_files(tmp_path: Path) -> None:
    program = dense()
    facts = emitted(program, tmp_path).facts
    assert facts["beats"] == 20
    assert facts["weight_bits"] == (20 * 24 + 19 * 8) * 4
    assert facts["accumulator_bits"] >= 24 * program.values["hidden.i"].type.bits


def test_lanes_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="3 lanes"):
        emitted(dense(), tmp_path, 3)
    assert not list(tmp_path.iterdir())


def test_a_core_that_was_damaged_is_named(tmp_path: Path) -> None:
    need("icarus")
    artefact = emitted(dense(), tmp_path)
    (tmp_path / "readout.v").write_text("module readout; oops")
    with pytest.raises(TargetError, match="iverilog refuses the core"):
        base.run(artefact, samples(artefact.program, 1))
