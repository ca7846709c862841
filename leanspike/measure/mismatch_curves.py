"""Accuracy against the spread of parts: many circuits a point, over all layers and sources, and one at a time.

    curve    which sources, in which layers, are off by sigma: all, one source in all layers, all sources in one layer
    point    mean accuracy over ``draws`` circuits with Student's 95 % interval of that mean, and the range in which
             the middle 95 % of the circuits lie

Every circuit is run on the same samples by the engine, and circuit d is the same at every sigma, so differences between
points are not differences of luck. ``mismatch.json`` is written while it grows: what was finished is not done again.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from leanspike import __version__, ir
from leanspike.core.errors import OutputError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import require
from leanspike.engine import Engine
from leanspike.ir import Program
from leanspike.measure.mismatch import SOURCES, Circuit, Law, Spread, finest, last_places, layers_of, perturbed
from leanspike.measure.quality import mean_interval
from leanspike.measure.samples import Samples

FILE = "mismatch.json"
_SAVE_SECONDS, _WIDE = 15.0, 0.5


@dataclass(frozen=True)
class Plan:
    """What is asked.

    Attributes:
        sigmas: standard deviations of the logarithms of the parts; 0 is the program itself.
        draws: circuits a point, 2 or more.
        parts: also one source at a time and one layer at a time.
    """

    sigmas: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
    draws: int = 100
    seed: int = 0
    parts: bool = True

    def __post_init__(self) -> None:
        for sigma in self.sigmas:
            require(0 <= sigma <= 1 and math.isfinite(sigma), "--sigma", sigma, "from 0 to 1")
        distinct = bool(self.sigmas) and len(set(self.sigmas)) == len(self.sigmas)
        require(distinct, "--sigma", self.sigmas, "one or more, each once")
        require(self.draws >= 2, "--draws", self.draws, "2 or more: an interval needs them")
        require(0 <= self.seed < 2**31, "--seed", self.seed, "a whole number from 0 up to 2147483647")


@dataclass(frozen=True)
class Curve:
    """Which parts are off."""

    name: str
    sources: tuple[str, ...] = SOURCES
    layers: tuple[str, ...] = ()

    def spread(self, sigma: float) -> Spread:
        """All its sources off by ``sigma``."""
        return Spread(**dict.fromkeys(self.sources, sigma), layers=self.layers)


def curves_of(program: Program, plan: Plan) -> tuple[Curve, ...]:
    """All curves of a plan, the one of everything first."""
    found = [Curve("all")]
    if plan.parts:
        found += [Curve(source, (source,)) for source in SOURCES]
        found += [Curve(f"layer {op.result.name}", SOURCES, (op.result.name,)) for op in layers_of(program)]
    return tuple(found)


def measure_curves(
    program: Program,
    samples: Samples,
    plan: Plan,
    law: Law,
    folder: Path,
    told: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure all curves, or go on where ``folder`` left off.

    Args:
        told: called with the number of circuits that were finished since the last call.

    Returns:
        What ``folder/mismatch.json`` holds; docs/how-to/analog.md has its schema.

    Raises:
        ProgramError: a layer cannot be perturbed. OutputError: the folder holds another measurement or is read-only.
    """
    work = _Work(program, samples, plan, law, make_folder(folder) / FILE)
    for curve in work.curves:
        for draw in range(plan.draws):
            told(sum(work.one(curve, draw, sigma) for sigma in plan.sigmas))
    return work.save()


class _Work:
    """A measurement that grows: accuracies by curve, sigma and draw."""

    def __init__(self, program: Program, samples: Samples, plan: Plan, law: Law, path: Path) -> None:
        self.program, self.samples, self.plan, self.law, self.path = program, samples, plan, law, path
        self.curves = curves_of(program, plan)
        self.finer = finest(program, Curve("all").spread(max(_WIDE, *plan.sigmas)), law)
        self.facts = {
            "schema": 1,
            "leanspike": __version__,
            "program": ir.content_hash(program),
            "name": program.name,
            "dataset": samples.dataset,
            "samples": len(samples.labels),
            "seed": plan.seed,
            "law": {"sources": list(SOURCES), **{key: list(value) for key, value in asdict(law).items()}},
            "finer_bits": self.finer,
            "last_place": last_places(program, self.finer),
        }
        self.nominal = self._accuracy(program)
        self.found: dict[tuple[str, float], list[float]] = self._earlier()
        self.saved = time.monotonic()

    def one(self, curve: Curve, draw: int, sigma: float) -> int:
        """Measure a circuit unless that was done; 1 in any case."""
        done = self.found.setdefault((curve.name, sigma), [])
        if len(done) <= draw:
            if sigma == 0:
                done.append(self.nominal)
            else:
                circuit = Circuit(self.plan.seed, draw)
                done.append(self._accuracy(perturbed(self.program, curve.spread(sigma), circuit, self.law, self.finer)))
            if time.monotonic() - self.saved > _SAVE_SECONDS:
                self.save()
        return 1

    def save(self) -> dict[str, Any]:
        """Write what there is."""
        content = {**self.facts, "nominal_accuracy": self.nominal, "curves": [self._curve(one) for one in self.curves]}
        write_json(self.path, content)
        self.saved = time.monotonic()
        return content

    def _accuracy(self, program: Program) -> float:
        predictions = Engine(program).predict(self.samples.raw, self.samples.numbers)
        return float((predictions == self.samples.labels).mean())

    def _curve(self, curve: Curve) -> dict[str, Any]:
        names = [op.result.name for op in layers_of(self.program)]
        points = [(sigma, self.found.get((curve.name, sigma), [])) for sigma in self.plan.sigmas]
        told = [_point(sigma, accuracies[: self.plan.draws]) for sigma, accuracies in points if accuracies]
        return {
            "name": curve.name,
            "sources": list(curve.sources),
            "layers": list(curve.layers) or names,
            "points": told,
        }

    def _earlier(self) -> dict[tuple[str, float], list[float]]:
        """The accuracies of an earlier measurement of the same in this folder."""
        if not self.path.exists():
            return {}
        remedy = "choose another --out"
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            facts = {key: content[key] for key in self.facts}
            found = {
                (curve["name"], float(point["sigma"])): [float(one) for one in point["accuracies"]]
                for curve in content["curves"]
                for point in curve["points"]
            }
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise OutputError("is damaged or no measurement of mismatch", where=self.path, remedy=remedy) from error
        differing = [key for key, value in self.facts.items() if key not in _FREE and facts[key] != value]
        if differing:
            what = f"holds another measurement ({', '.join(differing)} differ)"
            raise OutputError(what, where=self.path, remedy=remedy)
        return found


_FREE = ("leanspike",)


def _point(sigma: float, accuracies: Sequence[float]) -> dict[str, Any]:
    interval = mean_interval(accuracies)
    low, high = np.quantile(accuracies, (0.025, 0.975)).tolist()
    return {
        "sigma": sigma,
        "draws": len(accuracies),
        "mean": interval.mean,
        "mean_ci95": None if interval.lo is None else [interval.lo, interval.hi],
        "middle95": [low, high],
        "worst": min(accuracies),
        "accuracies": list(accuracies),
    }


def law_of(content: Mapping[str, Any]) -> Law:
    """The law in what ``recipes/analog.py law`` wrote, or in a measurement.

    Raises:
        KeyError, TypeError: it has another form.
    """
    rows = content.get("exponents", content.get("law", content))
    return Law(**{name: tuple(float(one) for one in rows[name]) for name in ("threshold", "leak", "weight", "gain")})
