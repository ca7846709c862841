"""The analogue figures of results/hardware: circuits beside the program, the law of the spread, mismatch.

    python recipes/analog.py circuits --out runs/analog     whole hidden layers in ngspice over 100 ms: spice.json
    python recipes/analog.py law --out runs/analog          parts against what a neuron has: spread-law.json
    python recipes/analog.py mismatch --out runs/analog     plain and noise-trained against sigma: mismatch.json

Networks are trained and lowered by ``leanspike`` in OUT; what was cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from leanspike import ir
from leanspike.cli.programs import load_samples
from leanspike.core.files import make_folder, write_json
from leanspike.measure.mismatch import Law
from leanspike.measure.mismatch_curves import Plan, measure_curves
from leanspike.measure.quality import difference_interval
from leanspike.report.mismatch_plots import compared, mismatch_plots
from leanspike.report.single_page import Page, Table, write_page
from leanspike.targets import spice
from leanspike.targets.spice.spread import SOURCES, fit_law

_LONG = ("--timesteps", "100", "--set", "model.hidden=[32]")
CIRCUITS = {
    "digits-direct": ("digits", *_LONG, "--epochs", "20"),
    "mnist-rate": ("mnist", *_LONG, "--encoder", "rate", "--epochs", "3"),
}
CIRCUIT_SAMPLES, MISMATCH_SAMPLES, DRAWS = 5, 1000, 100
SIGMAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
TRAINED = {"plain": 0.0, "trained at 20 %": 0.2, "trained at 30 %": 0.3}


def program(out: Path, name: str, options: tuple[str, ...]) -> Path:
    """Train and lower a network unless that was done."""
    lowered = out / f"{name}.lsp"
    if not lowered.exists():
        leanspike("train", *options, "--out", str(out / name))
        leanspike("lower", str(out / name), "-o", str(lowered))
    return lowered


def leanspike(*words: str) -> None:
    """One command; its failure ends the recipe."""
    done = subprocess.run([sys.executable, "-m", "leanspike", *words], check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


def circuits(out: Path) -> None:
    """All 32 hidden neurons of two networks over 100 steps of 1 ms, on the first test samples."""
    found: dict[str, Any] = {"schema": 1}
    for name, options in CIRCUITS.items():
        loaded, origin = ir.load_with_origin(program(out, name, options))
        samples = load_samples(loaded, origin, None, CIRCUIT_SAMPLES)
        told = {"program": ir.content_hash(loaded), "name": loaded.name, "dataset": samples.dataset}
        raw, numbers = samples.raw, samples.numbers
        nominal = [_sample(out / name, loaded, raw[i : i + 1], numbers[i : i + 1]) for i in range(len(samples))]
        bent = _sample(out / f"{name}-transistor", loaded, raw[:1], numbers[:1], leak="transistor")
        found[name] = {**told, "samples": nominal, "transistor": bent}
        for one in (*nominal, bent):
            print(name, one["timing"], f"{one['energy']['energy_per_spike_pj']:.3f} pJ a spike")
    write_json(out / "spice.json", found)


def _sample(folder: Path, loaded: ir.Program, raw: Any, numbers: Any, **design: Any) -> dict[str, Any]:
    """One sample: every neuron of the layer, and what the network decides with the circuits in its loop."""
    artefact = spice.emit_design(loaded, folder, spice.Design(neurons=tuple(range(32)), **design), raw, numbers)
    run = spice.run_circuits(artefact, raw, numbers)
    decided = spice.trace(artefact, run, raw, numbers).predictions
    return {
        "design": artefact.facts["design"],
        "timing": asdict(spice.timing(artefact, spice.expected(artefact, raw, numbers), run)),
        "energy": spice.energy(artefact, run),
        "decides_as_the_program": bool((decided == ir.run(loaded, raw, numbers).predictions).all()),
    }


def law(out: Path) -> None:
    """300 probe circuits, 100 at each sigma."""
    found = fit_law((0.05, 0.1, 0.2), 100, 0.9, seed=0)
    write_json(out / "spread-law.json", {"schema": 1, "sources": list(SOURCES), **asdict(found)})
    for effect, exponents in found.exponents.items():
        print(f"{effect:<10}", *(f"{one:8.4f}" for one in exponents), f"  R^2 {found.r_squared[effect]:.6f}")


def mismatch(out: Path) -> None:
    """784-400-10 in 5 steps: plain, and trained on circuits whose parts are off."""
    found: dict[str, Any] = {"schema": 1, "sigmas": list(SIGMAS), "draws": DRAWS, "programs": {}}
    measured = {name: _measured(out, name, sigma) for name, sigma in TRAINED.items()}
    plain = measured["plain"]["curves"][0]["points"]
    for name, content in measured.items():
        own = content["curves"][0]["points"]
        pairs = [(one["accuracies"], other["accuracies"]) for one, other in zip(own, plain, strict=True)]
        gains = [asdict(difference_interval(*pair)) for pair in pairs]
        told = {key: value for key, value in content.items() if key != "curves"}
        curves = [{**curve, "points": [_short(point) for point in curve["points"]]} for curve in content["curves"]]
        found["programs"][name] = {**told, "trained_at": TRAINED[name], "gain_over_plain": gains, "curves": curves}
        print(f"{name:<16}", *(f"{point['mean']:.2%}" for point in own))
    write_json(out / "mismatch.json", found)
    _page(out, measured)


def _measured(out: Path, name: str, sigma: float) -> dict[str, Any]:
    folder = f"mismatch-{sigma:g}"
    both = sigma * math.sqrt(2)
    noise = {"weight": sigma, "gain": sigma, "threshold": both, "leak": both}
    settings = [word for key, value in noise.items() for word in ("--set", f"train.mismatch.{key}={value}")]
    options = ("mnist", "--timesteps", "5", "--epochs", "12", *(settings if sigma else ()))
    loaded, origin = ir.load_with_origin(program(out, folder, options))
    samples = load_samples(loaded, origin, None, MISMATCH_SAMPLES)
    plan = Plan(SIGMAS, DRAWS, parts=name == "plain")
    return measure_curves(loaded, samples, plan, Law(), out / f"{folder}-curves")


def _short(point: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in point.items() if key != "accuracies"}


def _page(out: Path, measured: dict[str, dict[str, Any]]) -> None:
    """The curves of all networks on one page."""
    curves = {name: content["curves"][0] for name, content in measured.items()}
    rows = [(name, *(f"{point['mean']:.2%}" for point in curve["points"])) for name, curve in curves.items()]
    first, plain = next(iter(measured.values())), curves["plain"]["points"]
    gain = max(
        (one["mean"] - other["mean"], other["sigma"], name)
        for name, curve in curves.items()
        for one, other in zip(curve["points"], plain, strict=True)
    )
    page = Page(
        "recipes/analog.py mismatch",
        "Training on circuits whose parts are off",
        f"{first['name']} · {first['samples']} test samples of {first['dataset']} · {DRAWS} circuits a point",
        f"The network {gain[2]} gains {100 * gain[0]:.1f} points at {gain[1]:.0%}.",
        [(name, f"{curve['points'][-1]['mean']:.2%}", f"at {SIGMAS[-1]:.0%}") for name, curve in curves.items()],
        "Accuracy against sigma",
        "Every part of every neuron and synapse off by sigma, all layers. Below, of the plain network, one at a time.",
        [compared(curves, "Plain and noise-trained"), *mismatch_plots(first["curves"])[1:]],
        [Table("Mean accuracy", ["network", *(f"{sigma:.0%}" for sigma in SIGMAS)], rows)],
        ["Circuits are programs with perturbed integers, run by the engine; docs/explanation/analog.md."],
        f"python recipes/analog.py mismatch --out {out}",
        {"trained": TRAINED, "law": asdict(Law())},
    )
    write_page(out / "mismatch.html", page)


def main() -> None:
    """The command line of this recipe."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("circuits", "law", "mismatch"))
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    {"circuits": circuits, "law": law, "mismatch": mismatch}[args.part](make_folder(args.out))


if __name__ == "__main__":
    main()
