"""Place and route by nextpnr: what a circuit takes of a device, and how fast its clock may be.

    fmax    of the slowest path between two registers, at the slow corner that nextpnr's timing data describe; paths
            from and to pins are not in it

A clock that was asked for and not reached is an error here: nextpnr is told to end well anyway, because its ECP5
edition says with one exit status that timing was missed and that something broke.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from leanspike.core.errors import TargetError
from leanspike.targets.verilog import tools
from leanspike.targets.verilog.devices import Device
from leanspike.targets.verilog.synthesis import NETLIST

BITSTREAMS = {"ecp5": "core.bit", "ice40": "core.bin"}
_ROUTED = {"ecp5": "routed.config", "ice40": "routed.asc"}
_PACKERS = {"ecp5": "ecppack", "ice40": "icepack"}
HOPED_MHZ = {"ecp5": 100.0, "ice40": 60.0}
"""What nextpnr is told to aim at where no clock was asked for."""
_REPORT = "report.json"
_SITES = {
    "ecp5": {"lut4": "TRELLIS_COMB", "ff": "TRELLIS_FF", "bram": "DP16KD", "dsp": "MULT18X18D", "pins": "TRELLIS_IO"},
    "ice40": {"lut4": "ICESTORM_LC", "bram": "ICESTORM_RAM", "dsp": "ICESTORM_DSP", "pins": "SB_IO"},
}


@dataclass(frozen=True)
class Placement:
    """A circuit, placed and routed.

    Attributes:
        used: sites by ``lut4``, ``ff``, ``bram``, ``dsp``, ``pins``; of an iCE40 ``ff`` is missing, because flip-flops
            lie in the logic cells that ``lut4`` counts.
        fmax_mhz: of the core's clock.
        version: of nextpnr.
    """

    used: Mapping[str, int]
    fmax_mhz: float
    version: str


def place(
    folder: Path,
    device: Device,
    log: Path,
    *,
    clock_mhz: float | None = None,
    seed: int = 1,
    pins: str | None = None,
) -> Placement:
    """Place and route ``folder / NETLIST``.

    Args:
        clock_mhz: must be reached; None: as fast as it gets.
        seed: of nextpnr's random placement.
        pins: name of an LPF (ECP5) or PCF (iCE40) file in ``folder``; None: nextpnr chooses pins.

    Raises:
        MissingTool: no nextpnr for the family.
        TargetError: it does not fit, cannot be routed, or misses the clock that was asked for.
    """
    nextpnr = tools.find(f"nextpnr-{device.family}")
    aim = clock_mhz or HOPED_MHZ[device.family]
    arguments = [*device.nextpnr, "--json", NETLIST, "--report", _REPORT, "--seed", str(seed), "--freq", f"{aim:g}"]
    arguments += ["--timing-allow-fail", "--textcfg" if device.family == "ecp5" else "--asc", _ROUTED[device.family]]
    if pins:
        arguments += ["--lpf" if device.family == "ecp5" else "--pcf", pins]
    elif device.family == "ecp5":
        arguments += ["--lpf-allow-unconstrained"]
    if tools.run(nextpnr, arguments, folder, log):
        what = f"nextpnr does not place and route it ({tools.complaint(log)})"
        raise TargetError(what, where=f"device {device.name}", remedy="take fewer --lanes or a larger --device")
    found = reported((folder / _REPORT).read_text(encoding="utf-8"), device, nextpnr.version)
    if clock_mhz and found.fmax_mhz < clock_mhz:
        what = f"timing failure: asked {clock_mhz:g} MHz, reached {found.fmax_mhz:.1f} MHz"
        raise TargetError(what, where=f"device {device.name}", remedy="give a lower --clock-mhz or fewer --lanes")
    return found


def reported(report: str, device: Device, version: str) -> Placement:
    """What nextpnr's report says.

    Raises:
        TargetError: it has no clock: there is no path between registers.
    """
    content = json.loads(report)
    clocks = [clock["achieved"] for clock in content["fmax"].values()]
    if len(clocks) != 1:
        what = f"nextpnr reports {len(clocks)} clocks where the core has one"
        raise TargetError(what, where=f"device {device.name}")
    sites = _SITES[device.family].items()
    used = {name: content["utilization"].get(site, {"used": 0})["used"] for name, site in sites}
    return Placement(used, clocks[0], version)


def pack(folder: Path, device: Device, log: Path) -> Path:
    """The bitstream of what :func:`place` left in ``folder``.

    Raises:
        MissingTool: no packer for the family. TargetError: it refuses.
    """
    packer = tools.find(_PACKERS[device.family])
    name = BITSTREAMS[device.family]
    if tools.run(packer, [_ROUTED[device.family], name], folder, log):
        raise TargetError(f"{packer.name} makes no bitstream of it ({tools.complaint(log)})", where=log)
    return folder / name
