"""Neurons as circuits in ngspice: the program's spikes in time, energies by hand, and everything that is refused."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanspike import cli, ir, targets
from leanspike.core.errors import ConfigError, MissingTool, TargetError
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed
from leanspike.measure.mismatch import Law
from leanspike.targets import spice
from leanspike.targets.spice.circuit import run_circuits
from leanspike.targets.spice.design import EDGE, RESET, SYNAPSES, cell, decayed
from leanspike.targets.spice.simulate import PARTS
from leanspike.targets.spice.spread import EFFECTS, fit_law

COUNT = 5


@pytest.fixture
def ngspice() -> None:
    """Skip by name where it is missing; fail on CI."""
    if shutil.which("ngspice") is None:
        message = "needs ngspice (apt install ngspice)"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)


def layer(seed: int = 0, *, leak: int = 230, steps: int = 20, **settings: Any) -> Program:
    """12 inputs that spike, 5 hidden neurons, 3 classes; thresholds of a few thousand units."""
    random = np.random.default_rng(seed)
    theta = random.integers(2000, 6000, (1, COUNT))
    arrays = {
        "w1": Array(IntType(12, True), random.integers(-1200, 2000, (12, COUNT))),
        "w2": Array(IntType(8, True), random.integers(-100, 100, (COUNT, 3))),
        "m": Array(IntType(9, False), [[leak]]),
        "t": Array(IntType(13, False), theta),
        "b": Array(IntType(9, True), random.integers(-200, 200, (1, COUNT))),
        "table": Array(IntType(16, False), np.arange(256) * 257),
    }
    raw = Value("raw", (12,), IntType(8, False))
    start = ir.Input(Value("x", (12,), SPIKE), raw, 255, ir.Rate(7, "table"))
    states = (ir.State("v1", (COUNT,), IntType(22, True)), ir.State("v2", (3,), IntType(22, True)))
    operations = (
        ir.Dense(Value("i1", (COUNT,), SPIKE), "x", "w1"),
        ir.LIF(Value("s1", (COUNT,), SPIKE), "i1", "v1", "m", 8, "t", "b", **settings),
        ir.Dense(Value("i2", (3,), SPIKE), "s1", "w2"),
        ir.Integrate(Value("u2", (3,), SPIKE), "i2", "v2", "m", 8),
    )
    program = Program("layer", steps, start, states, operations, ir.Readout("membrane_last", "u2"), arrays)
    return ir.verify(narrowed(fitted(program)))


def sample(seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(60, 256, (1, 12)).astype(np.uint8)


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize("reset", ["subtract", "zero"])
@pytest.mark.parametrize("leak", [150, 230, 256])
def test_fires_as_the_program(reset: str, leak: int, tmp_path: Path) -> None:
    program, raw = layer(leak, leak=leak, reset=reset), sample(leak)
    artefact = targets.emit("spice", program, tmp_path)
    found = spice.timing(artefact, spice.expected(artefact, raw), run_circuits(artefact, raw))
    assert found.spikes_program > 10
    assert found.agrees
    assert found.spikes_circuit == found.spikes_program
    assert found.error is not None
    # The floor of the leak is at most half a unit a step from its mean, a few thousandths of these thresholds.
    assert found.error < 0.5 / 2000 / (1 - min(leak, 250) / 256) + 2e-3
    trace, expected = targets.run(artefact, raw), ir.run(program, raw)
    assert trace.spikes["s1"].tolist() == expected.spikes["s1"].tolist()
    assert trace.scores.tolist() == expected.scores.tolist()


@pytest.mark.usefixtures("ngspice")
def test_a_reset_amount_of_its_own(tmp_path: Path) -> None:
    program = layer(3)
    own = tuple(replace(op, reset_by="r") if isinstance(op, ir.LIF) else op for op in program.operations)
    arrays = {**program.arrays, "r": Array(IntType(12, False), [[1000]])}
    program = ir.verify(narrowed(fitted(replace(program, operations=own, arrays=arrays))))
    artefact, raw = targets.emit("spice", program, tmp_path), sample(3)
    found = spice.timing(artefact, spice.expected(artefact, raw), run_circuits(artefact, raw))
    assert found.agrees
    assert found.spikes_program > 10


@pytest.mark.usefixtures("ngspice")
def test_energies_are_those_of_the_charges(tmp_path: Path) -> None:
    program, raw = layer(1), sample(1)
    design = spice.Design(neurons=(0, 2))
    artefact = spice.emit_design(program, tmp_path, design)
    found = run_circuits(artefact, raw)
    for i, neuron in enumerate(design.neurons):
        parts = cell(program, design, neuron)
        amperes = (found.currents[:, 0, i] - parts.floor) * parts.lsb * parts.per_volt
        seconds = (SYNAPSES[1] - SYNAPSES[0] - EDGE) * design.step
        fired = found.spikes[:, 0, i]
        rises = int((fired & ~np.concatenate([[False], fired[:-1]])).sum())
        assert parts.reset_current is not None
        by_hand = {
            "excitatory": amperes.clip(min=0).sum() * seconds * design.supply_v,
            "inhibitory": -amperes.clip(max=0).sum() * seconds * design.supply_v,
            "reset": parts.reset_current * (RESET[1] - RESET[0] - EDGE) * design.step * fired.sum() * design.supply_v,
            "output": design.load_ff * 1e-15 * design.supply_v**2 * rises,
        }
        measured = dict(zip(PARTS, found.energy[0, i], strict=True))
        assert measured == pytest.approx(by_hand, rel=0.02)
    told = spice.energy(artefact, found)
    assert told["energy_pj"] == pytest.approx(sum(told["energy_by_part_pj"].values()))
    assert told["energy_per_spike_pj"] == pytest.approx(found.energy.sum() * 1e12 / found.spikes.sum())


@pytest.mark.usefixtures("ngspice")
def test_a_transistor_leaks_less_than_its_resistor_far_from_rest(tmp_path: Path) -> None:
    program, raw = layer(2, steps=12), sample(2)
    linear, bent = (
        run_circuits(spice.emit_design(program, tmp_path / leak, spice.Design(leak=leak, threshold_v=0.1)), raw)
        for leak in ("resistor", "transistor")
    )
    first = int(np.flatnonzero(linear.spikes.any((1, 2)))[0])
    assert (np.abs(bent.potentials[:first]) >= np.abs(linear.potentials[:first]) - 1).all()
    assert np.abs(bent.potentials - linear.potentials).max() > 20


def test_the_weight_of_a_pulse_is_its_integral() -> None:
    dt = 1e-3
    for tau in (2e-3, 9.5e-3, math.inf):
        for begin, end in (SYNAPSES, RESET):
            edges = np.array([begin, begin + EDGE, end - EDGE, end]) * dt
            time = np.linspace(0, dt, 400_001)
            pulse = np.interp(time, edges, [0, 1, 1, 0])
            by_hand = np.trapezoid(pulse * np.exp(-(dt - time) / tau), time)
            assert decayed((begin, end), tau, dt) == pytest.approx(by_hand, rel=1e-5)


def refusals(program: Program) -> list[str]:
    with pytest.raises(TargetError) as caught:
        targets.emit("spice", program, Path("never"))
    assert not Path("never").exists()
    return str(caught.value).removeprefix("target spice: ").split("; ")


def test_what_a_circuit_has_no_part_for() -> None:
    assert "refractory" in refusals(with_hold(layer()))[0]
    coded = replace(layer(), states=(replace(layer().states[0], codec=ir.Codec(-8, 7, 9)), layer().states[1]))
    assert "few bits" in refusals(ir.verify(fitted(coded)))[0]
    arrays = layer().arrays
    changing = {**arrays, "t": Array(IntType(13, False), np.repeat(arrays["t"].values, 20, 0))}
    assert "t changes from step to step" in refusals(replace(layer(), arrays=changing))[0]
    assert "keeps 0/256" in refusals(layer(leak=0))[0]
    leaving = replace(layer(), readout=replace(layer().readout, exit=ir.Exit(5)))
    assert "early exit" in refusals(leaving)[0]


def with_hold(program: Program) -> Program:
    operations = tuple(
        replace(op, refractory=2, hold="h") if isinstance(op, ir.LIF) else op for op in program.operations
    )
    states = (*program.states, ir.State("h", (COUNT,), IntType(2, False)))
    return ir.verify(replace(program, operations=operations, states=states))


def test_a_layer_that_feeds_itself_is_refused() -> None:
    program = layer()
    dense, lif, *rest = program.operations
    arrays = {**program.arrays, "back": Array(IntType(3, True), np.ones((COUNT, COUNT), int))}
    looped = (
        ir.Delay(Value("d", (COUNT,), SPIKE), "s1", "held"),
        dense,
        ir.Dense(Value("r", (COUNT,), SPIKE), "d", "back"),
        ir.Add(Value("both", (COUNT,), SPIKE), "i1", "r"),
        replace(lif, source="both"),
        *rest,
    )
    states = (*program.states, ir.State("held", (COUNT,), SPIKE))
    looped_program = ir.verify(fitted(replace(program, operations=looped, states=states, arrays=arrays)))
    assert "its own spikes return to it" in refusals(looped_program)[0]


def test_designs_out_of_range_are_refused(tmp_path: Path) -> None:
    for settings, word in (
        ({"step_ms": 0.0}, "step_ms"),
        ({"capacitance_pf": -1.0}, "capacitance_pf"),
        ({"threshold_v": 2.0}, "threshold_v"),
        ({"neurons": (1, 1)}, "neurons"),
        ({"neurons": tuple(range(65))}, "at most 64"),
    ):
        with pytest.raises(ConfigError, match=word):
            spice.Design(**settings)  # type: ignore[arg-type]
    for design, word in ((spice.Design(layer="s9"), "s1"), (spice.Design(neurons=(5,)), "below 5")):
        with pytest.raises(ConfigError, match=word):
            spice.emit_design(layer(), tmp_path / "none", design)
    assert not (tmp_path / "none").exists()


def test_ngspice_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artefact = targets.emit("spice", layer(), tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="ngspice is not installed; apt install ngspice"):
        targets.run(artefact, sample())


@pytest.mark.usefixtures("ngspice")
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (".tran 0.0001", ".tran nonsense", "rror"),
        (
            "Breset membrane resetting I = ",
            "Breset membrane resetting I = (v(membrane) > 0.01 ? 1e6 : -1e6) + 0*",
            "small",
        ),
        ("Cmem", "Zmem", "Unable to find definition of model"),
    ],
)
def test_what_ngspice_complains_of_is_told(old: str, new: str, message: str, tmp_path: Path) -> None:
    artefact = spice.emit_design(layer(), tmp_path, spice.Design(neurons=(0,)))
    path = tmp_path / artefact.files[0]
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(TargetError, match=f"layer-s1-0000.cir: ngspice stopped.*({message})"):
        targets.run(artefact, sample())
    path.unlink()
    with pytest.raises(TargetError, match="cannot be read"):
        targets.run(artefact, sample())


@pytest.mark.usefixtures("ngspice")
def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str], real_data: Path) -> None:
    program = Path(__file__).parent / "trained" / "mnist-mlp-t5.lsp"
    assert real_data
    out = tmp_path / "circuits"
    common = [str(program), "--target", "spice", "--data", "mnist", "--json"]
    assert cli.main(["emit", *common, "--neurons", "0-1,4", "--sample", "1", "--out", str(out)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["neurons"], facts["timing"]["counts"], facts["timing"]["times"]) == (3, 0, 0)
    assert sorted(path.name for path in out.iterdir()) == sorted(facts["files"])
    page = (out / "waveforms.html").read_text()
    assert page.count('<svg class="plot"') == 3
    assert "<script" not in page
    assert "src=" not in page
    assert cli.main(["check", *common, "--neurons", "0-1", "--samples", "2"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["targets"]
    assert (row["samples"], row["mismatches"]) == (2, {"counts": 0, "times": 0})
    for given, word in (
        (["--neurons", "x"], "--neurons"),
        (["--neurons", "900"], "neurons"),
        (["--circuit", "leek=resistor"], "did you mean leak"),
        (["--circuit", "leak=diode"], "one of resistor, transistor"),
        (["--circuit", "leak"], "KEY=VALUE"),
        (["--layer", "s7"], "layer"),
        (["--sample", "-1"], "--sample"),
    ):
        assert cli.main(["emit", *common, *given, "--out", str(tmp_path / "none")]) == 2
        assert word in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.usefixtures("ngspice")
def test_the_law_of_the_spread_is_what_circuits_do() -> None:
    found = fit_law((0.05, 0.15), 10, 0.9, seed=5)
    law = Law()
    for effect in EFFECTS:
        assert found.exponents[effect] == pytest.approx(getattr(law, effect), abs=0.03)
        assert found.r_squared[effect] > 0.995
        predicted = [found.predicted[sigma][effect] for sigma in ("0.05", "0.15")]
        assert predicted[1] == pytest.approx(3 * predicted[0])
    for settings, word in (((), "sigmas"), ((0.0,), "sigmas")):
        with pytest.raises(ConfigError, match=word):
            fit_law(settings, 10, 0.9, seed=0)
