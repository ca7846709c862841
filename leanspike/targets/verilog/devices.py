"""FPGAs: what each has, and how yosys and nextpnr are told of it.

    lut4, ff    look-up tables of 4 inputs, flip-flops; an iCE40 logic cell is one of each
    bram        blocks of ``bram_bits`` bits
    dsp         multipliers: 18 x 18 (ECP5), 16 x 16 (UltraPlus)
    pins        that a circuit may use, in the package named

Figures and their sources stand in ``devices/*.toml``, a file a family.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from typing import Any, Literal

from leanspike.core.errors import TargetError

Family = Literal["ecp5", "ice40"]


@dataclass(frozen=True)
class Sites:
    """How many of each kind there are, are needed or are taken."""

    lut4: int
    ff: int
    bram: int
    dsp: int
    pins: int


@dataclass(frozen=True)
class Device:
    """An FPGA in a package.

    Attributes:
        name: what ``--device`` takes.
        title: maker, part, package, speed grade.
        family: which nextpnr places it.
        synth: yosys' command and its options; ``synth_without_dsp`` makes multipliers of LUT4.
        nextpnr: options that name the part.
        sites: what it has.
        bram_bits: of one block.
        source: by figure, who says so.
    """

    name: str
    title: str
    family: Family
    synth: tuple[str, ...]
    synth_without_dsp: tuple[str, ...]
    nextpnr: tuple[str, ...]
    sites: Sites
    bram_bits: int
    source: Mapping[str, str]


@functools.cache
def devices() -> dict[str, Device]:
    """Every device by name."""
    found: dict[str, Device] = {}
    for table in _tables():
        for name, entry in table["device"].items():
            found[name] = _device(name, entry, table)
    return found


def device(name: str) -> Device:
    """The device of this name, or the default one of a family (``ecp5``, ``ice40``). Case does not matter.

    Raises:
        TargetError: there is none.
    """
    wanted = name.lower()
    wanted = defaults().get(wanted, wanted)
    if wanted not in devices():
        told = ", ".join(f"{family} ({default})" for family, default in defaults().items())
        raise TargetError(f"{name!r} is no device", remedy=f"there are {told}, {', '.join(devices())}")
    return devices()[wanted]


@functools.cache
def defaults() -> dict[str, str]:
    """The device that a family's name stands for."""
    return {table["family"]: table["default"] for table in _tables() if "default" in table}


def _tables() -> list[dict[str, Any]]:
    folder = resources.files("leanspike.targets.verilog") / "devices"
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".toml")), key=lambda file: file.name)
    return [tomllib.loads(file.read_text(encoding="utf-8")) for file in files]


def _device(name: str, entry: Mapping[str, Any], table: Mapping[str, Any]) -> Device:
    return Device(
        name=name,
        title=entry["title"],
        family=table["family"],
        synth=tuple(table["synth"]),
        synth_without_dsp=tuple(table["synth_without_dsp"]),
        nextpnr=tuple(entry["nextpnr"]),
        sites=Sites(**{field.name: entry[field.name] for field in fields(Sites)}),
        bram_bits=entry["bram_bits"],
        source=table["source"],
    )
