"""What was measured, as JSON and as a page of tables: medians, minima, ratios, agreement, promises."""

from __future__ import annotations

import datetime
import importlib.metadata
import math
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import leanspike
from leanspike.bench.candidates import Candidate, Passes
from leanspike.bench.tables import MEMORY_PROMISES, PEERS, Promise, Table, ours_name

FIRST_LOSS = 1e-4
LATER_LOSS = 1e-2
RECORDED = (
    *("torch", "numpy", "snntorch", "spikingjelly", "norse", "sinabs", "spyx", "jaxpike", "jax", "jaxlib"),
    *("onnxruntime", "ai-edge-litert"),
)


@dataclass
class Row:
    """One candidate of a table; times in milliseconds (an epoch: seconds), None where not measured.

    Attributes:
        rounds: the median of every round.
        minimum: the fastest single measurement.
        first_seconds: of the first step, compiling included.
        forwards, backwards: every pass, in a table of passes.
        agreement: how its losses compare with the reference's on the same weights and input.
        reason: why it was not measured.
    """

    candidate: str
    family: str
    semantics: str
    rounds: list[float] = field(default_factory=list)
    minimum: float | None = None
    first_seconds: float | None = None
    losses: list[float] = field(default_factory=list)
    forwards: list[float] = field(default_factory=list)
    backwards: list[float] = field(default_factory=list)
    agreement: str = ""
    reason: str | None = None

    @property
    def median(self) -> float | None:
        """Median of the rounds' medians."""
        return _median(self.rounds)

    def add(self, times: list[float]) -> None:
        """One round's times."""
        self.rounds.append(statistics.median(times))
        self.minimum = min(*times, self.minimum or math.inf)

    def add_passes(self, passes: list[Passes]) -> None:
        """One round's passes, given in seconds."""
        self.add([one.both * 1e3 for one in passes])
        self.forwards += [one.forward * 1e3 for one in passes]
        self.backwards += [one.backward * 1e3 for one in passes if one.backward is not None]

    def to_dict(self, ours: float | None) -> dict[str, Any]:
        """The row as JSON, its ratio to ``ours`` (our median) included."""
        kept = {key: value for key, value in asdict(self).items() if key not in ("forwards", "backwards")}
        ratio = None if ours is None or self.median is None else self.median / ours
        passes = {"forward": _median(self.forwards), "backward": _median(self.backwards)}
        return {**kept, **passes, "median": self.median, "ratio_to_ours": ratio}


def _median(times: list[float]) -> float | None:
    return statistics.median(times) if times else None


def agreement(candidate: Candidate, losses: list[float], reference: list[float]) -> str:
    """Whether the work was equal, in words."""
    if candidate.family == "part":
        return "part of ours"
    if candidate.same == "no":
        return "another neuron"
    if not losses or not reference:
        return "not checked"
    apart = [abs(a - b) / max(abs(b), 1e-12) for a, b in zip(losses, reference, strict=True)]
    if apart[0] > FIRST_LOSS:
        return f"DIFFERS: first loss by {apart[0]:.1e}"
    if candidate.same == "forward":
        return f"same first loss ({apart[0]:.0e}), other gradient"
    if apart[-1] > LATER_LOSS:
        return f"DIFFERS: loss {len(apart)} by {apart[-1]:.1e}"
    return f"same loss ({apart[0]:.0e}, step {len(apart)}: {apart[-1]:.0e})"


def judge(promise: Promise, rows: list[Row]) -> dict[str, Any]:
    """A promise against what was measured."""
    ours = next((row.median for row in rows if row.family == "ours"), None)
    peers = [(row.median, row.candidate) for row in rows if row.family in promise.families and row.median is not None]
    fastest, name = min(peers, default=(None, None))
    reached = None if ours is None or fastest is None else fastest / ours
    kept = None if reached is None or promise.ratio is None else reached >= promise.ratio
    return {"families": promise.families, "promised": promise.ratio, "against": name, "reached": reached, "kept": kept}


def judge_memory(steps: tuple[int, ...], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The promises on memory: so many times leaner than the leanest peer."""
    found = []
    for timesteps, promised in MEMORY_PROMISES.items():
        at = steps.index(timesteps)
        ours = next((row["megabytes"][at] for row in rows if row["family"] == "ours"), None)
        peers = [(row["megabytes"][at], row["candidate"]) for row in rows if row["family"] in PEERS]
        leanest, name = min(((size, name) for size, name in peers if size is not None), default=(None, None))
        reached = None if ours is None or leanest is None else leanest / ours
        kept = None if reached is None else reached >= promised
        against = None if name is None else f"{name} at T={timesteps}"
        found.append({"families": PEERS, "promised": promised, "against": against, "reached": reached, "kept": kept})
    return found


def table_record(table: Table, rows: list[Row], density: list[float]) -> dict[str, Any]:
    """One table as JSON."""
    ours = next((row.median for row in rows if row.candidate == ours_name(table)), None)
    return {
        "name": table.name,
        "group": table.group,
        "kind": table.kind,
        "title": table.title,
        "unit": "s" if table.kind == "epoch" else "ms",
        "work": table.work.to_dict(),
        "hidden_density": density,
        "rows": [row.to_dict(ours) for row in rows],
        "promises": [judge(promise, rows) for promise in table.promises],
    }


def surroundings(threads: int) -> dict[str, Any]:
    """Machine, versions and settings."""
    versions = {"leanspike": leanspike.__version__, "python": platform.python_version()}
    for name in RECORDED:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "system": platform.platform()},
        "threads": threads,
        "versions": versions,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
