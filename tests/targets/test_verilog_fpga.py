"""Devices, synthesis, place and route, lanes by a budget: real tools on a tiny core, and every way it goes wrong."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanspike import cli, ir
from leanspike.cli import fpga
from leanspike.core.errors import MissingTool, TargetError
from leanspike.core.records import from_dict
from leanspike.ir import Array, IntType, Program, Value
from leanspike.ir.inttype import SPIKE
from leanspike.ir.narrow import fitted, narrowed
from leanspike.report.fpga_page import page
from leanspike.targets.verilog import core, explore, implement, place, simulate, synthesis, tools
from leanspike.targets.verilog.cycles import Cycles
from leanspike.targets.verilog.devices import Sites, defaults, device, devices

ECP5_STAT = {
    "LUT4": 631,
    "CCU2C": 231,
    "TRELLIS_DPR16X4": 2,
    "PFUMX": 19,
    "TRELLIS_FF": 596,
    "DP16KD": 7,
    "MULT18X18D": 1,
}
ICE40_STAT = {"SB_LUT4": 1088, "SB_CARRY": 430, "SB_DFF": 329, "SB_DFFESR": 41, "SB_RAM40_4K": 14, "SB_MAC16": 1}


def stat(cells: dict[str, int]) -> str:
    """What ``stat -json`` of yosys says of a circuit with 24 pins."""
    return json.dumps({"modules": {"\\leanspike_core": {"num_port_bits": 24, "num_cells_by_type": cells}}})


def report(fmax: float = 80.0, **used: int) -> str:
    """What nextpnr's report says of a circuit on an ECP5."""
    sites = {name: {"used": count, "available": 10**6} for name, count in used.items()}
    return json.dumps({"fmax": {"$glbnet$clk": {"achieved": fmax, "constraint": 100}}, "utilization": sites})


def tiny() -> Program:
    """Images of digits, 5 neurons with 4-bit weights, 3 steps."""
    random = np.random.default_rng(0)
    arrays = {
        "w": Array(IntType(4, True), random.integers(-8, 8, (64, 5))),
        "beta": Array(IntType(8, False), np.array([[230]])),
        "theta": Array(IntType(10, False), np.array([[900]])),
    }
    raw = Value("raw", (8, 8, 1), IntType(8, False))
    start = ir.Input(Value("x", (8, 8, 1), raw.type), raw, 255, ir.Direct())
    operations = (
        ir.Reshape(Value("pixels", (64,), raw.type), "x"),
        ir.Dense(Value("current", (5,), SPIKE), "pixels", "w"),
        ir.LIF(Value("out", (5,), SPIKE), "current", "v", "beta", 8, "theta"),
    )
    states = (ir.State("v", (5,), IntType(24, True)),)
    return ir.verify(
        narrowed(fitted(Program("digits-64-5", 3, start, states, operations, ir.Readout("count", "out"), arrays)))
    )


@pytest.fixture
def real_tools() -> None:
    """Skip by name where a tool is missing; fail on CI."""
    try:
        for name in ("yosys", "nextpnr-ecp5", "nextpnr-ice40"):
            tools.find(name)
        simulate.need("verilator")
    except MissingTool as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(error.line())


@dataclasses.dataclass
class Fake:
    """Yosys and nextpnr that answer at once. What is asked of them, and what they say."""

    sizes: Callable[[int], dict[str, int]]
    fmax: float = 80.0
    slower: dict[int, float] = dataclasses.field(default_factory=dict)
    asked: list[str] = dataclasses.field(default_factory=list)

    def run(self, tool: tools.Tool, arguments: Any, folder: Path, log: Path) -> int:
        lanes = int((folder / "lanes").read_text())
        sizes = self.sizes(lanes)
        if any("-nodsp" in argument for argument in arguments):
            sizes = {**sizes, "MULT18X18D": 0, "LUT4": 7 * sizes["LUT4"]}
        self.asked.append(f"{tool.name} {lanes}")
        log.write_text("a log")
        (folder / "netlist.json").write_text("{}")
        (folder / "stat.json").write_text(stat(sizes))
        sites = {"TRELLIS_COMB": sizes["LUT4"] + 10, "TRELLIS_FF": 5, "DP16KD": sizes["DP16KD"]}
        (folder / "report.json").write_text(report(self.slower.get(lanes, self.fmax), **sites))
        return 0


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Every lane takes 100 LUT4 and 2 block RAMs."""

    def write(_: Program, folder: Path, shape: core.Shape) -> tuple[str, ...]:
        (folder / "lanes").write_text(str(shape.lanes))
        (folder / "leanspike_core.v").write_text(f"// {shape.lanes}")
        return ("leanspike_core.v", "lanes")

    made = Fake(lambda lanes: {"LUT4": 100 * lanes + 200, "TRELLIS_FF": 5, "DP16KD": 2 * lanes})
    monkeypatch.setattr(tools, "find", lambda name: tools.Tool(name, (name,), "1.0"))
    monkeypatch.setattr(tools, "run", made.run)
    monkeypatch.setattr(core, "write", write)
    return made


def counted(lanes: int) -> Cycles:
    return Cycles(100, 6400 / lanes, 6400 // lanes - 5, 6400 // lanes + 9, 5000 / lanes)


# Devices and tools


def test_devices_are_whole_and_cited() -> None:
    assert {"lfe5u-25f", "lfe5u-45f", "lfe5u-85f", "hx8k", "hx4k", "up5k"} <= set(devices())
    assert device("ecp5") is device("LFE5U-25F")
    assert device("ice40").name == "hx8k"
    for found in devices().values():
        assert set(found.source) == {"lut4", "ff", "bram", "bram_bits", "dsp", "pins"}
        assert all("FPGA-DS-" in told or "nextpnr" in told for told in found.source.values())
        assert found.synth[0] == found.synth_without_dsp[0] == f"synth_{found.family}"
        assert found.family in defaults()


def test_an_unknown_device_is_told_with_all_there_are() -> None:
    with pytest.raises(
        TargetError, match=r"'artix' is no device; there are ecp5 \(lfe5u-25f\), ice40 \(hx8k\), .*up5k"
    ):
        device("artix")


def test_a_missing_tool_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools, "wheel", lambda _: None)
    for name in ("yosys", "nextpnr-ecp5", "nextpnr-ice40", "ecppack"):
        with pytest.raises(MissingTool, match=rf"{name} is not installed; pip install 'leanspike\[fpga\]'"):
            tools.find(name)


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_system_serves_where_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "wheel", lambda _: None)
    script(tmp_path / "yosys", "echo 'Yosys 0.52 (git sha1 fee39a328)'")
    script(tmp_path / "nextpnr-ecp5", "echo '\"nextpnr-ecp5\" -- Next Generation (Version nextpnr-0.8-12)' >&2")
    script(tmp_path / "nextpnr-ice40", "echo 'nextpnr-ice40 -- Next Generation (Version 0.4-1+b1)' >&2")
    assert tools.find("yosys") == tools.Tool("yosys", (str(tmp_path / "yosys"),), "0.52")
    assert tools.find("nextpnr-ecp5").version == "0.8"
    with pytest.raises(MissingTool, match=r"nextpnr-ice40 is version 0\.4, 0\.7 is needed; pip install"):
        tools.find("nextpnr-ice40")


def test_a_tool_that_does_not_end_is_ended(tmp_path: Path) -> None:
    slow = tools.Tool("yosys", ("sleep",), "1")
    with pytest.raises(TargetError, match=r"yosys did not end within 0\.2 s"):
        tools.run(slow, ["30"], tmp_path, tmp_path / "log", seconds=0.2)


def test_a_log_tells_its_first_error(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Info: packing\nERROR: no free block RAM\nERROR: gave up\n2 errors\n")
    assert tools.complaint(log) == "no free block RAM"
    log.write_text("")
    assert tools.complaint(log) == "no message"


# Reports


def test_sites_are_counted_by_family() -> None:
    ecp5 = synthesis.counted(stat(ECP5_STAT), "0.70")
    assert ecp5.needed == Sites(lut4=631 + 2 * 231 + 6 * 2, ff=596, bram=7, dsp=1, pins=24)
    ice40 = synthesis.counted(stat(ICE40_STAT), "0.70")
    assert ice40.needed == Sites(lut4=1088, ff=370, bram=14, dsp=1, pins=24)


def test_every_shortage_is_told() -> None:
    small = dataclasses.replace(device("ecp5"), sites=Sites(1000, 1000, 6, 0, 20))
    told = "; ".join(map(str, synthesis.too_little(synthesis.counted(stat(ECP5_STAT), "").needed, small)))
    assert "needs 1,105 LUT4, there are 1,000 (fewer --lanes, or a larger --device)" in told
    assert "needs 7 block RAMs, there are 6" in told
    assert "needs 1 multipliers, there are 0" in told
    assert "needs 24 pins, there are 20" in told
    assert "flip-flops" not in told


def test_a_report_without_a_clock_is_refused() -> None:
    content = json.loads(report())
    content["fmax"] = {}
    with pytest.raises(TargetError, match="0 clocks where the core has one"):
        place.reported(json.dumps(content), device("ecp5"), "0.11")


# The whole way


@pytest.mark.timeout(900)  # a fresh machine first compiles three tools from WebAssembly
@pytest.mark.usefixtures("real_tools")
@pytest.mark.parametrize("name", ["ecp5", "ice40"])
def test_a_core_is_placed_and_routed(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ir.save(tiny(), tmp_path / "tiny.lsp")
    out = tmp_path / "out"
    command = ["emit", str(tmp_path / "tiny.lsp"), "--target", "verilog", "--device", name, "--lanes", "2"]
    command += ["--data", "digits", "--samples", "20"] if name == "ecp5" else []
    assert cli.main([*command, "--clock-mhz", "20", "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    stored = json.loads((out / "synthesis.json").read_text())
    assert stored.items() <= told.items()
    record = from_dict(implement.Implementation, stored)
    assert record.sha256 == ir.content_hash(tiny())
    assert (record.device, record.lanes, record.seed) == (device(name).name, 2, 1)
    assert record.available == device(name).sites
    assert 50 < record.used.lut4 < 3000
    assert 0 <= record.used.bram < 32
    assert 20 <= record.fmax_mhz < 400
    if name == "ecp5":
        assert record.cycles is not None
        assert record.cycles.samples == 20
        assert 64 <= record.cycles.least <= record.cycles.mean <= record.cycles.most < 1000
        assert record.latency_us == pytest.approx(record.cycles.mean / 20)
    else:
        assert record.latency_us is None
        assert any("cycles and latency were not measured: --data" in note for note in record.notes)
    assert record.energy_nj is None
    assert "Max frequency" in (out / "nextpnr.log").read_text()
    assert all((out / file).is_file() for file in told["files"])


def emitted(tmp_path: Path, *more: str) -> int:
    ir.save(tiny(), tmp_path / "tiny.lsp")
    return cli.main(["emit", str(tmp_path / "tiny.lsp"), "--target", "verilog", "--out", str(tmp_path / "out"), *more])


def results(tmp_path: Path) -> set[str]:
    """What lies in the folder beside logs."""
    return {path.name for path in (tmp_path / "out").glob("*") if path.suffix != ".log"}


@pytest.mark.usefixtures("fake")
def test_latency_is_cycles_by_the_clock(tmp_path: Path) -> None:
    tmp_path.joinpath("out").mkdir()
    free = implement.implement(tiny(), implement.Order("ecp5", lanes=4), tmp_path / "out", counted)
    assert free.latency_us == pytest.approx(1600 / 80)
    assert free.worst_latency_us == pytest.approx(1609 / 80)
    assert free.samples_per_second == pytest.approx(80e6 / 1250)
    assert free.used == Sites(lut4=610, ff=5, bram=8, dsp=0, pins=0)
    asked = implement.implement(tiny(), implement.Order("ecp5", lanes=4, clock_mhz=50), tmp_path / "out", counted)
    assert asked.latency_us == pytest.approx(1600 / 50)


def test_a_small_device_is_told_before_placement(
    fake: Fake, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert emitted(tmp_path, "--device", "ecp5", "--lanes", "32") == 2
    told = capsys.readouterr().err
    assert "device lfe5u-25f: needs 64 block RAMs, there are 56" in told
    assert "larger --device" in told
    assert fake.asked == ["yosys 32"]
    assert results(tmp_path) == set()


def test_multipliers_beyond_those_of_the_device_are_built_of_luts(fake: Fake, tmp_path: Path) -> None:
    fake.sizes = lambda lanes: {"LUT4": 100 * lanes, "TRELLIS_FF": 5, "DP16KD": 2, "MULT18X18D": 4 * lanes}
    found = explored(tmp_path, explore.Budget())
    assert [point.estimate.needed.dsp for point in found.points] == [4, 8, 16, 0, 0, 0]
    assert [point.estimate.needed.lut4 for point in found.points] == [100, 200, 400, 5600, 11200, 22400]


@pytest.mark.usefixtures("fake")
def test_a_missed_clock_is_told_and_nothing_old_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "synthesis.json").write_text("of an earlier run")
    (out / "core.bit").write_text("of an earlier run")
    assert emitted(tmp_path, "--device", "ecp5", "--clock-mhz", "120") == 2
    told = capsys.readouterr().err
    assert "timing failure: asked 120 MHz, reached 80.0 MHz; give a lower --clock-mhz or fewer --lanes" in told
    assert results(tmp_path) == set()


def test_a_missing_tool_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(tools, "wheel", lambda _: None)
    assert emitted(tmp_path, "--device", "ice40") == 2
    assert "yosys is not installed; pip install 'leanspike[fpga]'" in capsys.readouterr().err
    assert results(tmp_path) == set()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--device", "virtex"], "'virtex' is no device"),
        (["--device", "ecp5", "--lanes", "3"], "3 lanes"),
        (["--device", "ecp5", "--clock-mhz", "0"], "--clock-mhz"),
        (["--device", "ecp5", "--seed", "-1"], "--seed"),
        (["--device", "ecp5", "--budget-us", "0"], "--budget-us"),
        (["--device", "ecp5", "--explore", "--lanes", "4"], "an exploration chooses the lanes"),
        (["--device", "ecp5", "--explore", "--pins", "a.lpf"], "an exploration writes no bitstream"),
        (["--device", "ecp5", "--pins", "no-such.lpf"], "no-such.lpf: cannot be read"),
        (["--clock-mhz", "50"], "--clock-mhz: needs a device; add --device ecp5"),
        (["--explore"], "--explore: needs a device"),
    ],
)
@pytest.mark.usefixtures("fake")
def test_what_is_wrong_is_told(tmp_path: Path, options: list[str], told: str, capsys: Any) -> None:
    assert emitted(tmp_path, *options) == 2
    assert told in capsys.readouterr().err
    assert results(tmp_path) == set()


def test_other_targets_have_no_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ir.save(tiny(), tmp_path / "tiny.lsp")
    command = ["emit", str(tmp_path / "tiny.lsp"), "--target", "c", "--out", str(tmp_path / "out"), "--device", "ecp5"]
    assert cli.main(command) == 2
    assert "--device: is for the Verilog target; add --target verilog" in capsys.readouterr().err


def test_lanes_without_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert emitted(tmp_path, "--lanes", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["lanes"] == 2
    assert "leanspike_core.v" in results(tmp_path)
    assert emitted(tmp_path, "--lanes", "3") == 2
    assert "3 lanes" in capsys.readouterr().err


# Exploration


def explored(folder: Path, budget: explore.Budget, **order: Any) -> explore.Exploration:
    return explore.explore(tiny(), implement.Order("ecp5", **order), budget, folder, counted, "samples")


def fates(found: explore.Exploration) -> dict[int, str]:
    return {point.lanes: point.fate for point in found.points}


@pytest.mark.usefixtures("fake")
def test_without_a_budget_the_fastest_that_fits_is_chosen(tmp_path: Path) -> None:
    found = explored(tmp_path, explore.Budget())
    assert fates(found) == {**dict.fromkeys((1, 2, 4, 8), "on the front"), 16: "chosen", 32: "does not fit"}
    assert found.chosen == 16
    assert found.points[-1].reason == "needs 64 block RAMs, there are 56"


@pytest.mark.usefixtures("fake")
def test_a_latency_budget_takes_the_fewest_luts(tmp_path: Path) -> None:
    found = explored(tmp_path, explore.Budget(us=15.0))
    assert found.chosen == 8
    assert fates(found)[4] == "over the budget"
    assert found.points[2].reason == "20.0 µs"


def test_what_is_over_the_budget_is_not_placed(fake: Fake, tmp_path: Path) -> None:
    found = explored(tmp_path, explore.Budget(luts=1005, us=15.0), clock_mhz=75)
    # 8 lanes are estimated at 1,000 LUT4 and take 1,010 when placed; 1 to 4 are too slow at the clock asked for.
    assert found.chosen is None
    assert [line for line in fake.asked if line.startswith("nextpnr")] == ["nextpnr-ecp5 8"]
    assert fates(found)[8] == fates(found)[16] == "over the budget"
    assert "by the estimate" in found.points[4].reason
    assert "by the estimate" not in found.points[3].reason


def test_what_is_beaten_is_not_placed(fake: Fake, tmp_path: Path) -> None:
    fake.sizes = lambda lanes: {"LUT4": 900 if lanes == 2 else 100 * lanes, "TRELLIS_FF": 5, "DP16KD": 9}
    found = explored(tmp_path, explore.Budget())
    assert fates(found)[2] == "beaten"
    assert found.points[1].reason == "by 4 lanes"
    assert "nextpnr-ecp5 2" not in fake.asked


def test_what_placement_shows_to_be_beaten_is_not_chosen(fake: Fake, tmp_path: Path) -> None:
    fake.slower = {16: 30.0}
    found = explored(tmp_path, explore.Budget())
    assert found.chosen == 8
    assert found.points[4].reason == "by 8 lanes, once placed"
    assert found.points[4].placed is not None


def test_a_second_run_takes_what_is_kept(fake: Fake, tmp_path: Path) -> None:
    first = explored(tmp_path, explore.Budget())
    fake.asked.clear()
    assert explored(tmp_path, explore.Budget()) == first
    assert fake.asked == []
    assert explored(tmp_path, explore.Budget(us=15.0)).chosen == 8
    assert fake.asked == []
    explored(tmp_path, explore.Budget(), seed=2)
    assert {line.split()[0] for line in fake.asked if line.startswith("nextpnr")} == {"nextpnr-ecp5"}


def test_a_damaged_point_is_made_anew(fake: Fake, tmp_path: Path) -> None:
    first = explored(tmp_path, explore.Budget())
    kept = next((tmp_path / "points").glob("4-lanes-*.json"))
    kept.write_text(kept.read_text()[:40])
    fake.asked.clear()
    assert explored(tmp_path, explore.Budget()) == first
    assert fake.asked == ["yosys 4"]


def test_nothing_fits(fake: Fake, tmp_path: Path) -> None:
    fake.sizes = lambda _: {"LUT4": 50_000, "TRELLIS_FF": 5, "DP16KD": 9}
    with pytest.raises(TargetError, match=r"needs 50,000 LUT4, there are 24,288"):
        explored(tmp_path, explore.Budget())
    assert not (tmp_path / "exploration.json").exists()


@pytest.mark.usefixtures("fake")
def test_the_command_explores_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr(fpga.Counter, "__call__", lambda _, lanes: counted(lanes))
    assert emitted(tmp_path, "--device", "ecp5", "--budget-us", "15") == 0
    told = capsys.readouterr()
    assert "8 lanes: place and route" in told.err
    assert "chosen" in told.out
    drawn = (tmp_path / "out" / "exploration.html").read_text()
    assert "8 lanes: 1,010 of 24,288 LUT4 and 16 of 56 block RAMs, 10.0\N{NO-BREAK SPACE}µs a sample" in drawn
    assert drawn.count("<svg") == 2
    assert "<script" not in drawn
    assert json.loads((tmp_path / "out" / "synthesis.json").read_text())["lanes"] == 8
    assert emitted(tmp_path, "--device", "ecp5", "--budget-us", "0.5") == 1
    assert "No lane count of 1, 2, 4, 8, 16, 32 keeps the budget" in (tmp_path / "out" / "exploration.html").read_text()
    assert not (tmp_path / "out" / "synthesis.json").exists()


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.usefixtures("fake")
def test_the_page_says_what_was_not_measured(tmp_path: Path, measured: bool) -> None:
    from leanspike.cli.fpga_report import lanes

    count = counted if measured else lambda _: "no simulator"
    found = explore.explore(tiny(), implement.Order("ecp5"), explore.Budget(luts=900), tmp_path, count, "samples")
    drawn = page(lanes(found, "samples"))
    assert ("latency was not measured" in drawn) is not measured
    assert found.chosen == (4 if measured else 1)
