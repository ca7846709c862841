"""``leanspike lean``: from a finished run and a budget to ``program.lsp`` and the road that led to it.

DIR/steps/NNN/      every step: a compressed run, its program and its figures on validation data
DIR/road.json       every step in order, what was kept, the end and its one look at the test set
DIR/program.lsp     the program at the road's end
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from leanspike import __version__, ir
from leanspike import data as data_sets
from leanspike.compress import LeanRun, compress, fine_tuning
from leanspike.compress import load as load_run
from leanspike.core.errors import CheckpointError
from leanspike.core.files import make_folder, write_json
from leanspike.core.records import content_hash, require, to_dict
from leanspike.data import Dataset, split
from leanspike.lean.budget import Budget
from leanspike.lean.moves import Settings, compression
from leanspike.lean.search import Road, Step, walk
from leanspike.lower.runs import lower_network
from leanspike.measure.energy import DEFAULT
from leanspike.measure.program import Measurement, measure
from leanspike.study.deploy import PROGRAM
from leanspike.train import Progress
from leanspike.train.checkpoint import differences, pack

PAGE, FIGURES = "road.json", "figures.json"
SCHEMA = 1


@dataclass(frozen=True)
class LeanConfig:
    """How the road is walked.

    Attributes:
        epochs: of a step's fine-tuning.
        finish_epochs: of the last one, and where the budget is missed of a patient round before it.
        learning_rate: of both; 0 takes that of a compression.
        margin: accuracy above the target that the validation split must show: it chooses, so it flatters.
    """

    budget: Budget = field(default_factory=lambda: Budget(accuracy=0.975))
    epochs: int = 3
    finish_epochs: int = 8
    learning_rate: float = 1e-3
    margin: float = 0.002

    def __post_init__(self) -> None:
        for key in ("epochs", "finish_epochs"):
            require(getattr(self, key) >= 1, f"lean.{key}", getattr(self, key), "a whole number from 1 up")
        require(self.learning_rate >= 0, "lean.learning_rate", self.learning_rate, "0 (a compression's) or more")
        require(0 <= self.margin < 1, "--margin", self.margin, "a share of accuracy, 0 up to 1")


def lean(
    folder: Path,
    out: Path,
    config: LeanConfig,
    *,
    data: Dataset | None = None,
    progress: Progress | None = None,
    say: Callable[[str], Any] = str,
) -> dict[str, Any]:
    """Walk the road, or go on with it; returns the content of ``out/road.json``.

    Args:
        folder: of a finished run of ``leanspike train`` or ``compress``.
        data: a data set of your own instead of the run's.
        say: is told each step in a line.

    Raises:
        ConfigError, CheckpointError, DataError, LoweringError, ProgramError: as loading, compressing and lowering.
        OutputError: ``out`` cannot be written.
    """
    start = load_run(folder)
    held = start.run.train.validation
    require(held > 0, "train.validation", held, "above 0: the validation split decides what is kept")
    known = data_sets.whole_samples(data or data_sets.load(start.run.dataset))
    head = {"schema": SCHEMA, "run": str(folder), "started_from": _digest(start), "config": to_dict(config)}
    finished = _claim(out, head)
    if finished:
        return finished
    walker = _Walker(start, known, out, config, head, progress, say)
    first = Step(0, None, "start", _settings(start), walker.figures(0, start))
    road = Road(first, config.budget, walker.attempt, walker.write)
    walker.write(road)
    end = walk(road, margin=config.margin)
    return walker.finish(road, end)


class _Walker:
    def __init__(
        self,
        start: LeanRun,
        data: Dataset,
        out: Path,
        config: LeanConfig,
        head: dict[str, Any],
        progress: Progress | None,
        say: Callable[[str], Any],
    ) -> None:
        self.data, self.out, self.config, self.head = data, out, config, head
        self.progress, self.say = progress, say
        self.runs = {0: start}
        self.told = -1

    def attempt(self, number: int, place: Step, settings: Settings, patient: bool) -> dict[str, float]:
        """Compress from a place to the settings, and measure."""
        folder, config = self.folder(number), self.config
        if not (folder / FIGURES).exists():
            parent = self.run_of(place.number)
            epochs = config.finish_epochs if patient else config.epochs
            training = replace(fine_tuning(parent.run), epochs=epochs)
            if config.learning_rate:
                training = replace(training, learning_rate=config.learning_rate)
            asked = replace(compression(place.settings, settings), train=training)
            known = self.data.training_only()
            found = compress(
                parent.network, parent.run, asked, known, folder, lineage=parent.lineage, progress=self.progress
            )
            self.runs[number] = LeanRun(found.network, found.run, found.lineage)
        return self.figures(number, None)

    def run_of(self, number: int) -> LeanRun:
        """The network of a step; steps that were made before this process are read."""
        if number not in self.runs:
            self.runs[number] = load_run(self.folder(number))
        return self.runs[number]

    def folder(self, number: int) -> Path:
        return self.out / "steps" / f"{number:03d}"

    def figures(self, number: int, run: LeanRun | None) -> dict[str, float]:
        """A step's figures on validation data: stored ones, or measured on its program, which is then stored."""
        folder = make_folder(self.folder(number))
        if (folder / FIGURES).exists():
            return dict(_read(folder / FIGURES))
        run = run or self.run_of(number)
        program = lower_network(run.network, run.run, self.data).program
        _, validation = split(self.data, run.run.train.validation, run.run.seed)
        measured = measure(program, ir.raw_samples(program, validation.x), validation.y, validation.numbers)
        ir.save(program, folder / PROGRAM, self.origin(run))
        write_json(folder / FIGURES, figures_of(measured))
        return figures_of(measured)

    def origin(self, run: LeanRun) -> dict[str, Any]:
        return {
            "leanspike": __version__,
            "dataset": run.run.dataset,
            "config": to_dict(run.run),
            "config_hash": content_hash(run.run),
            "compress": to_dict(run.lineage)["steps"],
            "classes": list(self.data.classes),
        }

    def write(self, road: Road) -> None:
        """Write the road as it stands, and tell its last step once."""
        write_json(self.out / PAGE, self.page(road))
        last = road.steps[-1]
        if last.number > self.told:
            self.told = last.number
            self.say(line(last))

    def page(self, road: Road) -> dict[str, Any]:
        return {**self.head, "steps": [to_dict(step) for step in road.steps], "end": None, "test": None, "met": None}

    def finish(self, road: Road, end: Step) -> dict[str, Any]:
        """Show the test set to the program at the road's end, once, and judge by it."""
        shutil.copyfile(self.folder(end.number) / PROGRAM, self.out / PROGRAM)
        program, test = ir.load(self.out / PROGRAM), self.data.test()
        measured = measure(program, ir.raw_samples(program, test.x), test.y, test.numbers)
        figures = figures_of(measured)
        page = self.page(road) | {
            "end": end.number,
            "test": {**figures, "accuracy_ci95": list(measured.accuracy_ci95), "samples": len(test)},
            "validation_met": self.config.budget.met(end.figures),
            "met": self.config.budget.met(figures),
            "sha256": ir.content_hash(program),
        }
        write_json(self.out / PAGE, page)
        return page


def figures_of(measured: Measurement) -> dict[str, float]:
    """What a budget may limit, and what else a row of the road shows."""
    energy = measured.energy_nj[DEFAULT]
    found = {
        "accuracy": measured.accuracy,
        "bytes": float(measured.footprint.array_bytes + measured.footprint.state_bytes),
        "operations": measured.macs + measured.acs,
        "spikes": measured.spikes_per_sample,
        "synapses": float(measured.footprint.synapses),
    }
    return found if energy is None else found | {"energy": energy}


def line(step: Step) -> str:
    """A step for a person to read."""
    figures = step.figures
    return (
        f"{step.number:>3}  {step.done:<34}  {figures['accuracy']:>7.2%}  {figures['bytes']:>9,.0f} bytes  "
        f"{figures['operations']:>9,.0f} operations  {step.verdict}"
    )


def _settings(start: LeanRun) -> Settings:
    """Where a run stands: what its lineage has done already."""
    found = Settings(start.run.timesteps)
    for step in start.lineage.steps:
        found = replace(
            found, weights=step.weights.bits or found.weights, membrane=step.membrane.bits or found.membrane
        )
        if step.prune.sparsity:
            by_connection, sparsity = step.prune.unit == "connections", step.prune.sparsity
            found = replace(found, connections=sparsity) if by_connection else replace(found, neurons=sparsity)
    return replace(found, weights=8 if found.weights == 16 else found.weights)


def _digest(start: LeanRun) -> str:
    """Of the weights and the lineage that the road starts from."""
    weights = hashlib.sha256(pack(start.network.state_dict(), {})).hexdigest()
    return content_hash({"weights": weights, "lineage": to_dict(start.lineage)})


def _claim(out: Path, head: Mapping[str, Any]) -> dict[str, Any] | None:
    """The road that ``out`` holds, if it is finished; an unfinished one is walked again over its stored steps.

    Raises:
        CheckpointError: ``out`` holds another road.
    """
    path = make_folder(out) / PAGE
    if not path.exists():
        write_json(path, {**head, "steps": [], "end": None, "test": None, "met": None})
        return None
    there = _read(path)
    keys = [key for key in head if key != "run"]  # the run may have been moved
    found = differences({key: there.get(key) for key in keys}, {key: head[key] for key in keys})
    if found:
        remedy = "choose another --out, or remove the folder"
        raise CheckpointError(f"holds another road ({', '.join(found[:3])})", where=out, remedy=remedy)
    return there if there.get("met") is not None else None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise TypeError("no table")
    except (OSError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"is damaged ({error})", where=path, remedy="remove it: the step is made again"
        ) from error
    return content
