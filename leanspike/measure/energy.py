"""Energy of an answer: executed operations times published figures, which ``costs/*.toml`` cite one by one.

    E = sum over operations of n(kind, widths) e(kind, widths)          nJ a sample; e in pJ

``arithmetic`` models hold adders and multipliers by width. Between and beyond the two published widths a power law
through both is used, ``e(w) = e1 (w / w1) ** (log(e2 / e1) / log(w2 / w1))``, for a multiplier of ``a x b`` bits at
``w = sqrt(a b)``; what lies beyond them is extrapolated, and the share of it is told. A comparison is a subtraction.
``synaptic`` models hold a chip's energy of one synaptic operation of a spike: nothing else is priced, and a program
that multiplies (pixels under direct coding) has no energy by them: it is None, not the sum of the rest.

M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014; figures of chips as in
PMC10326429, Table 3. Every model says what it leaves out; no model prices memory yet.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from leanspike.core.errors import ConfigError
from leanspike.core.records import from_dict, require
from leanspike.measure.work import Executed, Work

DEFAULT = "arithmetic-45nm"


@dataclass(frozen=True)
class Figure:
    """A published energy: of an ``add`` or ``multiply`` of ``bits``, or of an ``ac`` on a chip."""

    operation: Literal["add", "multiply", "ac"]
    picojoules: float
    source: str
    bits: int = 0

    def __post_init__(self) -> None:
        require(0 < self.picojoules < math.inf, f"{self.operation}.picojoules", self.picojoules, "a number above 0")
        require(bool(self.source.strip()), f"{self.operation}.source", self.source, "where the figure stands")


@dataclass(frozen=True)
class CostModel:
    """A file of ``costs``: cited figures and what they leave out."""

    title: str
    node: str
    kind: Literal["arithmetic", "synaptic"]
    leaves_out: tuple[str, ...]
    figure: tuple[Figure, ...]

    def __post_init__(self) -> None:
        require(bool(self.leaves_out), "leaves_out", self.leaves_out, "every model leaves something out")
        found = [(figure.operation, figure.bits) for figure in self.figure]
        wanted = {"arithmetic": ("add", "add", "multiply", "multiply"), "synaptic": ("ac",)}[self.kind]
        fits = tuple(sorted(name for name, _ in found)) == wanted and len(set(found)) == len(found)
        require(fits, "figure", found, f"for a {self.kind} model: {', '.join(wanted)}, of different widths")


@dataclass(frozen=True)
class Energy:
    """What a model says of a program.

    Attributes:
        model: name of the file.
        nanojoules: a sample; None where the model has no figure for something that was executed, which ``lacks`` names.
        extrapolated: share of ``nanojoules`` at widths beyond the published ones.
    """

    model: str
    nanojoules: float | None
    extrapolated: float = 0.0
    lacks: str = ""


def models() -> tuple[str, ...]:
    """Names of all models, the arithmetic ones first."""
    names = sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml"))
    return tuple(sorted(names, key=lambda name: model(name).kind))


@functools.cache
def model(name: str) -> CostModel:
    """A model by name.

    Raises:
        ConfigError: there is none of that name.
    """
    entry = _folder() / f"{name}.toml"
    if not entry.is_file():
        raise ConfigError("there is no such energy model", where=name, remedy=f"one of {', '.join(models())}")
    return from_dict(CostModel, tomllib.loads(entry.read_text(encoding="utf-8")), name)


def energy(executed: Executed, name: str = DEFAULT) -> Energy:
    """The energy of what was executed, by one model."""
    costs = model(name)
    prices = [(work, _picojoules(work, costs)) for work in executed.work]
    lacking = [work.kind for work, price in prices if price is None and work.count]
    if lacking:
        return Energy(name, None, lacks=", ".join(dict.fromkeys(lacking)))
    total = sum(work.count * price for work, price in prices if price)
    beyond = sum(work.count * price for work, price in prices if price and _is_beyond(work, costs))
    return Energy(name, total / 1000, beyond / total if total else 0.0)


def energies(executed: Executed) -> dict[str, float | None]:
    """nJ a sample by every model."""
    return {name: energy(executed, name).nanojoules for name in models()}


def _picojoules(work: Work, costs: CostModel) -> float | None:
    """Of one operation; 0 where the model leaves it out, None where it has no figure."""
    if work.kind == "uncounted":
        return None
    if costs.kind == "synaptic":
        return costs.figure[0].picojoules if work.kind == "ac" else None if work.kind == "mac" else 0.0
    multiplied = _at(costs, "multiply", _width(work.factors)) if work.factors else 0.0
    return multiplied + (0.0 if work.kind == "leak" else _at(costs, "add", work.bits))


def _width(factors: Iterable[int]) -> float:
    return math.sqrt(math.prod(factors))


def _ends(costs: CostModel, operation: str) -> list[Figure]:
    return sorted((f for f in costs.figure if f.operation == operation), key=lambda figure: figure.bits)


def _at(costs: CostModel, operation: str, width: float) -> float:
    low, high = _ends(costs, operation)
    power = math.log(high.picojoules / low.picojoules) / math.log(high.bits / low.bits)
    return float(low.picojoules * (width / low.bits) ** power)


def _is_beyond(work: Work, costs: CostModel) -> bool:
    if costs.kind == "synaptic":
        return False
    widths = [("multiply", _width(work.factors))] if work.factors else []
    widths += [("add", float(work.bits))] if work.kind != "leak" else []
    return any(not low.bits <= width <= high.bits for name, width in widths for low, high in [_ends(costs, name)])


def _folder() -> resources.abc.Traversable:
    return resources.files("leanspike.measure") / "costs"
