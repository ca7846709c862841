"""An exploration of lanes with every outcome that its page knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from leanspike.report.fpga_page import Candidate, Lanes, page


def candidate(lanes: int, fate: str, reason: str = "", *, is_placed: bool = True) -> Candidate:
    """100 LUT4 and 2 block RAMs a lane, 100 MHz where placed."""
    cycles = 8000 / lanes
    found = Candidate(lanes, fate, reason, is_placed, 300 + 100 * lanes, 200 * lanes, 2 * lanes, 0, cycles)
    if not is_placed:
        return found
    us = cycles / 100
    return replace(found, fmax_mhz=100.0, latency_us=us, worst_latency_us=2 * us, samples_per_second=1e6 / us)


def example(*, is_chosen: bool = True) -> Lanes:
    """Six lane counts under a budget of 30 µs and 2,000 LUT4."""
    return Lanes(
        program="mnist-784-400-10-t5",
        sha256="e57d3777771d290edc73f4521f42c08a18c7748dc37dc1dd73c20e96091ed9f9",
        device="Lattice ECP5 LFE5U-25F, CABGA256, speed grade 6",
        lut4=24288,
        bram=56,
        bram_bits=18432,
        clock="as fast as it gets",
        samples="mnist, the first 100 test samples",
        budget={"lut4": 2000.0, "latency_us": 30.0},
        budget_words="2,000 LUT4, 30 µs a sample",
        rule="Chosen: of those that keep the budget, the one of fewest LUT4.",
        candidates=(
            candidate(1, "over the budget", "80.0 µs"),
            candidate(2, "not routed", "device lfe5u-25f: nextpnr does not place and route it", is_placed=False),
            candidate(4, "chosen" if is_chosen else "over the budget"),
            candidate(8, "on the front" if is_chosen else "over the budget"),
            candidate(16, "beaten", "by 8 lanes", is_placed=False),
            candidate(32, "does not fit", "needs 64 block RAMs, there are 56", is_placed=False),
        ),
        command="leanspike emit mnist.lsp --target verilog --device ecp5 --budget-us 30 --budget-luts 2000 --out core",
        config_hash="0123456789abcdef",
        leanspike="0.1.0",
        created="2026-11-21T12:00:00+00:00",
        configuration='{"lanes": [1, 2, 4, 8, 16, 32]}',
        versions=(("leanspike", "0.1.0"), ("yosys", "0.70")),
    )


def make(folder: Path, *, is_chosen: bool = True) -> None:
    """Write the page where the tests of pages look for it."""
    (folder / "report.html").write_text(page(example(is_chosen=is_chosen)), encoding="utf-8")
