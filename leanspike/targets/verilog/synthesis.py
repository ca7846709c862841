"""Synthesis by yosys: from Verilog to the cells of an FPGA, counted.

    LUT4    ECP5: look-up tables, 2 a carry cell, 4 and 2 for the writing side of 16 x 4 bits of distributed RAM
            iCE40: look-up tables; a carry shares the cell of one
    FF      flip-flops of every kind
    BRAM    blocks (DP16KD, PDPW16KD, SB_RAM40_4K)
    DSP     multipliers (MULT18X18D, SB_MAC16)

Counts before placement are a lower bound: packing adds sites for carries' ends and lone flip-flops.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from leanspike.core.errors import TargetError
from leanspike.ir.violation import Violation
from leanspike.targets.verilog import tools
from leanspike.targets.verilog.devices import Device, Sites

NETLIST = "netlist.json"
_STAT = "stat.json"
_LUT4 = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 6, "SB_LUT4": 1}
_FF = ("TRELLIS_FF", "SB_DFF")
_BRAM = ("DP16KD", "PDPW16KD", "SB_RAM40_4K")
_DSP = ("MULT18X18D", "SB_MAC16")
_NAMES = {"lut4": "LUT4", "ff": "flip-flops", "bram": "block RAMs", "dsp": "multipliers", "pins": "pins"}
_REMEDIES = {
    "lut4": "fewer --lanes, or a larger --device",
    "ff": "fewer --lanes, or a larger --device",
    "bram": "fewer or narrower weights (leanspike lean), fewer --lanes, or a larger --device",
    "dsp": "fewer --lanes, or a larger --device",
    "pins": "a larger --device",
}


@dataclass(frozen=True)
class Synthesis:
    """What yosys made of a circuit.

    Attributes:
        needed: sites, at least.
        cells: by type, as yosys counts them.
        version: of yosys.
    """

    needed: Sites
    cells: Mapping[str, int]
    version: str


def synthesise(folder: Path, sources: Sequence[str], top: str, device: Device, log: Path) -> Synthesis:
    """Synthesise Verilog files for a device; the netlist is written to ``folder / NETLIST``.

    A circuit of more multipliers than the device has is synthesised once more, with all of them built of LUT4.

    Args:
        folder: where the sources and the memory files that they read lie; yosys runs there.
        sources: names of the Verilog files.
        log: takes all that yosys prints.

    Raises:
        MissingTool: no yosys. TargetError: yosys refuses the circuit, or it holds a latch.
    """
    made = _synthesised(folder, sources, top, device.synth, log)
    if made.needed.dsp <= device.sites.dsp:
        return made
    return _synthesised(folder, sources, top, device.synth_without_dsp, log)


def _synthesised(folder: Path, sources: Sequence[str], top: str, synth: Sequence[str], log: Path) -> Synthesis:
    yosys = tools.find("yosys")
    script = "; ".join(
        [
            f"read_verilog -defer {' '.join(sources)}",
            f"hierarchy -check -top {top}",
            "proc",
            "select -assert-none t:$dlatch",
            f"{' '.join(synth)} -top {top} -json {NETLIST}",
            f"tee -q -o {_STAT} stat -json",
        ]
    )
    if tools.run(yosys, ["-p", script], folder, log):
        raise TargetError(f"yosys does not synthesise it ({tools.complaint(log)})", where=log)
    return counted((folder / _STAT).read_text(encoding="utf-8"), yosys.version)


def counted(stat: str, version: str) -> Synthesis:
    """The counts in what ``stat -json`` of a flat circuit says."""
    (module,) = json.loads(stat)["modules"].values()
    cells: dict[str, int] = module["num_cells_by_type"]
    needed = Sites(
        lut4=sum(sites * cells.get(name, 0) for name, sites in _LUT4.items()),
        ff=_sum(cells, _FF),
        bram=_sum(cells, _BRAM),
        dsp=_sum(cells, _DSP),
        pins=module["num_port_bits"],
    )
    return Synthesis(needed, cells, version)


def _sum(cells: Mapping[str, int], kinds: tuple[str, ...]) -> int:
    return sum(count for name, count in cells.items() if name.startswith(kinds))


def too_little(needed: Sites, device: Device) -> list[Violation]:
    """Every resource of which a device has too little for what is needed."""
    there = asdict(device.sites)
    return [
        Violation(
            f"device {device.name}", f"needs {count:,} {_NAMES[name]}, there are {there[name]:,}", _REMEDIES[name]
        )
        for name, count in asdict(needed).items()
        if count > there[name]
    ]
