"""The circuit's part of ``leanspike emit`` and ``leanspike check``: draw neurons, run them in ngspice, compare."""

from __future__ import annotations

import argparse
import json
import re
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from leanspike.ir import Program
    from leanspike.measure.samples import Samples
    from leanspike.targets import Artefact
    from leanspike.targets.spice import CircuitRun, Design

CHECKED_SAMPLES = 3
"""A check runs its first samples alone: a run of ngspice for every neuron of each."""
PAGE = "waveforms.html"


def add_options(parser: argparse.ArgumentParser) -> None:
    """What chooses the neurons and the circuit."""
    group = parser.add_argument_group("spice")
    group.add_argument("--layer", metavar="NAME", help="spiking layer to draw (default: the first)")
    group.add_argument("--neurons", metavar="I-J,K", help="its neurons, as in 0-9,17 (default: the first 16)")
    keys = "step_ms=1, threshold_v=0.025, capacitance_pf=1, supply_v=0.9, load_ff=10, leak=resistor or transistor"
    group.add_argument("--circuit", action="append", default=[], metavar="KEY=VALUE", help=keys)


def design_of(args: argparse.Namespace) -> Design:
    """The design that the options ask for.

    Raises:
        ConfigError: an unknown key, or a value out of range.
    """
    from leanspike.core.errors import ConfigError
    from leanspike.core.records import from_dict, parse_value
    from leanspike.targets.spice import Design

    values: dict[str, Any] = {"layer": args.layer or "", "neurons": _indices(args.neurons)}
    for setting in args.circuit:
        key, equals, text = setting.partition("=")
        if not equals:
            raise ConfigError("expected KEY=VALUE", where=f"--circuit {setting}", remedy="for example leak=transistor")
        values[key.strip()] = parse_value(text)
    return from_dict(Design, values)


def _indices(text: str | None) -> list[int]:
    from leanspike.core.errors import ConfigError

    found: list[int] = []
    for part in (text or "").split(",") if text else ():
        match = re.fullmatch(r"\s*(\d{1,7})(?:-(\d{1,7}))?\s*", part)
        if not match or (match[2] and not int(match[1]) <= int(match[2]) < int(match[1]) + 1000):
            raise ConfigError(f"{part!r} is no neuron", where="--neurons", remedy="for example 0-9,17")
        found += range(int(match[1]), int(match[2] or match[1]) + 1)
    return found


def emit(args: argparse.Namespace) -> int:
    """Write netlists with the currents of one test sample, run them, and draw them beside the program's trace."""
    from leanspike import ir
    from leanspike.cli import circuit_page
    from leanspike.cli.programs import load_samples
    from leanspike.core.errors import MissingTool
    from leanspike.core.records import require
    from leanspike.targets import spice

    program, origin = ir.load_with_origin(args.program)
    design = design_of(args)
    require(args.sample >= 0, "--sample", args.sample, "a whole number from 0 up")
    samples = load_samples(program, origin, args.data, args.sample + 1)
    require(args.sample < len(samples), "--sample", args.sample, f"the test set has {len(samples)} samples")
    one = slice(args.sample, args.sample + 1)
    raw, numbers = samples.raw[one], samples.numbers[one]
    artefact = spice.emit_design(program, args.out, design, raw, numbers)
    try:
        found = _run(artefact, raw, numbers, quiet=args.json)
    except MissingTool as error:
        facts = {**artefact.facts, "timing": None, "energy": None, "warnings": [f"not simulated: {error.line()}"]}
        files = artefact.files
    else:
        wanted = spice.expected(artefact, raw, numbers)
        facts = {**artefact.facts, "timing": asdict(spice.timing(artefact, wanted, found))}
        facts["energy"] = spice.energy(artefact, found)
        told = (_timing_told(facts["timing"]), f"sample {args.sample} of {samples.dataset}")
        circuit_page.draw(artefact.folder / PAGE, artefact, wanted, found, facts, told, _command(args))
        files = (*artefact.files, PAGE)
    _tell(args, artefact, files, facts)
    return 0


def _run(artefact: Artefact, raw: Any, numbers: Any, *, quiet: bool) -> CircuitRun:
    from rich.console import Console
    from rich.progress import Progress

    from leanspike.targets import spice

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("ngspice", total=len(raw) * artefact.facts["neurons"])
        return spice.run_circuits(artefact, raw, numbers, lambda: bar.advance(task))


def _tell(args: argparse.Namespace, artefact: Artefact, files: tuple[str, ...], facts: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps({"target": "spice", "files": list(files), **facts}, indent=2))
        return
    kinds = {ending: sum(name.endswith(ending) for name in files) for ending in (".cir", ".stim")}
    print(f"{artefact.folder}: {kinds['.cir']} netlists, the currents of sample {args.sample} beside each")
    if facts["timing"] is not None:
        print(_timing_told(facts["timing"]))
        print(_energy_told(facts["energy"]))
        print(artefact.folder / PAGE)
    for warning in facts.get("warnings", ()):
        print(f"warning: {warning}")


def _timing_told(found: dict[str, Any]) -> str:
    verdict = "MISMATCH" if found["counts"] or found["times"] else "agrees"
    spikes = f"{found['spikes_circuit']:,} spikes in the circuits, {found['spikes_program']:,} in the program"
    pairs = found["neurons"] * found["samples"]
    differ = f"counts differ for {found['counts']} of {pairs}, times by more than a step for {found['times']}"
    return f"{verdict}: {spikes}; {differ}; latest {found['latest']} steps off"


def _energy_told(found: dict[str, Any]) -> str:
    spike = found["energy_per_spike_pj"]
    told = "no spike" if spike is None else f"{spike:.3g} pJ a spike"
    rails = ", BEYOND THE RAILS: lower threshold_v" if found["beyond_rails"] else ""
    swing = " to ".join(f"{volts:.3g}" for volts in found["swing_v"])
    return (
        f"supplies gave {found['energy_pj']:.3g} pJ a neuron in {found['window_ms']:g} ms, {told} (behavioural parts, "
        f"no chip); membranes {swing} V{rails}"
    )


def check(args: argparse.Namespace, program: Program, samples: Samples) -> dict[str, Any]:
    """The row of ``leanspike check``: its first samples, with the drawn neurons' spikes in the program's place."""
    from leanspike.targets import spice

    count = min(len(samples), CHECKED_SAMPLES)
    raw, numbers = samples.raw[:count], samples.numbers[:count]
    with tempfile.TemporaryDirectory() as folder:
        artefact = spice.emit_design(program, Path(folder), design_of(args))
        found = _run(artefact, raw, numbers, quiet=args.json)
        compared = spice.timing(artefact, spice.expected(artefact, raw, numbers), found)
        trace = spice.trace(artefact, found, raw, numbers)
    right = int((trace.predictions == samples.labels[:count]).sum())
    if not args.json:
        print(f"spice   {_timing_told(asdict(compared))} ({count} samples, layer {artefact.facts['layer']})")
    return {
        "target": "spice",
        "mismatches": {"counts": compared.counts, "times": compared.times},
        "accuracy": right / count,
        "samples": count,
        "timing": asdict(compared),
        "energy": spice.energy(artefact, found),
    }


def _command(args: argparse.Namespace) -> str:
    """What draws the same again."""
    chosen = [("--layer", args.layer), ("--neurons", args.neurons), *(("--circuit", one) for one in args.circuit)]
    options = "".join(f" {name} {value}" for name, value in chosen if value)
    return f"leanspike emit {args.program} --target spice{options} --sample {args.sample} --out {args.out}"
