"""Energy of an answer: executed operations and accesses times published figures, each cited in ``costs/*.toml``.

    E = sum over lines of n e          n: a count, e: pJ of one, nJ a sample

``arithmetic`` models hold adders and multipliers by width. Between and beyond the two published widths a power law
through both is used, ``e(w) = e1 (w / w1) ** (log(e2 / e1) / log(w2 / w1))``, for a multiplier of ``a x b`` bits at
``w = sqrt(a b)``; what lies beyond them is extrapolated, and the share of it is told. A comparison is a subtraction.
``memory`` models include one of those, and hold SRAM by size and DRAM, for 64 bits moved::

    e(b bits, S bytes) = b / 64 e64(S)      e64: the power law between published sizes; below the smallest, its figure;
                                            above the largest, DRAM. Weights are in DRAM where the model says so.

(Charging the 64-bit figure for each word of 32 bits, as some tools do, doubles it.) ``synaptic`` models hold a chip's
energy of one synaptic operation of a spike, some of one neuron update: nothing else is priced, and a program that
multiplies (pixels under direct coding) has no energy by them: it is None, not the sum of the rest. ``instructions``
models hold a processor's energy of an instruction. Every model says what it leaves out.

M. Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014; each other source with its figure.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import resources
from typing import Literal

from leanspike.core.errors import ConfigError
from leanspike.core.records import from_dict, require
from leanspike.measure.work import Executed, Traffic, Work

DEFAULT = "arithmetic-45nm"
ModelKind = Literal["arithmetic", "memory", "synaptic", "instructions"]
ORDER: tuple[ModelKind, ...] = ("arithmetic", "memory", "synaptic", "instructions")
_WORD = 64
_NEEDS: dict[ModelKind, tuple[set[str], set[str]]] = {  # figures that a kind of model has, and may have
    "arithmetic": ({"add", "multiply"}, set()),
    "memory": ({"sram", "dram"}, set()),
    "synaptic": ({"ac"}, {"update"}),
    "instructions": ({"instruction"}, set()),
}


@dataclass(frozen=True)
class Figure:
    """A published energy.

    Attributes:
        operation: an ``add`` or ``multiply`` of ``bits``; 64 bits moved to or from an ``sram`` of ``bytes`` or a
            ``dram``; an ``ac`` or an ``update`` on a chip; an ``instruction`` of a processor.
    """

    operation: Literal["add", "multiply", "sram", "dram", "ac", "update", "instruction"]
    picojoules: float
    source: str
    bits: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        require(0 < self.picojoules < math.inf, f"{self.operation}.picojoules", self.picojoules, "a number above 0")
        require(bool(self.source.strip()), f"{self.operation}.source", self.source, "where the figure stands")

    @property
    def size(self) -> int:
        """What a power law goes by: bits of arithmetic, bytes of memory."""
        return self.bytes if self.operation == "sram" else self.bits


@dataclass(frozen=True)
class CostModel:
    """A file of ``costs``: cited figures and what they leave out.

    Attributes:
        includes: a model whose figures this one has, too.
        weights_in: where a memory model keeps weights.
    """

    title: str
    node: str
    kind: ModelKind
    leaves_out: tuple[str, ...]
    figure: tuple[Figure, ...]
    includes: str = ""
    weights_in: Literal["sram", "dram"] = "sram"

    def __post_init__(self) -> None:
        require(bool(self.leaves_out), "leaves_out", self.leaves_out, "every model leaves something out")
        needs, may = _NEEDS[self.kind]
        found = [(figure.operation, figure.size) for figure in self.figure]
        names = {name for name, _ in found}
        pairs = all(sum(name == kind for name, _ in found) >= 2 for kind in needs & {"add", "multiply", "sram"})
        fits = needs <= names <= needs | may and len(set(found)) == len(found) and pairs
        wanted = (
            f"for {self.kind}: {', '.join(sorted(needs | may))}; by width or size two of each or more, all different"
        )
        require(fits, "figure", found, wanted)
        require(bool(self.includes) == (self.kind == "memory"), "includes", self.includes, "of memory models alone")


@dataclass(frozen=True)
class Line:
    """One term n e of an energy.

    Attributes:
        item: what was done: a kind of work, or ``weight read`` and the like.
        picojoules: of one; None where the model has no figure.
        law: how the figure was got from published ones, in words.
        is_beyond: whether that extrapolates.
        steps: counts of every step, where known.
    """

    layer: str
    item: str
    count: float
    picojoules: float | None
    law: str
    is_beyond: bool = False
    steps: tuple[float, ...] = ()

    @property
    def nanojoules(self) -> float:
        """n e; 0 where there is no figure."""
        return self.count * (self.picojoules or 0.0) / 1000


@dataclass(frozen=True)
class Energy:
    """What a model says of a program.

    Attributes:
        model: name of the file.
        nanojoules: a sample; None where the model has no figure for something that was executed, which ``lacks`` names.
        extrapolated: share of ``nanojoules`` at widths beyond the published ones.
        lines: the terms that it is the sum of.
    """

    model: str
    nanojoules: float | None
    extrapolated: float = 0.0
    lacks: str = ""
    lines: tuple[Line, ...] = ()


def models(*kinds: ModelKind) -> tuple[str, ...]:
    """Names of the models of these kinds, or of all, the arithmetic ones first, weights on the chip before DRAM."""
    names = sorted(entry.name.removesuffix(".toml") for entry in _folder().iterdir() if entry.name.endswith(".toml"))
    chosen = [name for name in names if model(name).kind in (kinds or ORDER)]
    return tuple(sorted(chosen, key=lambda name: (ORDER.index(model(name).kind), model(name).weights_in == "dram")))


@functools.cache
def model(name: str) -> CostModel:
    """A model by name, with the figures of what it includes.

    Raises:
        ConfigError: there is none of that name.
    """
    entry = _folder() / f"{name}.toml"
    if not entry.is_file():
        raise ConfigError("there is no such energy model", where=name, remedy=f"one of {', '.join(models())}")
    return from_dict(CostModel, tomllib.loads(entry.read_text(encoding="utf-8")), name)


def figures(costs: CostModel) -> tuple[Figure, ...]:
    """All figures of a model, those that it includes first."""
    return (*(figures(model(costs.includes)) if costs.includes else ()), *costs.figure)


def energy(executed: Executed, name: str = DEFAULT) -> Energy:
    """The energy of what was executed, by one model."""
    costs = model(name)
    missing = _uncounted(executed, costs)
    if missing:
        return Energy(name, None, lacks=missing)
    terms = _lines(executed, costs)
    lacking = [line.item for line in terms if line.picojoules is None and line.count]
    if lacking:
        return Energy(name, None, lacks=", ".join(dict.fromkeys(lacking)))
    terms = tuple(line for line in terms if line.picojoules)
    total = sum(line.nanojoules for line in terms)
    beyond = sum(line.nanojoules for line in terms if line.is_beyond)
    return Energy(name, total, beyond / total if total else 0.0, lines=terms)


def energies(executed: Executed) -> dict[str, float | None]:
    """nJ a sample by every model that prices no more than what was counted."""
    counted = [name for name in models() if not _uncounted(executed, model(name))]
    return {name: energy(executed, name).nanojoules for name in counted}


def _uncounted(executed: Executed, costs: CostModel) -> str:
    """What a model prices and nobody counted."""
    if costs.kind == "memory" and executed.traffic is None:
        return "memory traffic, which was not counted"
    return "instructions, which were not counted" if _counts(costs) and executed.instructions is None else ""


def _counts(costs: CostModel) -> bool:
    return costs.kind == "instructions"


def _lines(executed: Executed, costs: CostModel) -> tuple[Line, ...]:
    if _counts(costs):
        figure = costs.figure[0]
        return (Line("", "instruction", executed.instructions or 0.0, figure.picojoules, "as published"),)
    work = tuple(_operation(item, costs) for item in executed.work)
    if costs.kind != "memory":
        return work
    return (*work, *(_access(item, costs) for item in executed.traffic or ()))


def _operation(work: Work, costs: CostModel) -> Line:
    blank = Line(work.layer, work.kind, work.count, 0.0, "left out", steps=work.steps)
    if costs.kind == "synaptic":
        published = {figure.operation: figure.picojoules for figure in costs.figure}
        if work.kind in ("ac", "update"):
            return replace(blank, picojoules=published.get(work.kind, 0.0), law="as published")
        return replace(blank, picojoules=None if work.kind == "mac" else 0.0)
    if work.kind == "update":
        return replace(blank, law="its parts are priced")
    parts = [("multiply", math.sqrt(math.prod(work.factors)))] if work.factors else []
    parts += [("add", float(work.bits))] if work.kind != "leak" else []
    found = [_at(costs, name, width) for name, width in parts]
    widths = " x ".join(map(str, work.factors or ()))
    told = [f"multiply {widths}" if name == "multiply" else f"add {work.bits}" for name, _ in parts]
    law = " + ".join(f"{what} bit {price:.3g}" for what, (price, _) in zip(told, found, strict=True))
    return replace(
        blank, picojoules=sum(price for price, _ in found), law=law, is_beyond=any(beyond for _, beyond in found)
    )


def _access(access: Traffic, costs: CostModel) -> Line:
    sizes = [figure for figure in figures(costs) if figure.operation == "sram"]
    smallest, largest = min(figure.bytes for figure in sizes), max(figure.bytes for figure in sizes)
    in_dram = access.memory > largest or (costs.weights_in == "dram" and access.what in ("weight", "address"))
    if in_dram:
        (word,) = (figure.picojoules for figure in figures(costs) if figure.operation == "dram")
        where = "DRAM"
    else:
        word, _ = _at(costs, "sram", max(access.memory, smallest))
        where = f"SRAM of {max(access.memory, smallest) / 1024:.3g} KB"
    law = f"{access.bits:.3g}/{_WORD} of {word:.3g} ({where})"
    item = f"{access.what} {access.access}"
    return Line(access.layer, item, access.count, word * access.bits / _WORD, law, steps=access.steps)


def _at(costs: CostModel, operation: str, size: float) -> tuple[float, bool]:
    """The power law through the two published figures around ``size``, and whether it lies beyond all."""
    known = sorted((f for f in figures(costs) if f.operation == operation), key=lambda figure: figure.size)
    after = next((i for i, figure in enumerate(known) if figure.size >= size), len(known) - 1)
    low, high = known[max(after, 1) - 1], known[max(after, 1)]
    power = math.log(high.picojoules / low.picojoules) / math.log(high.size / low.size)
    price = low.picojoules * (size / low.size) ** power
    return price, not known[0].size <= size <= known[-1].size


def sources_of(name: str) -> Iterable[Figure]:
    """The cited figures that a model's energies come from."""
    return figures(model(name))


def _folder() -> resources.abc.Traversable:
    return resources.files("leanspike.measure") / "costs"
