"""What a person sees while a study runs: a bar over all trials of all machines with the time left, a line a trial."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from leanspike.study.storage import FAILURES, Store

LOOK = 0.5  # seconds between two looks at the storage
FIXED = 3.0  # steps' worth of work that a trial costs whatever its T


class Monitor:
    """A context: while it is open, a thread shows on stderr how far the study is; ``steps`` are its values of T."""

    def __init__(self, store: Store, steps: Sequence[int]) -> None:
        self.store, self.steps, self.stop, self.told = store, steps, threading.Event(), set[int]()
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self.bars = Progress(
            *columns, TextColumn("left"), TimeRemainingColumn(), console=self.console, transient=True,
            disable=not self.console.is_terminal, speed_estimate_period=300,
        )  # fmt: skip
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Monitor:
        trials = self.store.trials()
        self.told = {trial.number for trial in trials if trial.state.is_finished()}
        if self.told:
            self.console.print(f"{len(self.told)} of {len(trials)} trials are finished already")
        self.bars.start()
        self.task = self.bars.add_task("trials", total=None)
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        self.thread.join()
        self.bars.stop()

    def _watch(self) -> None:
        over = False
        while not over:
            over = self.stop.wait(LOOK)
            with suppress(*FAILURES):  # whoever works on the storage says it
                self.look()

    def look(self) -> None:
        """Read the storage once and show what is new."""
        trials, held = self.store.trials(), self.store.leases.held()
        for trial in trials:
            if trial.state.is_finished() and trial.number not in self.told:
                self.told.add(trial.number)
                self.console.print(f"[{len(self.told)}/{len(trials)}] {line(trial)}", markup=False)
        done = sum(self._weight(trial) * self._share(trial, held) for trial in trials)
        text = f"{len(self.told)}/{len(trials)} trials"
        self.bars.update(self.task, total=sum(map(self._weight, trials)), completed=done, description=text)

    def _weight(self, trial: FrozenTrial) -> float:
        steps = self.steps
        parameters = trial.user_attrs["parameters"]
        return FIXED + float(parameters.get("timesteps", sum(steps) / len(steps)))

    def _share(self, trial: FrozenTrial, held: dict[str, float]) -> float:
        return 1.0 if trial.state.is_finished() else held.get(f"trial {trial.number}", 0.0)


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def line(trial: FrozenTrial) -> str:
    """A finished trial in one line."""
    if trial.state == TrialState.FAIL:
        return f"{trial.user_attrs['parameters']} failed: {trial.user_attrs.get('error')}"
    record = trial.user_attrs["record"]
    if record["stopped"]:
        return f"trial {record['number']} stopped early, {record['stopped']}"
    settings = "  ".join(f"{key} {_short(value)}" for key, value in record["parameters"].items() if key != "timesteps")
    parts = [f"T = {record['timesteps']}" if record["timesteps"] else "ANN", settings]
    for key in ("accuracy", "validation_accuracy"):
        if record[key] is not None:
            parts.append(f"{'test' if key == 'accuracy' else 'validation'} {record[key]:.2%}")
    return "  ".join([*parts, f"{record['train_seconds']:.1f} s"])
