"""Circuits of a program: what the spread of parts does to its integers, and curves that survive being cut off."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanspike import cli, ir
from leanspike.core.errors import ConfigError, OutputError, ProgramError
from leanspike.core.rng import derive, normals
from leanspike.core.trace import mismatches
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE, Ints
from leanspike.ir.narrow import fitted, narrowed
from leanspike.measure import mismatch_curves
from leanspike.measure.mismatch import Circuit, Law, Spread, finest, last_places, perturbed
from leanspike.measure.mismatch_curves import Plan, curves_of, measure_curves
from leanspike.measure.samples import Samples

HIDDEN = 300
PURE = Law((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, -1.0, 0.0), (0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, 1.0))


def network(reset: str = "subtract") -> Program:
    """30 inputs that spike, 300 hidden neurons, 4 integrators."""
    random = np.random.default_rng(0)
    arrays = {
        "w1": Array(IntType(8, True), random.integers(-127, 128, (30, HIDDEN))),
        "w2": Array(IntType(8, True), random.integers(-127, 128, (HIDDEN, 4))),
        "m": Array(IntType(10, False), np.array([[900]])),
        "t": Array(IntType(10, False), random.integers(300, 700, (1, HIDDEN))),
        "b": Array(IntType(7, True), random.integers(-60, 60, (1, HIDDEN))),
        "table": Array(IntType(16, False), np.arange(256) * 257),
    }
    raw = Value("raw", (30,), IntType(8, False))
    start = ir.Input(Value("x", (30,), SPIKE), raw, 255, ir.Rate(7, "table"))
    states = (ir.State("v1", (HIDDEN,), IntType(20, True)), ir.State("v2", (4,), IntType(22, True)))
    operations = (
        ir.Dense(Value("i1", (HIDDEN,), SPIKE), "x", "w1"),
        ir.LIF(Value("s1", (HIDDEN,), SPIKE), "i1", "v1", "m", 10, "t", "b", reset=reset),  # type: ignore[arg-type]
        ir.Dense(Value("i2", (4,), SPIKE), "s1", "w2"),
        ir.Integrate(Value("u2", (4,), SPIKE), "i2", "v2", "m", 10),
    )
    program = Program("net", 12, start, states, operations, ir.Readout("membrane_last", "u2"), arrays)
    return ir.verify(narrowed(fitted(program)))


def samples(program: Program, count: int = 40) -> Samples:
    raw = np.random.default_rng(1).integers(0, 256, (count, 30)).astype(np.uint8)
    return Samples("made up", raw, ir.run(program, raw).predictions, np.arange(count))


def log_ratio(changed: Ints, nominal: Ints, bits: int) -> Any:
    return np.log(changed / (nominal * 2.0**bits))


@pytest.mark.parametrize("reset", ["subtract", "zero"])
def test_no_spread_is_the_program(reset: str) -> None:
    program = network(reset)
    same = perturbed(program, Spread(), Circuit(3, 5), Law(), {})
    given = samples(program)
    assert not any(mismatches(ir.run(program, given.raw, record=True), ir.run(same, given.raw, record=True)).values())


def test_every_source_perturbs_what_the_law_says_by_its_own_draws() -> None:
    program, finer = network(), {"s1": 4, "u2": 4}
    sigma, circuit = 0.1, Circuit(11, 2)

    def drawn(layer: int, source: int, count: int) -> Any:
        return sigma * normals(derive(11, 2, layer, source), count)

    changed = perturbed(program, Spread(threshold=sigma), circuit, PURE, finer)
    found = log_ratio(changed.array("s1.threshold"), program.array("t"), 4)[0]
    assert found == pytest.approx(drawn(0, 0, HIDDEN), abs=1e-3)
    assert (changed.array("s1.amount") == program.array("t") << 4).all()
    assert (changed.array("i1.weight") == program.array("w1") << 4).all()

    changed = perturbed(program, Spread(leak=sigma), circuit, PURE, finer)
    rate = np.log(changed.array("s1.leak")[0] / 1024) / math.log(900 / 1024)
    assert np.log(rate) == pytest.approx(-drawn(0, 2, HIDDEN), abs=0.005)
    assert changed.array("u2.leak").shape == (1, 4)

    changed = perturbed(program, Spread(weight=sigma), circuit, PURE, finer)
    present = program.array("w1") > 20
    found = log_ratio(changed.array("i1.weight")[present], program.array("w1")[present], 4)
    assert found == pytest.approx(drawn(0, 4, 30 * HIDDEN).reshape(30, HIDDEN)[present], abs=2e-3)
    assert (changed.array("s1.threshold") == program.array("t") << 4).all()
    assert not np.array_equal(changed.array("s1.bias"), program.array("b") << 4)

    whole = perturbed(program, Spread(0.1, 0.1, 0.1, 0.1), circuit, Law(), finer)
    found = log_ratio(whole.array("s1.threshold"), program.array("t"), 4)[0]
    x = [drawn(0, source, HIDDEN) for source in range(3)]
    expected = sum(exponent * one for exponent, one in zip(Law().threshold, x, strict=False))
    assert found == pytest.approx(expected, abs=1e-3)


def test_a_circuit_is_the_same_at_every_sigma_and_others_are_others() -> None:
    program, finer = network(), {"s1": 6}

    def threshold(sigma: float, draw: int, seed: int = 0) -> Any:
        changed = perturbed(program, Spread(threshold=sigma), Circuit(seed, draw), PURE, finer)
        return log_ratio(changed.array("s1.threshold"), program.array("t"), 6)[0]

    assert threshold(0.2, 0) == pytest.approx(2 * threshold(0.1, 0), abs=1e-3)
    for other in (threshold(0.1, 1), threshold(0.1, 0, seed=1)):
        assert abs(np.corrcoef(threshold(0.1, 0), other)[0, 1]) < 0.25
    assert threshold(0.1, 0).std() == pytest.approx(0.1, rel=0.15)


def test_pruned_synapses_stay_pruned_and_layers_can_be_chosen() -> None:
    program = network()
    weight = program.array("w1") * (np.arange(30 * HIDDEN).reshape(30, HIDDEN) % 3 == 0)
    program = replace(program, arrays={**program.arrays, "w1": Array(IntType(8, True), weight, "sparse")})
    changed = perturbed(program, Spread(weight=0.3, layers=("s1",)), Circuit(0, 0), PURE, {"s1": 2})
    assert ((changed.array("i1.weight") != 0) <= (weight != 0)).all()
    assert (changed.array("w2") == program.array("w2")).all()
    with pytest.raises(ConfigError, match=r"layers: 'nosuch'.*one of s1, u2"):
        perturbed(program, Spread(layers=("nosuch",)), Circuit(0, 0), PURE, {})


def test_the_unit_is_as_fine_as_32_bits_allow() -> None:
    program = network()
    wide = finest(program, Spread(0.5, 0.5, 0.5, 0.5), Law())
    assert wide == {"s1": 6, "u2": 4}
    weights = program.array("w1")
    size = np.sqrt((weights[weights != 0] ** 2.0).mean())
    assert last_places(program, wide)["s1"] == pytest.approx(1 / size / 64)
    with pytest.raises(ProgramError, match="u2: v m takes 33 bits"):
        perturbed(program, Spread(0.5, 0.5, 0.5, 0.5), Circuit(0, 0), Law(), {"u2": 6})


def test_layers_in_which_one_number_is_many_devices_are_refused() -> None:
    trained = Path(__file__).parents[1] / "targets" / "trained" / "mnist-convnet-t4.lsp"
    with pytest.raises(ProgramError, match=r"fed by a conv2d.*a network of dense layers"):
        perturbed(ir.load(trained), Spread(weight=0.1), Circuit(0, 0), Law(), {})


def test_curves_fall_with_sigma_and_tell_intervals(tmp_path: Path) -> None:
    program = network()
    found = measure_curves(program, samples(program), Plan((0.0, 0.1, 0.6), 12), Law(), tmp_path)
    assert [curve["name"] for curve in found["curves"]] == [
        "all", "threshold", "capacitance", "leak", "weight", "layer s1", "layer u2"
    ]  # fmt: skip
    for curve in found["curves"]:
        assert [point["draws"] for point in curve["points"]] == [12, 12, 12]
        assert curve["points"][0]["accuracies"] == [1.0] * 12
        for point in curve["points"]:
            low, high = point["mean_ci95"]
            assert low <= np.mean(point["accuracies"]) <= high
            assert point["worst"] == min(point["accuracies"])
    means = [point["mean"] for point in found["curves"][0]["points"]]
    assert means[0] == 1.0 > means[1] > means[2]


def test_what_was_cut_off_goes_on_and_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program, plan = network(), Plan((0.0, 0.2), 4, parts=False)
    given = samples(program)
    whole = measure_curves(program, given, plan, Law(), tmp_path / "whole")
    monkeypatch.setattr(mismatch_curves, "_SAVE_SECONDS", 0.0)
    original, runs = mismatch_curves.perturbed, []

    def counted(*arguments: Any) -> Program:
        runs.append(arguments)
        if len(runs) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(mismatch_curves, "perturbed", counted)
    with pytest.raises(KeyboardInterrupt):
        measure_curves(program, given, plan, Law(), tmp_path / "cut")
    assert measure_curves(program, given, plan, Law(), tmp_path / "cut") == whole
    assert len(runs) == 3 + 2
    assert (tmp_path / "cut" / "mismatch.json").read_bytes() == (tmp_path / "whole" / "mismatch.json").read_bytes()
    more = measure_curves(program, given, replace(plan, draws=6), Law(), tmp_path / "cut")
    assert more["curves"][0]["points"][1]["accuracies"][:4] == whole["curves"][0]["points"][1]["accuracies"]


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    program, plan = network(), Plan((0.1,), 2, parts=False)
    measure_curves(program, samples(program), plan, Law(), tmp_path)
    with pytest.raises(OutputError, match=r"another measurement \(seed differ\); choose another --out"):
        measure_curves(program, samples(program), replace(plan, seed=1), Law(), tmp_path)
    (tmp_path / "mismatch.json").write_text("{}")
    with pytest.raises(OutputError, match="damaged or no measurement"):
        measure_curves(program, samples(program), plan, Law(), tmp_path)


def test_plans_and_spreads_out_of_range_are_refused() -> None:
    for settings, word in (
        ({"sigmas": (-0.1,)}, "--sigma"),
        ({"sigmas": ()}, "--sigma"),
        ({"sigmas": (0.1, 0.1)}, "each once"),
        ({"draws": 1}, "--draws"),
        ({"seed": -1}, "--seed"),
    ):
        with pytest.raises(ConfigError, match=word):
            Plan(**settings)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="sigma of leak"):
        Spread(leak=-0.1)
    assert len(curves_of(network(), Plan(parts=False))) == 1


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], real_data: Path) -> None:
    assert real_data
    program = str(Path(__file__).parents[1] / "targets" / "trained" / "mnist-mlp-t5.lsp")
    common = ["mismatch", program, "--data", "mnist", "--samples", "50"]
    asked = ["--sigma", "0,0.4", "--draws", "3", "--out", str(tmp_path)]
    assert cli.main([*common, *asked]) == 0
    text = capsys.readouterr().out
    assert "3 circuits a point" in text
    assert "layer s1" in text
    page = (tmp_path / "mismatch.html").read_text()
    assert page.count('<svg class="plot"') == 3
    assert cli.main([*common, *asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "mismatch.json").read_text())
    law = tmp_path / "law.json"
    law.write_text(json.dumps({"exponents": {name: [0.0] * 4 for name in ("threshold", "leak", "weight", "gain")}}))
    none = str(tmp_path / "none")
    only = ["--sigma", "0.4", "--draws", "2", "--all-only", "--law", str(law), "--out", none, "--json"]
    assert cli.main([*common, *only]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["curves"][0]["points"][0]["mean"] == pytest.approx(found["nominal_accuracy"], abs=0.05)
    law.write_text("[]")
    for given, word in (
        (["--sigma", "-0.1"], "--sigma"),
        (["--sigma", "x"], "no list of numbers"),
        (["--draws", "1"], "--draws"),
        (["--law", str(law)], "holds no law"),
        (["--law", str(tmp_path / "nosuch")], "cannot be read"),
    ):
        assert cli.main([*common, "--out", str(tmp_path / "never"), *given]) == 2
        assert word in capsys.readouterr().err
    assert not (tmp_path / "never").exists()


def test_the_built_in_law_is_the_one_that_was_fitted() -> None:
    fitted_law = json.loads((Path(__file__).parents[2] / "results" / "hardware" / "spread-law.json").read_text())
    for effect, exponents in fitted_law["exponents"].items():
        assert getattr(Law(), effect) == pytest.approx(exponents, abs=0.004)
        assert fitted_law["r_squared"][effect] > 0.999
