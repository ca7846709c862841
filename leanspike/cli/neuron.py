"""``leanspike neuron``: one LIF neuron as physics."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanspike.core.files import make_folder, write_json, write_text

if TYPE_CHECKING:
    from leanspike.physics import NeuronPhysics

EXAMPLE = """example:
  leanspike neuron --current 2.5e-9 --refractory 0 --out runs/neuron
  leanspike neuron --json | python -m json.tool

All values are in SI units: seconds, volts, amperes, ohms."""
FILES = ("traces.svg", "error.svg", "fi.svg", "neuron.json")
PARAMETERS = {
    "tau": "membrane time constant, s",
    "resistance": "membrane resistance, ohm",
    "rest": "resting potential, V",
    "threshold": "threshold, V",
    "reset": "potential after a spike, V",
    "refractory": "absolute refractory period, s",
    "current": "constant input current, A",
    "dt": "step of the numerical methods, s",
    "duration": "simulated time, s",
}


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of this command."""
    from leanspike.physics.neuron import NeuronPhysics

    parser = commands.add_parser(
        "neuron",
        help="one LIF neuron: traces, f-I curve, integration methods",
        description="Integrate one LIF neuron by Euler, RK4 and the exact exponential, against the closed form.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = NeuronPhysics()
    for name, text in PARAMETERS.items():
        default = getattr(defaults, name)
        parser.add_argument(f"--{name}", type=float, default=default, metavar="X", help=f"{text} (default {default:g})")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"write {', '.join(FILES)} there")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, write the pictures if asked to, print the numbers."""
    from leanspike.physics.experiments import summary
    from leanspike.physics.neuron import NeuronPhysics

    neuron = NeuronPhysics(**{name: getattr(args, name) for name in PARAMETERS})
    folder = make_folder(args.out) if args.out else None
    numbers = summary(neuron)
    if folder is not None:
        _write(folder, neuron, numbers)
    print(json.dumps(numbers, indent=2, allow_nan=False) if args.json else _text(numbers))
    if folder is not None and not args.json:
        print(f"\nwritten to {folder}: {', '.join(FILES)}")
    return 0


def _write(folder: Path, neuron: NeuronPhysics, numbers: dict[str, Any]) -> None:
    from leanspike.physics import plots

    pictures = (plots.traces(neuron), plots.errors(numbers), plots.rates(numbers))
    for name, picture in zip(FILES, pictures, strict=False):
        write_text(folder / name, picture)
    write_json(folder / FILES[-1], numbers)


def _text(numbers: dict[str, Any]) -> str:
    parameters, beta = numbers["parameters"], numbers["beta"]
    lines = [
        f"rheobase      {numbers['rheobase'] * 1e9:.4g} nA",
        f"firing rate   {numbers['rate']:.4g} Hz at {parameters['current'] * 1e9:.4g} nA (closed form)",
        f"spikes        {len(numbers['spikes'])} in {parameters['duration'] * 1e3:g} ms",
        f"beta          {beta['exact']:.8f} exact, {beta['euler']:.8f} Euler (dt = {parameters['dt'] * 1e3:g} ms)",
    ]
    for title, key, unit in (("potential", "membrane_error", "mV"), ("spike time", "spike_time_error", "ms")):
        lines.append(f"\nerror of the {title}, {unit}, from dt = tau/2 to tau/128")
        for curve in numbers[key]:
            order = "at rounding" if curve["order"] is None else f"order {curve['order']:.2f}"
            lines.append(
                f"  {curve['method']:<20}{curve['error'][0] * 1e3:10.2e}  ->{curve['error'][-1] * 1e3:10.2e}   {order}"
            )
    lines.append("\nf-I curve, largest difference from the closed form")
    for curve in numbers["fi"]:
        worst = max(abs(a - b) for a, b in zip(curve["simulated"], curve["exact"], strict=True))
        head = f"t_ref = {curve['refractory'] * 1e3:g} ms, {curve['crossing']} crossing"
        lines.append(f"  {head:<36}{worst:.2e} Hz (dt = {curve['dt'] * 1e3:g} ms)")
    return "\n".join(lines)
